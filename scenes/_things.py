"""What more than one of the built-in scenes shows: each thing drawn on a canvas `c`, by its dice.

A thing at (y, x) stands there and is `size` pixels tall or wide. What is called a texture is not drawn, only
returned, as a shade to draw with. The order of the rolls belongs to the picture: whoever changes it must
raise `scenes.synthetic.VERSION`.
"""

import numpy as np

from scenes._canvas import cells

# ------------------------------------------------------------------------------------------- outdoors

def sky(c):
    """Fills the picture."""
    c.pixels[:] = c.roll(150, 230) + c.row * c.roll(-10, 50) // c.height
    if c.chance(65):
        clouds = c.rough(c.roll(20, 50), c.roll(40, 110), c.roll(25, 50), 4)
        c.pixels += np.maximum(clouds + c.roll(-20, 10), 0)


def grass(c, low=80, high=135):
    """Texture of meadow, gravel or earth."""
    return c.roll(low, high) + c.rough(c.roll(2, 5), c.roll(5, 12), c.roll(12, 24), 2) + c.grain


def tree(c, y, x, size):
    shade = c.roll(45, 85)
    c.line(y - size, x, y, x + c.roll(-2, 2), max(2, size // 12), shade - 25)
    for _ in c.times(1, 3):
        tall, wide = max(3, size * c.roll(25, 45) // 100), max(3, size * c.roll(22, 40) // 100)
        c.ellipse(y - size + c.roll(-size // 5, size // 5), x + c.roll(-size // 5, size // 5), tall, wide,
                  shade + c.leaves, 4)


def bush(c, y, x, size):
    c.ellipse(y, x, size, size * c.roll(10, 18) // 10, c.roll(45, 115) + c.leaves, 5)


def windows(c, v, u, tall, wide, wall, glass, style="holes"):
    """Texture of a facade, a window every `tall` by `wide` of the wall's coordinates (v, u).

    `style` is "holes" (single windows), "bands" (ribbons from side to side) or "piers" (from top to bottom).
    """
    row, column, down, along = cells(v, u, tall, wide)
    top = -2 if style == "piers" else tall * c.roll(15, 35) // 100
    side = -2 if style == "bands" else wide * c.roll(12, 30) // 100
    frame = (down >= top - 1) & (along >= side - 1) & (along <= wide - side + 1)
    pane = (down >= top) & (along >= side) & (along <= wide - side)
    if c.chance(50):
        pane = pane & (abs(2 * along - wide) > 1)
    if c.chance(40):  # bricks
        wall = wall + c.grid(-9, 9, 32, 32)[(v // 3) & 31, (u // 6 + (v // 3 & 1)) & 31]
    wall = np.where(frame, wall + c.pick(-30, 25, 40), wall)
    return np.where(pane, c.grid(glass - 25, glass + 25, 16, 16)[row & 15, column & 15], wall) + c.grain


def tower(c, top, left, bottom, right):
    facade = windows(c, c.row - top, c.column - left, c.roll(7, 9), c.roll(6, 8),
                     c.roll(110, 200), c.roll(40, 90), c.pick("holes", "bands", "piers"))
    c.paint(top, left, bottom, right, facade)


def road(c, y, x, left, right):
    """A road with marked lanes from (y, x), where it vanishes, to `left` and `right` at the lower border."""
    shade = c.roll(85, 135)
    c.polygon([(y, x), (y, x + 2), (c.height, right), (c.height, left)], shade + c.grain)
    depth, _ = c.floor_map(y, x)
    white = shade + c.roll(60, 100)
    dashes = np.where((depth + c.roll(0, 39)) % 40 < 22, white, c.pixels)
    lanes = c.roll(2, 4)
    for lane in range(lanes + 1):
        foot = left + (right - left) * lane // lanes
        c.polygon([(y + 4, x), (y + 4, x + 1), (c.height, foot + c.roll(3, 7)), (c.height, foot)],
                  dashes if 0 < lane < lanes else white)


def car(c, y, x, size):
    shade, wheel = c.roll(40, 220), max(1, size // 9)
    c.box(y - size // 3, x - size // 2, y, x + size // 2, shade, -25)
    c.box(y - size * 6 // 10, x - size // 3, y - size // 3, x + size // 3, c.roll(30, 90), shade - 60)
    c.ellipse(y, x - size * 3 // 10, wheel, wheel, 25)
    c.ellipse(y, x + size * 3 // 10, wheel, wheel, 25)


def person(c, y, x, size):
    shade = c.roll(30, 190)
    c.ellipse(y - size * 9 // 10, x, max(1, size // 11), max(1, size // 12), c.roll(90, 200))
    c.paint(y - size * 8 // 10, x - size // 8, y - size * 4 // 10, x + size // 8 + 1, shade)
    c.paint(y - size * 4 // 10, x - size // 10, y, x + size // 10 + 1, shade - c.roll(-30, 50))


def lamp_post(c, y, x, size):
    shade = c.roll(30, 110)
    c.line(y - size, x, y, x, max(2, size // 40), shade)
    c.line(y - size, x, y - size, x + c.roll(-size, size) // 5, 2, shade)


# -------------------------------------------------------------------------------------------- indoors

def room(c, wall, floor):
    """Fills the picture with walls, floor and ceiling. Where the back wall is: top, left, bottom, right."""
    top, bottom, left, right = c.roll(-26, 36), c.roll(140, 180), c.roll(-60, 60), c.roll(240, 360)
    back = wall + c.grain
    if c.chance(25):
        back = back + c.stripes(c.roll(6, 16), 64, 0, c.roll(4, 14))  # wallpaper
    boards = floor + c.grain
    if c.chance(55):
        depth, across = c.floor_map((top + bottom) // 2, (left + right) // 2)
        row, column, _, along = cells(depth, across, c.roll(8, 20), c.roll(10, 30))
        boards = boards + c.grid(-14, 14, 16, 16)[row & 15, column & 15] - np.where(along < 2, 25, 0)
    c.pixels[:] = back + c.roll(-40, 15)  # the side walls
    c.paint(top, left, bottom, right, back)
    reach = right - left
    c.polygon([(bottom, left), (bottom, right), (440, right + reach), (440, left - reach)], boards)
    c.polygon([(top, right), (top, left), (-220, left - reach), (-220, right + reach)], wall + c.roll(5, 40))
    c.line(bottom, left, bottom, right, c.roll(2, 4), wall - c.roll(20, 60))
    return top, left, bottom, right


def window(c, top, left, bottom, right):
    """Bright panes, with curtains, a blind or nothing before them."""
    c.box(top, left, bottom, right, c.roll(190, 240) + c.leaves * c.roll(0, 2) // 2, -70)
    c.line(top, (left + right) // 2, bottom, (left + right) // 2, 2, 110)
    c.line((top + bottom) // 2, left, (top + bottom) // 2, right, 2, 110)
    if c.chance(30):
        blind = c.roll(150, 210) + c.stripes(c.roll(4, 7), 0, 64, 35)
        c.paint(top, left, top + (bottom - top) * c.roll(40, 100) // 100, right, blind)
    elif c.chance(70):
        folds = c.roll(90, 210) + c.stripes(c.roll(7, 14), 64, c.roll(-3, 3), c.roll(15, 35))
        wide, hem = (right - left) * c.roll(20, 45) // 100, bottom + c.roll(5, 50)
        c.paint(top - 6, left - 8, hem, left + wide, folds)
        c.paint(top - 6, right - wide, hem, right + 8, folds)


def picture(c):
    y, x, tall, wide = c.roll(10, 75), c.roll(10, 270), c.roll(14, 36), c.roll(14, 40)
    c.box(y, x, y + tall, x + wide, c.roll(30, 120), 30)
    c.paint(y + 3, x + 3, y + tall - 3, x + wide - 3, c.roll(100, 220) + c.cloth())


def lamp(c, y, x, size):
    c.line(y - size, x, y, x, 2, c.roll(40, 110))
    c.polygon([(y - size, x - size // 6), (y - size, x + size // 6), (y - size * 6 // 10, x + size // 3),
               (y - size * 6 // 10, x - size // 3)], c.roll(200, 250))


def shelf(c, v, u, tall, wide, board):
    """Texture of full shelves in the coordinates (v, u): books or goods of all shades and heights, boards."""
    row, column, down, along = cells(v, u, tall, wide)
    goods = c.grid(30, 230, 16, 32)[row & 15, column & 31]
    label = (down > tall * 6 // 10) & (along > 1) & (column & 1 == 0)
    above = down < c.grid(tall // 8, tall // 2, 16, 32)[row & 15, column & 31]
    goods = np.where(above | (along < 1), 35, np.where(label, 255 - goods, goods))
    return np.where(down >= tall - max(2, tall // 10), board, goods)


def cabinet(c, top, left, bottom, right, shade, doors):
    """Doors or drawers side by side, each with a panel and a handle."""
    texture, panel, middle = shade + c.grain, c.pick(-22, 18), (top + bottom) // 2
    for door in range(doors):
        x0, x1 = left + (right - left) * door // doors, left + (right - left) * (door + 1) // doors
        c.box(top, x0, bottom, x1, texture, -45)
        c.box(top + 5, x0 + 5, bottom - 5, x1 - 5, texture, panel)
        c.paint(middle - 3, x1 - 6, middle + 4, x1 - 4, shade - 80)


def table(c, y, left, right, tall, shade):
    """A table from the front; `y` is where its top lies."""
    c.paint(y, left + 4, y + tall, left + 8, shade - 35)
    c.paint(y, right - 7, y + tall, right - 3, shade - 35)
    c.box(y - c.roll(3, 7), left, y + 2, right, shade + c.grain, 20)


# ------------------------------------------------------------------------------------------- anywhere

def clutter(c):
    """Things in front of any scene, which say nothing about its class."""
    for _ in c.times(0, 3):
        y, x, tall, wide = c.roll(0, 220), c.roll(0, 300), c.roll(8, 36), c.roll(8, 36)
        shade, kind = c.roll(30, 230) + c.cloth(), c.roll(0, 3)
        if kind == 0:
            c.ellipse(y, x, tall, wide, shade, c.pick(0, 5))
        elif kind == 1:
            c.box(y - tall, x - wide, y + tall, x + wide, shade, 30)
        elif kind == 2:
            c.polygon([(y - tall, x - wide // 2), (y - tall // 2, x + wide), (y + tall, x + wide // 3),
                       (y + tall // 3, x - wide)], shade)
        else:
            c.line(y - 2 * tall, x, y + 2 * tall, x + c.roll(-wide, wide), c.roll(2, 7), shade)
