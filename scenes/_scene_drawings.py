"""How each of the fifteen built-in scenes is drawn on a canvas `c`, by its dice: `DRAWINGS`.

First the five rooms, then nature, then roads and buildings; what only one scene shows follows it. The order
of the rolls belongs to the picture: whoever changes it must raise `scenes.synthetic.VERSION`.
"""

import numpy as np

from scenes._canvas import cells, wave
from scenes._things import (
    bush,
    cabinet,
    car,
    grass,
    lamp,
    lamp_post,
    person,
    picture,
    road,
    room,
    shelf,
    sky,
    table,
    tower,
    tree,
    window,
    windows,
)

_WALL_TOP = 9600  # a wall in perspective is counted from this far above the eye, more than a picture shows


def _bedroom(c):
    _, _, bottom, _ = room(c, c.roll(140, 205), c.roll(80, 130))
    if c.chance(60):
        x = c.roll(15, 210)
        window(c, c.roll(10, 44), x, c.roll(88, 126), x + c.roll(45, 90))
    for _ in c.times(0, 2):
        picture(c)
    if c.chance(45):
        x = c.roll(0, 240)
        cabinet(c, c.roll(33, 88), x, bottom, x + c.roll(36, 75), c.roll(70, 170), c.roll(1, 2))
    x, wide, head, slant = c.roll(36, 130), c.roll(95, 150), c.roll(105, 130), c.roll(-40, 40)
    foot, near = head + c.roll(60, 88), x + slant - 14
    c.box(head - c.roll(9, 35), x - 4, head + 20, x + wide + 4, c.roll(50, 120) + c.grain, 25)
    quilt = c.roll(140, 220) + c.cloth()
    c.polygon([(head, x), (head, x + wide), (foot, near + wide + 28), (foot, near)], quilt)
    c.paint(foot, near, foot + 20, near + wide + 28, quilt - 45)
    for pillow in c.times(1, 3):
        linen = c.roll(190, 245) + c.grain
        c.ellipse(head + 4, x + wide * (1 + 2 * pillow) // 6, c.roll(9, 15), wide // 6, linen)
    side = x - 30 if c.chance(50) else x + wide + 6
    cabinet(c, head + 8, side, head + 48, side + 24, c.roll(50, 150), 1)
    lamp(c, head + 8, side + 12, c.roll(26, 48))


def _living_room(c):
    _, _, bottom, _ = room(c, c.roll(130, 195), c.roll(80, 140))
    if c.chance(70):
        x = c.roll(15, 200)
        window(c, c.roll(10, 44), x, c.roll(88, 130), x + c.roll(54, 105))
    for _ in c.times(1, 4):
        picture(c)
    if c.chance(30):
        x = c.roll(0, 230)
        books = shelf(c, c.row, c.column, c.roll(22, 34), c.roll(4, 9), c.roll(60, 150))
        c.paint(c.roll(22, 66), x, bottom, x + c.roll(36, 66), books)
    y = c.roll(158, 190)
    c.polygon([(y, c.roll(45, 105)), (y, c.roll(180, 255)), (230, c.roll(225, 330)), (230, c.roll(-30, 75))],
              c.roll(80, 180) + c.cloth())
    for _ in c.times(1, 3):
        _sofa(c, c.roll(108, 142), c.roll(-15, 180), c.roll(44, 66), c.roll(75, 145))
    if c.chance(70):
        table(c, c.roll(172, 198), c.roll(60, 120), c.roll(150, 225), 26, c.roll(50, 150))
    if c.chance(60):
        _plant(c, c.roll(130, 195), c.roll(15, 285), c.roll(44, 100))
    lamp(c, c.roll(100, 165), c.roll(15, 285), c.roll(40, 88))


def _sofa(c, y, x, tall, wide):
    cover, seats = c.roll(60, 150) + c.cloth(), c.roll(1, 3)
    c.box(y, x, y + tall, x + wide, cover, 15)
    for seat in range(seats):
        left, right = x + 6 + (wide - 12) * seat // seats, x + 6 + (wide - 12) * (seat + 1) // seats
        c.box(y + tall // 2, left, y + tall * 8 // 10, right, cover + 18, -40)
    c.box(y + tall // 4, x - 4, y + tall, x + 8, cover - 15, -25)
    c.box(y + tall // 4, x + wide - 8, y + tall, x + wide + 4, cover - 15, -25)
    if c.chance(60):
        c.ellipse(y + tall * 4 // 10, x + wide // 4, tall // 4, tall // 4, c.roll(100, 240) + c.cloth())


def _plant(c, y, x, size):
    c.ellipse(y - size * 7 // 10, x, size // 2, size // 2, c.roll(50, 100) + c.leaves, 5)
    c.polygon([(y - size // 3, x - size // 5), (y - size // 3, x + size // 5), (y, x + size // 7),
               (y, x - size // 7)], c.roll(80, 180))


def _kitchen(c):
    room(c, c.roll(130, 200), c.roll(90, 150))
    shade, counter, hung = c.roll(120, 225), c.roll(115, 140), c.roll(48, 78)
    _, _, down, along = cells(c.row, c.column + c.roll(0, 9), c.roll(7, 14), c.roll(7, 18))
    tiles = np.where((down < 1) | (along < 1), -c.roll(25, 60), 0)
    c.paint(hung, 0, counter, c.width, c.roll(140, 215) + c.grain + (tiles if c.chance(75) else 0))
    cabinet(c, c.roll(-25, 10), c.roll(-30, 60), hung, c.roll(240, 330), shade, c.roll(4, 8))
    if c.chance(45):
        x = c.roll(75, 180)
        window(c, c.roll(10, 33), x, counter - 12, x + c.roll(48, 84))
    cabinet(c, counter + 14, -10, 207, c.width + 10, shade, c.roll(4, 7))
    cabinet(c, counter, -10, counter + 14, c.width + 10, shade, c.roll(4, 7))
    c.paint(counter - 5, 0, counter + 2, c.width, c.roll(40, 130) + c.grain)
    for _ in c.times(3, 8):
        x, size = c.roll(9, 291), c.roll(6, 15)
        if c.chance(50):
            c.box(counter - 4 - size * 2, x - size // 2, counter - 4, x + size // 2, c.roll(30, 240), -30)
        else:
            c.ellipse(counter - 4 - size // 2, x, size // 2 + 2, size, c.roll(30, 240))
    if c.chance(70):  # the stove
        x, wide = c.roll(15, 210), c.roll(54, 72)
        c.box(counter - 6, x, 211, x + wide, c.roll(130, 235) + c.grain, -50)
        c.box(counter + 22, x + 7, 190, x + wide - 7, c.roll(25, 80), 30)
        for knob in range(4):
            c.ellipse(counter + 8, x + wide * (2 * knob + 1) // 8, 3, 3, 30)
    if c.chance(50):  # the fridge
        x = c.pick(c.roll(-15, 15), c.roll(210, 255))
        cabinet(c, c.roll(18, 48), x, 213, x + c.roll(54, 78), c.roll(170, 240), 1)


def _office(c):
    top, left, bottom, right = room(c, c.roll(140, 210), c.roll(70, 120))
    depth, across = c.floor_map((top + bottom) // 2, (left + right) // 2)
    row, column, down, along = cells(depth, across, 12, 20)
    panels = c.roll(175, 225) + np.where((row % 3 == 0) & (column & 1 == 0), 40, 0)
    panels = panels - np.where((along < 1) | (down < 1), 60, 0)
    c.polygon([(top, right), (top, left), (-220, 2 * left - right), (-220, 2 * right - left)], panels)
    if c.chance(55):
        x = c.roll(0, 195)
        window(c, c.roll(18, 44), x, c.roll(88, 126), x + c.roll(60, 120))
    for _ in c.times(1, 2):
        x, y, tall = c.roll(-15, 210), c.roll(18, 70), c.roll(20, 34)
        books = shelf(c, c.row - y, c.column - x, tall, c.roll(3, 7), c.roll(60, 170))
        c.paint(y, x, y + tall * c.roll(1, 4), x + c.roll(66, 145), books)
    if c.chance(50):
        picture(c)
    for desk in c.times(1, 2):
        y, x, wide = c.roll(128, 148) + 30 * desk, c.roll(-30, 90) + 90 * desk, c.roll(120, 225)
        shade = c.roll(60, 150)
        table(c, y, x, x + wide, 66, shade)
        if c.chance(60):
            cabinet(c, y + 3, x + wide - 42, y + 57, x + wide - 3, shade, 1)
        for _ in c.times(1, 2):
            _monitor(c, y, x + wide * c.roll(10, 70) // 100, c.roll(28, 48))
        for _ in c.times(2, 6):  # papers
            at = x + wide * c.roll(5, 90) // 100
            c.box(y - c.roll(4, 11), at, y - 1, at + c.roll(8, 22), c.roll(60, 250), -30)
    if c.chance(70):  # a chair
        y, x, shade = c.roll(132, 165), c.roll(45, 240), c.roll(25, 90)
        c.ellipse(y, x, 24, 21, shade + c.grain)
        c.paint(y + 22, x - 24, y + 33, x + 24, shade + c.grain)
        c.line(y + 33, x, y + 57, x, 5, shade)


def _monitor(c, y, x, size):
    c.box(y - size - 4, x, y - 6, x + size * 5 // 4, c.roll(150, 220), -40)
    c.paint(y - size, x + 4, y - 11, x + size * 5 // 4 - 4, c.roll(20, 110) + c.grain)
    c.paint(y - 6, x + size // 3, y - 2, x + size, 90)


def _store(c):
    room(c, c.roll(150, 210), c.roll(120, 180))
    y, x = c.roll(70, 100), c.roll(100, 200)
    if c.chance(60):  # an aisle; else shelves from the front
        down, depth = c.wall_map(y, x)
        goods = shelf(c, down + _WALL_TOP, depth, c.roll(13, 22), c.roll(5, 11), c.roll(130, 220))
        full = (down > -c.roll(20, 45)) & (down < c.roll(35, 70)) & (abs(c.column - x) > c.roll(9, 27))
        c.where(full, goods)
    else:
        goods = shelf(c, c.row, c.column, c.roll(22, 42), c.roll(8, 20), c.roll(130, 220))
        c.paint(c.roll(18, 55), c.roll(-30, 45), c.roll(165, 215), c.roll(255, 330), goods)
    if c.chance(50):  # a stand in front
        goods = shelf(c, c.row, c.column, c.roll(14, 30), c.roll(6, 14), c.roll(100, 220))
        at = c.roll(0, 210)
        c.paint(c.roll(110, 150), at, c.height, at + c.roll(50, 100), goods)
    for _ in c.times(1, 3):  # lamps and signs
        at, top = c.roll(0, 280), c.roll(0, 40)
        if c.chance(60):
            c.line(top, at, y * 7 // 10, (at + x * 2) // 3, c.roll(3, 8), 250)
        else:
            c.box(top, at, top + c.roll(10, 22), at + c.roll(25, 60), c.roll(40, 230) + c.leaves // 3, 40)
    if c.chance(45):
        person(c, c.roll(165, 210), c.roll(30, 270), c.roll(66, 110))


def _coast(c):
    horizon = c.roll(65, 125)
    sky(c)
    if c.chance(35):
        c.ground(c.skyline(horizon, c.roll(6, 30), c.roll(60, 160)), c.roll(60, 130) + c.grain)
    sea = c.roll(80, 135) + c.rough(c.roll(3, 5), c.roll(20, 45), c.roll(12, 30), 2)
    sea = sea + c.rough(c.roll(8, 14), c.roll(60, 120), c.roll(12, 30), 2)
    if c.chance(60):
        surf = c.rough(c.roll(5, 10), c.roll(40, 100), 60, 3) + (c.row - horizon) * c.roll(0, 30) // c.height
        sea = sea + np.maximum(surf - c.roll(15, 40), 0) * 3
    c.ground(horizon, sea)
    if c.chance(60):
        shore = c.skyline(c.roll(150, 220), c.roll(4, 12), 60) + c.column[0] * c.roll(-25, 25) // 100
        c.ground(shore, c.roll(190, 245))
        c.ground(shore + c.roll(2, 9), c.roll(140, 205) + c.grain)
    for _ in c.times(0, 3):
        size = c.roll(6, 26)
        c.ellipse(c.roll(horizon, 220), c.roll(0, 300), size, size * 2, c.roll(30, 80) + c.leaves // 2, 4)


def _open_country(c):
    horizon = c.roll(60, 120)
    sky(c)
    for _ in c.times(0, 2):
        hills = c.skyline(horizon - c.roll(0, 13), c.roll(4, 26), c.roll(60, 160))
        c.ground(hills, c.roll(80, 140) + c.grain)
    c.ground(horizon, grass(c))
    for _ in c.times(1, 4):
        c.ground(c.skyline(c.roll(horizon, 220), c.roll(2, 11), c.roll(80, 160)), grass(c))
    if c.chance(30):  # furrows
        _, across = c.floor_map(horizon, c.roll(0, 300))
        furrows = wave(across * c.roll(6, 14), c.roll(10, 30))
        c.ground(horizon + c.roll(11, 55), c.pixels + furrows)
    for _ in c.times(0, 12):
        y = c.roll(horizon, 165)
        tree(c, y, c.roll(0, 300), 6 + (y - horizon) * c.roll(30, 70) // 100)
    if c.chance(35):
        tree(c, c.roll(165, 210), c.roll(15, 285), c.roll(77, 143))


def _mountain(c):
    sky(c)
    _ridge(c, c.roll(62, 110), c.roll(44, 80), c.roll(80, 150))
    for _ in c.times(0, 2):
        _ridge(c, c.roll(115, 170), c.roll(22, 52), c.roll(60, 130))
    if c.chance(55):
        line = c.roll(165, 210)
        c.ground(c.skyline(line, 13, 80), c.pick(grass(c), c.roll(50, 90) + c.leaves))
        for _ in c.times(5, 25):
            y, x, size = c.roll(line - 10, 225), c.roll(0, 300), c.roll(18, 52)
            c.polygon([(y - size, x), (y, x + size // 4), (y, x - size // 4)], c.roll(30, 75) + c.leaves // 2)


def _ridge(c, base, amplitude, shade):
    """A mountain chain with bright and dark slopes, sometimes with snow on top."""
    line = c.skyline(base, amplitude, c.roll(40, 110))
    slopes = shade + abs(c.rough(c.roll(20, 40), c.roll(14, 30), c.roll(45, 75), 4))
    c.ground(line, slopes)
    if c.chance(50):
        snow = line + amplitude * c.roll(3, 10) // 10 + c.grain * 2
        c.where((c.row >= line) & (c.row < snow), slopes + c.roll(60, 100))


def _forest(c):
    c.pixels[:] = c.roll(40, 90) + c.row * c.roll(30, 80) // c.height + c.leaves
    c.pixels += c.rough(c.roll(20, 50), c.roll(20, 50), c.roll(20, 40), 3)
    floor, lean = c.roll(132, 202), c.roll(-8, 8)
    if c.chance(70):
        c.ground(c.skyline(floor, 9, 70), grass(c) + c.leaves // 2)
    bark = c.stripes(c.roll(4, 9), 62, 12, 18) + c.leaves // 2
    for _ in c.times(3, 16):
        x, thick = c.roll(0, 300), c.pick(c.roll(2, 6), c.roll(4, 12), c.roll(8, 26))
        c.line(-4, x + lean + c.roll(-9, 9), floor + c.roll(-13, 35), x, thick, c.roll(25, 110) + bark)
    for _ in c.times(2, 9):
        crown = c.roll(40, 100) + c.leaves
        c.ellipse(c.roll(-11, 121), c.roll(0, 300), c.roll(13, 40), c.roll(18, 54), crown, 6)
    for _ in c.times(0, 6):
        bush(c, c.roll(165, 220), c.roll(0, 300), c.roll(9, 30))


def _highway(c):
    y, x = c.roll(66, 116), c.roll(75, 225)
    sky(c)
    if c.chance(60):
        far = c.skyline(y, c.roll(4, 26), c.roll(50, 150))
        c.ground(far, c.roll(70, 140) + c.pick(c.grain, c.leaves // 2))
    c.ground(y, grass(c))
    road(c, y, x, c.roll(-240, 10), c.roll(290, 540))
    if c.chance(40):  # a guard rail
        side, shade = c.pick(-240, 240), c.roll(120, 220)
        for drop in (c.roll(66, 92), c.roll(97, 114)):
            c.line(y, x, y + drop, x + side, 3, shade)
        for near in (1, 4, 9, 16, 25, 36, 49):
            at = x + side * near // 64
            c.line(y + 84 * near // 64, at, y + 128 * near // 64, at, 2, shade - 60)
    if c.chance(35):  # a bridge
        top = y - c.roll(13, 48)
        c.box(top, 0, top + c.roll(7, 15), c.width, c.roll(80, 190) + c.grain, -20)
        for pier in c.times(1, 3):
            at = 45 + 90 * pier + c.roll(-27, 27)
            c.paint(top, at, y + 6, at + c.roll(4, 9), c.roll(70, 160))
    for _ in c.times(0, 6):
        at = c.roll(y + 4, 187)
        car(c, at, x + (at - y) * c.roll(-90, 90) // 100, 6 + (at - y) * c.roll(30, 60) // 100)
    for _ in c.times(0, 4):
        c.pick(lamp_post, tree)(c, y + c.roll(2, 20), c.roll(0, 300), c.roll(22, 100))


def _street(c):
    y, x = c.roll(99, 136), c.roll(90, 210)
    sky(c)
    if c.chance(60):
        tower(c, c.roll(33, 77), x - 30, y + 8, x + 30)
    down, depth = c.wall_map(y, x)
    for side in (-1, 1):
        tall, wide, shade, glass = c.roll(14, 24), c.roll(9, 20), c.roll(80, 200), c.roll(40, 110)
        wall = windows(c, down + _WALL_TOP, depth, tall, wide, shade, glass)
        roofs = c.grid(40, 110, 32)[(depth // c.roll(40, 90)) & 31]
        c.where((side * (c.column - x) > c.roll(6, 27)) & (down > -roofs) & (down < 30), wall)
    c.ground(y + abs(c.column[0] - x) * 28 // 64, c.roll(110, 170) + c.grain)
    road(c, y, x, c.roll(-120, 45), c.roll(255, 420))
    for _ in c.times(1, 6):
        at = c.roll(y + 6, 202)
        aside = c.pick(-1, 1) * (at - y) * c.roll(50, 140) // 100
        car(c, at, x + aside, 8 + (at - y) * c.roll(40, 70) // 100)
    for _ in c.times(0, 5):
        at = c.roll(y + 6, 209)
        person(c, at, c.roll(0, 300), 8 + (at - y) * c.roll(50, 80) // 100)
    for _ in c.times(0, 4):
        c.pick(lamp_post, tree)(c, c.roll(y + 5, 198), c.roll(0, 300), c.roll(55, 130))


def _inside_city(c):
    sky(c)
    foot, x = c.roll(160, 195), c.roll(-60, 0)
    while x < c.width:
        wide, top, wall, glass = c.roll(84, 225), c.roll(-55, 57), c.roll(80, 200), c.roll(30, 110)
        facade = windows(c, c.row - top, c.column - x, c.roll(26, 56), c.roll(18, 44), wall, glass)
        c.paint(top, x, foot, x + wide, facade)
        if c.chance(50):  # a cornice
            c.box(top, x - 3, top + c.roll(4, 10), x + wide + 3, wall + 35, -50)
        if c.chance(60):  # a shop
            shop = foot - c.roll(35, 57)
            c.box(shop, x, foot, x + wide, wall - 40, -20)
            c.box(shop + 8, x + 6, foot - 5, x + wide // 2, c.roll(30, 110) + c.leaves // 2, 40)
            c.box(shop + 8, x + wide * 6 // 10, foot, x + wide * 8 // 10, c.roll(20, 80), 40)
            if c.chance(60):
                c.box(shop - 4, x + 3, shop + 8, x + wide - 3, 150 + c.stripes(c.roll(6, 14), 64, 0, 70))
        x += wide + (0 if c.chance(75) else c.roll(9, 30))
    c.ground(foot, c.roll(90, 150) + c.grain)
    for _ in c.times(0, 4):
        car(c, c.roll(180, 211), c.roll(0, 300), c.roll(48, 100))
    for _ in c.times(0, 5):
        person(c, c.roll(176, 213), c.roll(0, 300), c.roll(31, 62))
    for _ in c.times(0, 3):
        c.pick(lamp_post, tree)(c, c.roll(172, 209), c.roll(0, 300), c.roll(55, 130))


def _tall_building(c):
    sky(c)
    for _ in c.times(4, 7):
        x = c.roll(-15, 270)
        tower(c, c.roll(66, 143), x, c.height, x + c.roll(40, 84))
    for _ in c.times(1, 3):
        x, top, wide = c.roll(30, 190), c.roll(-11, 45), c.roll(60, 115)
        tower(c, top, x, c.height, x + wide)
        if c.chance(60):  # its side in the shade
            shaded = c.roll(40, 90) + c.stripes(c.roll(6, 12), 0, 64, 15)
            c.paint(top, x + wide, c.height, x + wide + c.roll(12, 42), shaded)
        if c.chance(30):
            c.line(top - c.roll(11, 33), x + wide // 2, top, x + wide // 2, 3, 60)
    if c.chance(50):
        c.ground(c.skyline(c.roll(180, 211), 9, 30), c.roll(40, 90) + c.leaves)


def _industrial(c):
    sky(c)
    base = c.roll(154, 198)
    for _ in c.times(1, 3):  # halls of corrugated iron
        x, iron = c.roll(-30, 225), c.roll(90, 190) + c.stripes(c.roll(4, 10), 64, 0, c.roll(8, 25))
        c.box(c.roll(77, 136), x, base, x + c.roll(75, 165), iron, -30)
    for _ in c.times(1, 4):  # chimneys with smoke
        x, top, half = c.roll(15, 285), c.roll(0, 77), c.roll(4, 14)
        brick = c.roll(70, 180) + (c.column - x) * c.roll(-40, 40) // half + c.grain
        mouth = half * 7 // 10
        c.polygon([(top, x - mouth), (top, x + mouth), (base, x + half), (base, x - half)], brick)
        for puff in c.times(0, 5):
            size = 7 + 4 * puff
            c.ellipse(top - 6 * puff, x + c.roll(3, 8) * puff, size, size, c.roll(180, 240) + c.grain, 4)
    for _ in c.times(0, 4):  # tanks
        x, top, half = c.roll(0, 300), c.roll(99, 150), c.roll(15, 39)
        steel = c.roll(120, 210) - abs(c.column - x + half // 3) * 60 // half
        c.paint(top, x - half, base, x + half, steel)
        c.ellipse(top, x, half // 3, half, steel + 20)
    for _ in c.times(1, 5):  # pipes
        y, left, right, thick = c.roll(88, base), c.roll(-15, 150), c.roll(150, 315), c.roll(3, 8)
        shade = c.roll(60, 210)
        c.line(y, left, y, right, thick, shade)
        c.line(y - thick // 4, left, y - thick // 4, right, 2, shade + 40)
        c.line(y, right, c.height, right, thick, shade - 15)
    for _ in c.times(0, 3):  # lattice masts
        x, top, wide, shade = c.roll(0, 270), c.roll(11, 110), c.roll(14, 40), c.roll(30, 120)
        for y in range(top, base, wide):
            c.line(y, x, y + wide, x + wide, 2, shade)
            c.line(y, x + wide, y + wide, x, 2, shade)
            c.line(y, x, y, x + wide, 2, shade)
        c.line(top, x, base, x, 3, shade)
        c.line(top, x + wide, base, x + wide, 3, shade)
    c.ground(base, grass(c))


def _suburb(c):
    sky(c)
    base = c.roll(136, 172)
    if c.chance(75):
        c.ground(c.skyline(c.roll(77, 120), 18, 40), c.roll(50, 100) + c.leaves)
    c.ground(base, grass(c, 110, 160))
    for _ in c.times(1, 2):
        _house(c, base, c.roll(-15, 135), c.roll(115, 185), c.roll(35, 62))
    if c.chance(50):  # the drive
        x = c.roll(0, 210)
        c.polygon([(base, x), (base, x + 36), (c.height, x + c.roll(45, 150)), (c.height, x - c.roll(0, 75))],
                  c.roll(130, 200) + c.grain)
    if c.chance(35):  # the fence
        y, pickets = c.roll(167, 194), (c.column % c.roll(6, 10) < 4) | (c.row % 12 < 2)
        c.paint(y, 0, y + 22, c.width, 225, lambda row, column, part: pickets[part])
    for _ in c.times(1, 6):
        bush(c, base + c.roll(-4, 12), c.roll(0, 300), c.roll(6, 20))
    for _ in c.times(0, 3):
        tree(c, base + c.roll(-5, 25), c.roll(0, 300), c.roll(66, 143))


def _house(c, base, x, wide, tall):
    eaves, ridge = base - tall, base - tall - c.roll(22, 48)
    siding = c.roll(120, 225) + (c.stripes(c.roll(4, 8), 0, 64, c.roll(5, 16)) if c.chance(70) else c.grain)
    c.paint(eaves, x, base, x + wide, siding)
    for _ in c.times(1, 4):
        at = x + wide * c.roll(5, 80) // 100
        c.box(eaves + 9, at, eaves + c.roll(24, 33), at + c.roll(15, 36), c.roll(30, 100), 90)
    at = x + wide * c.roll(10, 80) // 100
    c.box(base - 31, at, base, at + 15, c.roll(40, 200), -30)
    if c.chance(50):  # the garage
        at = x + wide * c.roll(5, 60) // 100
        c.box(base - 29, at, base, at + 42, c.roll(140, 230) + c.stripes(c.roll(7, 10), 0, 64, 20), -40)
    left, right = x + wide * c.roll(10, 45) // 100, x + wide * c.roll(55, 90) // 100
    c.polygon([(ridge, left), (ridge, right), (eaves + 3, x + wide + 12), (eaves + 3, x - 12)],
              c.roll(50, 130) + c.stripes(c.roll(5, 9), 0, 64, c.roll(5, 18)))
    if c.chance(50):  # a gable
        at, half = x + wide * c.roll(25, 75) // 100, c.roll(24, 42)
        c.polygon([(ridge + 4, at), (eaves + 6, at + half), (eaves + 6, at - half)], siding)


# A class's place in this order is in the key of its dice: a new one goes to the end.
DRAWINGS = {
    "Bedroom": _bedroom,
    "Coast": _coast,
    "Forest": _forest,
    "Highway": _highway,
    "Industrial": _industrial,
    "InsideCity": _inside_city,
    "Kitchen": _kitchen,
    "LivingRoom": _living_room,
    "Mountain": _mountain,
    "Office": _office,
    "OpenCountry": _open_country,
    "Store": _store,
    "Street": _street,
    "Suburb": _suburb,
    "TallBuilding": _tall_building,
}
