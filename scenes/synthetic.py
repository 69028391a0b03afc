"""The built-in scenes: fifteen classes of grey pictures, drawn from a seed.

They stand in for the 15 scenes of Lazebnik et al. (2006) where no real pictures are at hand. The classes have
the same names, the pictures about the same size, and methods come out in the same order: chance, tiny images,
bags of SIFT, and none of them perfect. They are caricatures, good for trying things out, not for claims.

The same seed gives the same pixels with every version of NumPy and on every processor. So everything here is
integer arithmetic, and chance comes from the raw PCG64 stream, which NumPy promises never to change. It
promises no such thing for its distributions and float sums, nor do Pillow and OpenCV for drawing and
filtering. Whoever changes a single pixel must raise `VERSION`: cached folders are named by it.

In reading order: chance, noise, the canvas, things to draw, the scenes, the photograph, the folder.
"""

import difflib
import json
import os
from contextlib import suppress
from math import isqrt
from pathlib import Path

import numpy as np
import platformdirs
from PIL import Image
from tqdm import tqdm

from scenes.files import scratch_folder, sync_folder

VERSION = 1
SPLITS = ("train", "test")


# ---------------------------------------------------------------------------------------------- chance

class _Dice:
    """Whole numbers from a stream that its key, some whole numbers, fixes for ever."""

    def __init__(self, *key):
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def roll(self, low, high):
        """One number from low to high, both included."""
        return low + ((int(self._bits.random_raw()) >> 32) * (high - low + 1) >> 32)

    def grid(self, low, high, *shape):
        """int32 array of numbers from low to high, both included."""
        bits = self._bits.random_raw(int(np.prod(shape))) >> np.uint64(32)
        return ((bits * np.uint64(high - low + 1) >> np.uint64(32)).astype(np.int32) + low).reshape(shape)


# ----------------------------------------------------------------------------------------------- noise

def _noise(dice, height, width, cell_y, cell_x, amplitude):
    """Value noise: random numbers on a lattice, bilinear between them. int32 (height, width), around 0."""
    lattice = dice.grid(-amplitude, amplitude, height // cell_y + 3, width // cell_x + 3)
    y = np.arange(height, dtype=np.int32) + dice.roll(0, cell_y - 1)
    x = np.arange(width, dtype=np.int32) + dice.roll(0, cell_x - 1)
    row, column, down, along = _cells(y, x, cell_y, cell_x)
    down = down[:, None]
    rows = lattice[row] * (cell_y - down) + lattice[row + 1] * down
    return (rows.take(column, 1) * (cell_x - along) + rows.take(column + 1, 1) * along) // (cell_y * cell_x)


def _rough(dice, height, width, cell_y, cell_x, amplitude, octaves):
    """Value noise in octaves, each half as wide and as strong as the one before: clouds, leaves, ridges."""
    total = np.zeros((height, width), np.int32)
    for octave in range(octaves):
        cells = max(1, cell_y >> octave), max(1, cell_x >> octave)
        total += _noise(dice, height, width, *cells, amplitude >> octave)
    return total


def _cells(v, u, tall, wide):
    """In which cell of a lattice the places (v, u) lie, and where in it: row, column, down, along."""
    row, column = v // tall, u // wide
    return row, column, v - row * tall, u - column * wide


# ------------------------------------------------------------------------------------------ the canvas

# A wave like a sine in 256 steps from -127 to 127: two parabolas, as libm's sine differs between platforms.
_ARC = np.arange(128, dtype=np.int32)
_ARC = _ARC * (128 - _ARC) * 127 // 4096
_WAVE = np.concatenate([_ARC, -_ARC])


class _Canvas:
    """A grey picture in the making, int32 (height, width), with the dice it is drawn by.

    Coordinates are pixels, (y, x) from the top left corner; things are placed as if every picture had
    220 x 300. Shapes may hang over the border. A `shade` is a number, or a texture: an array that
    broadcasts to the picture.
    """

    def __init__(self, dice):
        self.dice, self.roll, self.grid = dice, dice.roll, dice.grid
        self.height, self.width = dice.roll(208, 232), dice.roll(280, 320)
        self.pixels = np.zeros((self.height, self.width), np.int32)
        self.row = np.arange(self.height, dtype=np.int32)[:, None]
        self.column = np.arange(self.width, dtype=np.int32)[None, :]
        self.grain = self.rough(self.roll(10, 24), self.roll(10, 24), self.roll(5, 9), 4)
        self.leaves = self.rough(self.roll(6, 14), self.roll(6, 14), self.roll(30, 55), 3)

    def chance(self, percent):
        return self.roll(1, 100) <= percent

    def pick(self, *options):
        return options[self.roll(0, len(options) - 1)]

    def times(self, low, high):
        return range(self.roll(low, high))

    def rough(self, cell_y, cell_x, amplitude, octaves=3):
        return _rough(self.dice, self.height, self.width, cell_y, cell_x, amplitude, octaves)

    def skyline(self, base, amplitude, cell):
        """A rugged line across the picture, int32 (width,): its y at every x."""
        return base + _rough(self.dice, 1, self.width, 1, cell, amplitude, 4)[0]

    def stripes(self, period, across, down, amplitude):
        """Texture of a grating, `period` pixels along the direction (across, down), given in 64ths."""
        phase = (self.column * across + self.row * down) * 4 // period + self.roll(0, 255)
        return _WAVE.take(phase & 255) * amplitude // 127

    def cloth(self):
        """Texture of a cover, a rug, a poster: plain, mottled, striped or checked."""
        period, amplitude = self.roll(7, 22), self.roll(12, 28)
        kind = self.roll(0, 4)
        if kind < 2:
            return self.grain if kind else self.leaves // 2
        if kind < 4:
            return self.stripes(period, *((64, 0) if kind == 2 else (0, 64)), amplitude)
        return self.stripes(period, 45, 45, amplitude) + self.stripes(period, -45, 45, amplitude)

    def where(self, mask, shade):
        np.copyto(self.pixels, shade, where=mask)

    def ground(self, line, shade):
        """Everything below a line: one y, or the y at every x."""
        self.where(self.row >= line, shade)

    def paint(self, top, left, bottom, right, shade, inside=None):
        """A rectangle, bottom and right excluded, or what `inside(rows, columns, part)` marks of it."""
        top, left, bottom, right = max(0, top), max(0, left), min(self.height, bottom), min(self.width, right)
        if top >= bottom or left >= right:
            return
        part = np.s_[top:bottom, left:right]
        if isinstance(shade, np.ndarray):
            shade = np.broadcast_to(shade, self.pixels.shape)[part]
        mask = True if inside is None else inside(self.row[top:bottom], self.column[:, left:right], part)
        np.copyto(self.pixels[part], shade, where=mask)

    def box(self, top, left, bottom, right, shade, rim=0):
        """A rectangle with a rim one pixel wide that is lighter or darker by `rim`."""
        if rim:
            self.paint(top, left, bottom, right, shade + rim)
            self.paint(top + 1, left + 1, bottom - 1, right - 1, shade)
        else:
            self.paint(top, left, bottom, right, shade)

    def polygon(self, corners, shade):
        """A convex polygon from its (y, x) corners, clockwise as seen on the screen."""
        def inside(row, column, _):
            mask = True
            for (y0, x0), (y1, x1) in zip(corners, corners[1:] + corners[:1], strict=True):
                mask = mask & ((column - x0) * (y1 - y0) <= (row - y0) * (x1 - x0))
            return mask

        y, x = zip(*corners, strict=True)
        self.paint(min(y), min(x), max(y) + 1, max(x) + 1, shade, inside)

    def ellipse(self, y, x, radius_y, radius_x, shade, ragged=0):
        """An ellipse; `ragged`, up to 8, frays its border as leaves do."""
        def inside(row, column, part):
            distance = ((row - y) * 64 // radius_y) ** 2 + ((column - x) * 64 // radius_x) ** 2
            return distance + self.leaves[part] * (8 * ragged) < 4096

        reach_y, reach_x = radius_y * (8 + ragged) // 8, radius_x * (8 + ragged) // 8
        self.paint(y - reach_y, x - reach_x, y + reach_y + 1, x + reach_x + 1, shade, inside)

    def line(self, y0, x0, y1, x1, thick, shade):
        """A straight bar."""
        limit = thick * isqrt((y1 - y0) ** 2 + (x1 - x0) ** 2)

        def inside(row, column, _):
            return 2 * abs((column - x0) * (y1 - y0) - (row - y0) * (x1 - x0)) < limit

        more_y, more_x = (thick, 0) if y0 == y1 else (0, thick)
        self.paint(min(y0, y1) - more_y, min(x0, x1) - more_x,
                   max(y0, y1) + more_y + 1, max(x0, x1) + more_x + 1, shade, inside)

    def wall_map(self, y, x):
        """Coordinates on the two side walls of a street or an aisle that vanishes at (y, x): up, depth."""
        distance = abs(self.column - x) + 1
        return (self.row - y) * 64 // distance, 64 * self.width // distance

    def floor_map(self, y, x):
        """Coordinates on its floor and ceiling: depth, across."""
        distance = abs(self.row - y) + 1
        return 64 * self.height // distance, (self.column - x) * 64 // distance


# ------------------------------------------------------------------------------- things found outdoors

def _sky(c):
    """Fills the picture."""
    c.pixels[:] = c.roll(150, 230) + c.row * c.roll(-10, 50) // c.height
    if c.chance(65):
        clouds = c.rough(c.roll(20, 50), c.roll(40, 110), c.roll(25, 50), 4)
        c.pixels += np.maximum(clouds + c.roll(-20, 10), 0)


def _grass(c, low=80, high=135):
    """Texture of meadow, gravel or earth."""
    return c.roll(low, high) + c.rough(c.roll(2, 5), c.roll(5, 12), c.roll(12, 24), 2) + c.grain


def _tree(c, y, x, size):
    shade = c.roll(45, 85)
    c.line(y - size, x, y, x + c.roll(-2, 2), max(2, size // 12), shade - 25)
    for _ in c.times(1, 3):
        tall, wide = max(3, size * c.roll(25, 45) // 100), max(3, size * c.roll(22, 40) // 100)
        c.ellipse(y - size + c.roll(-size // 5, size // 5), x + c.roll(-size // 5, size // 5), tall, wide,
                  shade + c.leaves, 4)


def _bush(c, y, x, size):
    c.ellipse(y, x, size, size * c.roll(10, 18) // 10, c.roll(45, 115) + c.leaves, 5)


def _ridge(c, base, amplitude, shade):
    """A mountain chain with bright and dark slopes, sometimes with snow on top."""
    line = c.skyline(base, amplitude, c.roll(40, 110))
    slopes = shade + abs(c.rough(c.roll(20, 40), c.roll(14, 30), c.roll(45, 75), 4))
    c.ground(line, slopes)
    if c.chance(50):
        snow = line + amplitude * c.roll(3, 10) // 10 + c.grain * 2
        c.where((c.row >= line) & (c.row < snow), slopes + c.roll(60, 100))


def _windows(c, v, u, tall, wide, wall, glass, style="holes"):
    """Texture of a facade, a window every `tall` by `wide` of the wall's coordinates (v, u).

    `style` is "holes" (single windows), "bands" (ribbons from side to side) or "piers" (from top to bottom).
    """
    row, column, down, along = _cells(v, u, tall, wide)
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


def _tower(c, top, left, bottom, right):
    facade = _windows(c, c.row - top, c.column - left, c.roll(7, 9), c.roll(6, 8),
                      c.roll(110, 200), c.roll(40, 90), c.pick("holes", "bands", "piers"))
    c.paint(top, left, bottom, right, facade)


def _road(c, y, x, left, right):
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


def _car(c, y, x, size):
    shade, wheel = c.roll(40, 220), max(1, size // 9)
    c.box(y - size // 3, x - size // 2, y, x + size // 2, shade, -25)
    c.box(y - size * 6 // 10, x - size // 3, y - size // 3, x + size // 3, c.roll(30, 90), shade - 60)
    c.ellipse(y, x - size * 3 // 10, wheel, wheel, 25)
    c.ellipse(y, x + size * 3 // 10, wheel, wheel, 25)


def _person(c, y, x, size):
    shade = c.roll(30, 190)
    c.ellipse(y - size * 9 // 10, x, max(1, size // 11), max(1, size // 12), c.roll(90, 200))
    c.paint(y - size * 8 // 10, x - size // 8, y - size * 4 // 10, x + size // 8 + 1, shade)
    c.paint(y - size * 4 // 10, x - size // 10, y, x + size // 10 + 1, shade - c.roll(-30, 50))


def _lamp_post(c, y, x, size):
    shade = c.roll(30, 110)
    c.line(y - size, x, y, x, max(2, size // 40), shade)
    c.line(y - size, x, y - size, x + c.roll(-size, size) // 5, 2, shade)


# -------------------------------------------------------------------------------- things found indoors

def _room(c, wall, floor):
    """Fills the picture with walls, floor and ceiling. Where the back wall is: top, left, bottom, right."""
    top, bottom, left, right = c.roll(-26, 36), c.roll(140, 180), c.roll(-60, 60), c.roll(240, 360)
    back = wall + c.grain
    if c.chance(25):
        back = back + c.stripes(c.roll(6, 16), 64, 0, c.roll(4, 14))  # wallpaper
    boards = floor + c.grain
    if c.chance(55):
        depth, across = c.floor_map((top + bottom) // 2, (left + right) // 2)
        row, column, _, along = _cells(depth, across, c.roll(8, 20), c.roll(10, 30))
        boards = boards + c.grid(-14, 14, 16, 16)[row & 15, column & 15] - np.where(along < 2, 25, 0)
    c.pixels[:] = back + c.roll(-40, 15)  # the side walls
    c.paint(top, left, bottom, right, back)
    reach = right - left
    c.polygon([(bottom, left), (bottom, right), (440, right + reach), (440, left - reach)], boards)
    c.polygon([(top, right), (top, left), (-220, left - reach), (-220, right + reach)], wall + c.roll(5, 40))
    c.line(bottom, left, bottom, right, c.roll(2, 4), wall - c.roll(20, 60))
    return top, left, bottom, right


def _window(c, top, left, bottom, right):
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


def _picture(c):
    y, x, tall, wide = c.roll(10, 75), c.roll(10, 270), c.roll(14, 36), c.roll(14, 40)
    c.box(y, x, y + tall, x + wide, c.roll(30, 120), 30)
    c.paint(y + 3, x + 3, y + tall - 3, x + wide - 3, c.roll(100, 220) + c.cloth())


def _lamp(c, y, x, size):
    c.line(y - size, x, y, x, 2, c.roll(40, 110))
    c.polygon([(y - size, x - size // 6), (y - size, x + size // 6), (y - size * 6 // 10, x + size // 3),
               (y - size * 6 // 10, x - size // 3)], c.roll(200, 250))


def _shelf(c, v, u, tall, wide, board):
    """Texture of full shelves in the coordinates (v, u): books or goods of all shades and heights, boards."""
    row, column, down, along = _cells(v, u, tall, wide)
    goods = c.grid(30, 230, 16, 32)[row & 15, column & 31]
    label = (down > tall * 6 // 10) & (along > 1) & (column & 1 == 0)
    above = down < c.grid(tall // 8, tall // 2, 16, 32)[row & 15, column & 31]
    goods = np.where(above | (along < 1), 35, np.where(label, 255 - goods, goods))
    return np.where(down >= tall - max(2, tall // 10), board, goods)


def _cabinet(c, top, left, bottom, right, shade, doors):
    """Doors or drawers side by side, each with a panel and a handle."""
    texture, panel, middle = shade + c.grain, c.pick(-22, 18), (top + bottom) // 2
    for door in range(doors):
        x0, x1 = left + (right - left) * door // doors, left + (right - left) * (door + 1) // doors
        c.box(top, x0, bottom, x1, texture, -45)
        c.box(top + 5, x0 + 5, bottom - 5, x1 - 5, texture, panel)
        c.paint(middle - 3, x1 - 6, middle + 4, x1 - 4, shade - 80)


def _table(c, y, left, right, tall, shade):
    c.paint(y, left + 4, y + tall, left + 8, shade - 35)
    c.paint(y, right - 7, y + tall, right - 3, shade - 35)
    c.box(y - c.roll(3, 7), left, y + 2, right, shade + c.grain, 20)


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


def _monitor(c, y, x, size):
    c.box(y - size - 4, x, y - 6, x + size * 5 // 4, c.roll(150, 220), -40)
    c.paint(y - size, x + 4, y - 11, x + size * 5 // 4 - 4, c.roll(20, 110) + c.grain)
    c.paint(y - 6, x + size // 3, y - 2, x + size, 90)


# ------------------------------------------------------------------------------------------ the scenes

def _bedroom(c):
    _, _, bottom, _ = _room(c, c.roll(140, 205), c.roll(80, 130))
    if c.chance(60):
        x = c.roll(15, 210)
        _window(c, c.roll(10, 44), x, c.roll(88, 126), x + c.roll(45, 90))
    for _ in c.times(0, 2):
        _picture(c)
    if c.chance(45):
        x = c.roll(0, 240)
        _cabinet(c, c.roll(33, 88), x, bottom, x + c.roll(36, 75), c.roll(70, 170), c.roll(1, 2))
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
    _cabinet(c, head + 8, side, head + 48, side + 24, c.roll(50, 150), 1)
    _lamp(c, head + 8, side + 12, c.roll(26, 48))


def _living_room(c):
    _, _, bottom, _ = _room(c, c.roll(130, 195), c.roll(80, 140))
    if c.chance(70):
        x = c.roll(15, 200)
        _window(c, c.roll(10, 44), x, c.roll(88, 130), x + c.roll(54, 105))
    for _ in c.times(1, 4):
        _picture(c)
    if c.chance(30):
        x = c.roll(0, 230)
        books = _shelf(c, c.row, c.column, c.roll(22, 34), c.roll(4, 9), c.roll(60, 150))
        c.paint(c.roll(22, 66), x, bottom, x + c.roll(36, 66), books)
    y = c.roll(158, 190)
    c.polygon([(y, c.roll(45, 105)), (y, c.roll(180, 255)), (230, c.roll(225, 330)), (230, c.roll(-30, 75))],
              c.roll(80, 180) + c.cloth())
    for _ in c.times(1, 3):
        _sofa(c, c.roll(108, 142), c.roll(-15, 180), c.roll(44, 66), c.roll(75, 145))
    if c.chance(70):
        _table(c, c.roll(172, 198), c.roll(60, 120), c.roll(150, 225), 26, c.roll(50, 150))
    if c.chance(60):
        _plant(c, c.roll(130, 195), c.roll(15, 285), c.roll(44, 100))
    _lamp(c, c.roll(100, 165), c.roll(15, 285), c.roll(40, 88))


def _kitchen(c):
    _room(c, c.roll(130, 200), c.roll(90, 150))
    shade, counter, hung = c.roll(120, 225), c.roll(115, 140), c.roll(48, 78)
    _, _, down, along = _cells(c.row, c.column + c.roll(0, 9), c.roll(7, 14), c.roll(7, 18))
    tiles = np.where((down < 1) | (along < 1), -c.roll(25, 60), 0)
    c.paint(hung, 0, counter, c.width, c.roll(140, 215) + c.grain + (tiles if c.chance(75) else 0))
    _cabinet(c, c.roll(-25, 10), c.roll(-30, 60), hung, c.roll(240, 330), shade, c.roll(4, 8))
    if c.chance(45):
        x = c.roll(75, 180)
        _window(c, c.roll(10, 33), x, counter - 12, x + c.roll(48, 84))
    _cabinet(c, counter + 14, -10, 207, c.width + 10, shade, c.roll(4, 7))
    _cabinet(c, counter, -10, counter + 14, c.width + 10, shade, c.roll(4, 7))
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
        _cabinet(c, c.roll(18, 48), x, 213, x + c.roll(54, 78), c.roll(170, 240), 1)


def _office(c):
    top, left, bottom, right = _room(c, c.roll(140, 210), c.roll(70, 120))
    depth, across = c.floor_map((top + bottom) // 2, (left + right) // 2)
    row, column, down, along = _cells(depth, across, 12, 20)
    panels = c.roll(175, 225) + np.where((row % 3 == 0) & (column & 1 == 0), 40, 0)
    panels = panels - np.where((along < 1) | (down < 1), 60, 0)
    c.polygon([(top, right), (top, left), (-220, 2 * left - right), (-220, 2 * right - left)], panels)
    if c.chance(55):
        x = c.roll(0, 195)
        _window(c, c.roll(18, 44), x, c.roll(88, 126), x + c.roll(60, 120))
    for _ in c.times(1, 2):
        x, y, tall = c.roll(-15, 210), c.roll(18, 70), c.roll(20, 34)
        books = _shelf(c, c.row - y, c.column - x, tall, c.roll(3, 7), c.roll(60, 170))
        c.paint(y, x, y + tall * c.roll(1, 4), x + c.roll(66, 145), books)
    if c.chance(50):
        _picture(c)
    for desk in c.times(1, 2):
        y, x, wide = c.roll(128, 148) + 30 * desk, c.roll(-30, 90) + 90 * desk, c.roll(120, 225)
        shade = c.roll(60, 150)
        _table(c, y, x, x + wide, 66, shade)
        if c.chance(60):
            _cabinet(c, y + 3, x + wide - 42, y + 57, x + wide - 3, shade, 1)
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


def _store(c):
    _room(c, c.roll(150, 210), c.roll(120, 180))
    y, x = c.roll(70, 100), c.roll(100, 200)
    if c.chance(60):  # an aisle; else shelves from the front
        up, depth = c.wall_map(y, x)
        goods = _shelf(c, up + 9600, depth, c.roll(13, 22), c.roll(5, 11), c.roll(130, 220))
        c.where((up > -c.roll(20, 45)) & (up < c.roll(35, 70)) & (abs(c.column - x) > c.roll(9, 27)), goods)
    else:
        goods = _shelf(c, c.row, c.column, c.roll(22, 42), c.roll(8, 20), c.roll(130, 220))
        c.paint(c.roll(18, 55), c.roll(-30, 45), c.roll(165, 215), c.roll(255, 330), goods)
    if c.chance(50):  # a stand in front
        goods = _shelf(c, c.row, c.column, c.roll(14, 30), c.roll(6, 14), c.roll(100, 220))
        at = c.roll(0, 210)
        c.paint(c.roll(110, 150), at, c.height, at + c.roll(50, 100), goods)
    for _ in c.times(1, 3):  # lamps and signs
        at, top = c.roll(0, 280), c.roll(0, 40)
        if c.chance(60):
            c.line(top, at, y * 7 // 10, (at + x * 2) // 3, c.roll(3, 8), 250)
        else:
            c.box(top, at, top + c.roll(10, 22), at + c.roll(25, 60), c.roll(40, 230) + c.leaves // 3, 40)
    if c.chance(45):
        _person(c, c.roll(165, 210), c.roll(30, 270), c.roll(66, 110))


def _coast(c):
    horizon = c.roll(65, 125)
    _sky(c)
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
    _sky(c)
    for _ in c.times(0, 2):
        hills = c.skyline(horizon - c.roll(0, 13), c.roll(4, 26), c.roll(60, 160))
        c.ground(hills, c.roll(80, 140) + c.grain)
    c.ground(horizon, _grass(c))
    for _ in c.times(1, 4):
        c.ground(c.skyline(c.roll(horizon, 220), c.roll(2, 11), c.roll(80, 160)), _grass(c))
    if c.chance(30):  # furrows
        _, across = c.floor_map(horizon, c.roll(0, 300))
        furrows = _WAVE.take((across * c.roll(6, 14)) & 255) * c.roll(10, 30) // 127
        c.ground(horizon + c.roll(11, 55), c.pixels + furrows)
    for _ in c.times(0, 12):
        y = c.roll(horizon, 165)
        _tree(c, y, c.roll(0, 300), 6 + (y - horizon) * c.roll(30, 70) // 100)
    if c.chance(35):
        _tree(c, c.roll(165, 210), c.roll(15, 285), c.roll(77, 143))


def _mountain(c):
    _sky(c)
    _ridge(c, c.roll(62, 110), c.roll(44, 80), c.roll(80, 150))
    for _ in c.times(0, 2):
        _ridge(c, c.roll(115, 170), c.roll(22, 52), c.roll(60, 130))
    if c.chance(55):
        line = c.roll(165, 210)
        c.ground(c.skyline(line, 13, 80), c.pick(_grass(c), c.roll(50, 90) + c.leaves))
        for _ in c.times(5, 25):
            y, x, size = c.roll(line - 10, 225), c.roll(0, 300), c.roll(18, 52)
            c.polygon([(y - size, x), (y, x + size // 4), (y, x - size // 4)], c.roll(30, 75) + c.leaves // 2)


def _forest(c):
    c.pixels[:] = c.roll(40, 90) + c.row * c.roll(30, 80) // c.height + c.leaves
    c.pixels += c.rough(c.roll(20, 50), c.roll(20, 50), c.roll(20, 40), 3)
    floor, lean = c.roll(132, 202), c.roll(-8, 8)
    if c.chance(70):
        c.ground(c.skyline(floor, 9, 70), _grass(c) + c.leaves // 2)
    bark = c.stripes(c.roll(4, 9), 62, 12, 18) + c.leaves // 2
    for _ in c.times(3, 16):
        x, thick = c.roll(0, 300), c.pick(c.roll(2, 6), c.roll(4, 12), c.roll(8, 26))
        c.line(-4, x + lean + c.roll(-9, 9), floor + c.roll(-13, 35), x, thick, c.roll(25, 110) + bark)
    for _ in c.times(2, 9):
        crown = c.roll(40, 100) + c.leaves
        c.ellipse(c.roll(-11, 121), c.roll(0, 300), c.roll(13, 40), c.roll(18, 54), crown, 6)
    for _ in c.times(0, 6):
        _bush(c, c.roll(165, 220), c.roll(0, 300), c.roll(9, 30))


def _highway(c):
    y, x = c.roll(66, 116), c.roll(75, 225)
    _sky(c)
    if c.chance(60):
        far = c.skyline(y, c.roll(4, 26), c.roll(50, 150))
        c.ground(far, c.roll(70, 140) + c.pick(c.grain, c.leaves // 2))
    c.ground(y, _grass(c))
    _road(c, y, x, c.roll(-240, 10), c.roll(290, 540))
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
        _car(c, at, x + (at - y) * c.roll(-90, 90) // 100, 6 + (at - y) * c.roll(30, 60) // 100)
    for _ in c.times(0, 4):
        c.pick(_lamp_post, _tree)(c, y + c.roll(2, 20), c.roll(0, 300), c.roll(22, 100))


def _street(c):
    y, x = c.roll(99, 136), c.roll(90, 210)
    _sky(c)
    if c.chance(60):
        _tower(c, c.roll(33, 77), x - 30, y + 8, x + 30)
    up, depth = c.wall_map(y, x)
    for side in (-1, 1):
        wall = _windows(c, up + 9600, depth, c.roll(14, 24), c.roll(9, 20), c.roll(80, 200), c.roll(40, 110))
        roofs = c.grid(40, 110, 32)[(depth // c.roll(40, 90)) & 31]
        c.where((side * (c.column - x) > c.roll(6, 27)) & (up > -roofs) & (up < 30), wall)
    c.ground(y + abs(c.column[0] - x) * 28 // 64, c.roll(110, 170) + c.grain)
    _road(c, y, x, c.roll(-120, 45), c.roll(255, 420))
    for _ in c.times(1, 6):
        at = c.roll(y + 6, 202)
        aside = c.pick(-1, 1) * (at - y) * c.roll(50, 140) // 100
        _car(c, at, x + aside, 8 + (at - y) * c.roll(40, 70) // 100)
    for _ in c.times(0, 5):
        at = c.roll(y + 6, 209)
        _person(c, at, c.roll(0, 300), 8 + (at - y) * c.roll(50, 80) // 100)
    for _ in c.times(0, 4):
        c.pick(_lamp_post, _tree)(c, c.roll(y + 5, 198), c.roll(0, 300), c.roll(55, 130))


def _inside_city(c):
    _sky(c)
    foot, x = c.roll(160, 195), c.roll(-60, 0)
    while x < c.width:
        wide, top, wall, glass = c.roll(84, 225), c.roll(-55, 57), c.roll(80, 200), c.roll(30, 110)
        facade = _windows(c, c.row - top, c.column - x, c.roll(26, 56), c.roll(18, 44), wall, glass)
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
        _car(c, c.roll(180, 211), c.roll(0, 300), c.roll(48, 100))
    for _ in c.times(0, 5):
        _person(c, c.roll(176, 213), c.roll(0, 300), c.roll(31, 62))
    for _ in c.times(0, 3):
        c.pick(_lamp_post, _tree)(c, c.roll(172, 209), c.roll(0, 300), c.roll(55, 130))


def _tall_building(c):
    _sky(c)
    for _ in c.times(4, 7):
        x = c.roll(-15, 270)
        _tower(c, c.roll(66, 143), x, c.height, x + c.roll(40, 84))
    for _ in c.times(1, 3):
        x, top, wide = c.roll(30, 190), c.roll(-11, 45), c.roll(60, 115)
        _tower(c, top, x, c.height, x + wide)
        if c.chance(60):  # its side in the shade
            shaded = c.roll(40, 90) + c.stripes(c.roll(6, 12), 0, 64, 15)
            c.paint(top, x + wide, c.height, x + wide + c.roll(12, 42), shaded)
        if c.chance(30):
            c.line(top - c.roll(11, 33), x + wide // 2, top, x + wide // 2, 3, 60)
    if c.chance(50):
        c.ground(c.skyline(c.roll(180, 211), 9, 30), c.roll(40, 90) + c.leaves)


def _industrial(c):
    _sky(c)
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
    c.ground(base, _grass(c))


def _suburb(c):
    _sky(c)
    base = c.roll(136, 172)
    if c.chance(75):
        c.ground(c.skyline(c.roll(77, 120), 18, 40), c.roll(50, 100) + c.leaves)
    c.ground(base, _grass(c, 110, 160))
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
        _bush(c, base + c.roll(-4, 12), c.roll(0, 300), c.roll(6, 20))
    for _ in c.times(0, 3):
        _tree(c, base + c.roll(-5, 25), c.roll(0, 300), c.roll(66, 143))


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


_SCENES = {
    "Bedroom": _bedroom, "Coast": _coast, "Forest": _forest, "Highway": _highway, "Industrial": _industrial,
    "InsideCity": _inside_city, "Kitchen": _kitchen, "LivingRoom": _living_room, "Mountain": _mountain,
    "Office": _office, "OpenCountry": _open_country, "Store": _store, "Street": _street, "Suburb": _suburb,
    "TallBuilding": _tall_building,
}
CLASSES = tuple(_SCENES)


# -------------------------------------------------------------------------------------- the photograph

def _clutter(c):
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


def _expose(c):
    """Light, lens and sensor: what makes two pictures of one thing differ. uint8 (height, width)."""
    pixels = np.clip(c.pixels, 0, 255)
    pixels += pixels * (255 - pixels) * c.roll(-75, 75) // (255 * 256)  # bends the middle tones like a gamma
    light = 256 + (c.column * 2 - c.width) * c.roll(-50, 50) // c.width
    light = light + (c.row * 2 - c.height) * c.roll(-35, 35) // c.height
    y, x = c.roll(0, 220), c.roll(0, 300)  # brighter or darker away from this place
    light = light - ((c.row - y) ** 2 + (c.column - x) ** 2) * c.roll(-20, 60) // (c.width * c.width)
    pixels = pixels * light * c.roll(60, 105) // 25600 + c.roll(-10, 15)
    if c.chance(75):  # out of focus
        padded = np.pad(pixels, 1, mode="edge")
        rows = padded[:-2] + padded[1:-1] + padded[2:]
        pixels = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) // 9
    strength = c.roll(1, 4)
    pixels += c.grid(-strength, strength, *pixels.shape) + c.grid(-strength, strength, *pixels.shape)
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels[:, ::-1]) if c.chance(50) else pixels


def draw_scene(class_name: str, index: int, *, split: str = "train", seed: int = 0) -> np.ndarray:
    """A picture of a scene of the given class.

    Parameters
    ----------
    class_name : str
        One of `CLASSES`.
    index : int
        Which picture of the class, 0 to 2**32 - 1. `synthetic_folder` counts from 1.
    split : "train" or "test"
        The two have no picture in common.
    seed : int, default=0
        Which set of pictures, 0 to 2**32 - 1.

    Returns
    -------
    ndarray of uint8 (height, width)
        208 to 232 by 280 to 320 grey pixels: the same ones everywhere, about 6 ms.

    Raises
    ------
    ValueError
        An unknown class or split, a number out of range.

    Examples
    --------
    >>> pixels = draw_scene("Coast", 1)
    >>> pixels.shape, pixels.dtype.name
    ((220, 298), 'uint8')
    """
    if class_name not in _SCENES:
        lower = {name.lower(): name for name in CLASSES}
        near = [lower[name] for name in difflib.get_close_matches(str(class_name).lower(), lower)]
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(CLASSES)}"
        raise ValueError(f"unknown class {class_name!r}: {hint}")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: choose train or test")
    index, seed = _whole("index", index, 0), _whole("seed", seed, 0)
    c = _Canvas(_Dice(VERSION, seed, CLASSES.index(class_name), SPLITS.index(split), index))
    _SCENES[class_name](c)
    _clutter(c)
    return _expose(c)


# ------------------------------------------------------------------------------------------ the folder

_ABOUT = "synthetic.json"  # in the folder: which set it holds


def synthetic_folder(
    to: str | os.PathLike | None = None, *, n_train: int = 20, n_test: int = 20, seed: int = 0
) -> Path:
    """A folder of scenes of all classes, drawn if it is not there yet.

    Parameters
    ----------
    to : path, optional
        A new or empty folder, or one that holds these very scenes already. By default one in the user's
        cache folder, which is drawn anew if it is damaged.
    n_train, n_test : int, default=20
        Pictures a class, 1 to 9999. A larger set begins with the pictures of the smaller one.
    seed : int, default=0
        As for `draw_scene`.

    Returns
    -------
    Path
        Holds ``train/<class>/image_0001.png``, ``test/<class>/image_0001.png`` and so on. It is complete
        whenever it is there, even if several processes make it at once. 40 pictures a class take about 6 s
        and 24 MB.

    Raises
    ------
    ValueError
        A number out of range; `to` holds something else.
    OSError
        The folder cannot be written.
    """
    counts = {"train": _whole("n_train", n_train, 1, 9999), "test": _whole("n_test", n_test, 1, 9999)}
    seed = _whole("seed", seed, 0)
    if to is None:
        name = f"v{VERSION}-seed{seed}-{counts['train']}-{counts['test']}"
        folder = platformdirs.user_cache_path("scenebench") / "synthetic" / name
    else:
        folder = Path(to).absolute()
    about = json.dumps({"made by": "scenes.synthetic", "version": VERSION, "seed": seed, **counts})
    names = {
        f"{split}/{name}/image_{index:04d}.png": (name, index, split)
        for split in SPLITS for name in CLASSES for index in range(1, counts[split] + 1)
    }
    if _is_complete(folder, about, names):
        return folder
    if to is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} holds something else than these scenes: name a new or an empty folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder.parent) as scratch:
        made = scratch / "made"
        _draw_into(made, names, seed)
        (made / _ABOUT).write_text(about, "utf-8")
        sync_folder(made)
        if to is None and not _is_complete(folder, about, names):
            with suppress(FileNotFoundError):
                os.rename(folder, scratch / "damaged")
        with suppress(OSError):
            folder.rmdir()  # an empty one; Windows does not rename over it
        try:
            os.rename(made, folder)
        except OSError:  # another process was faster?
            if not _is_complete(folder, about, names):
                raise
    return folder


def _draw_into(folder, names, seed):
    bar = tqdm(names.items(), desc="drawing scenes", unit=" images", disable=None, leave=False)
    for name, (class_name, index, split) in bar:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = draw_scene(class_name, index, split=split, seed=seed)
        Image.fromarray(pixels).save(folder / name, compress_level=1)


def _whole(name, value, low, high=2**32 - 1):
    if not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}: give a whole number from {low} to {high}")
    return int(value)


def _is_complete(folder, about, names):
    """Whether the folder is the wanted set: no file missing, empty or too many; hidden files do not count."""
    try:
        found = {path.relative_to(folder).as_posix() for path in folder.glob("*/*/*")
                 if not path.name.startswith(".") and path.stat().st_size > 0}
        return found == names.keys() and (folder / _ABOUT).read_text("utf-8") == about
    except (OSError, UnicodeDecodeError):
        return False
