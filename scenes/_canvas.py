"""What the built-in scenes are drawn on and with: a canvas, the dice, shapes and patterns.

All is integer arithmetic, and chance comes from the raw PCG64 stream, which NumPy promises never to change.
It promises no such thing for its distributions and float sums, nor do Pillow and OpenCV for drawing and
filtering. Whoever changes a single pixel must raise `scenes.synthetic.VERSION`.
"""

from math import isqrt

import numpy as np

# A wave like a sine in 256 steps from -127 to 127: two parabolas, as libm's sine differs between platforms.
_ARC = np.arange(128, dtype=np.int32)
_ARC = _ARC * (128 - _ARC) * 127 // 4096
_WAVE = np.concatenate([_ARC, -_ARC])


class Dice:
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


class Canvas:
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
        return wave(phase, amplitude)

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
        """Coordinates on the two side walls of a street or an aisle that vanishes at (y, x): down, depth.

        `down` is 0 at the height of (y, x) and negative above it.
        """
        distance = abs(self.column - x) + 1
        return (self.row - y) * 64 // distance, 64 * self.width // distance

    def floor_map(self, y, x):
        """Coordinates on its floor and ceiling: depth, across."""
        distance = abs(self.row - y) + 1
        return 64 * self.height // distance, (self.column - x) * 64 // distance


def wave(phase, amplitude):
    """The wave at `phase`, an array of 256ths of a period, from -amplitude to amplitude."""
    return _WAVE.take(phase & 255) * amplitude // 127


def cells(v, u, tall, wide):
    """In which cell of a lattice the places (v, u) lie, and where in it: row, column, down, along."""
    row, column = v // tall, u // wide
    return row, column, v - row * tall, u - column * wide


def _rough(dice, height, width, cell_y, cell_x, amplitude, octaves):
    """Value noise in octaves, each half as wide and as strong as the one before: clouds, leaves, ridges."""
    total = np.zeros((height, width), np.int32)
    for octave in range(octaves):
        cell = max(1, cell_y >> octave), max(1, cell_x >> octave)
        total += _noise(dice, height, width, *cell, amplitude >> octave)
    return total


def _noise(dice, height, width, cell_y, cell_x, amplitude):
    """Value noise: random numbers on a lattice, bilinear between them. int32 (height, width), around 0."""
    lattice = dice.grid(-amplitude, amplitude, height // cell_y + 3, width // cell_x + 3)
    y = np.arange(height, dtype=np.int32) + dice.roll(0, cell_y - 1)
    x = np.arange(width, dtype=np.int32) + dice.roll(0, cell_x - 1)
    row, column, down, along = cells(y, x, cell_y, cell_x)
    down = down[:, None]
    rows = lattice[row] * (cell_y - down) + lattice[row + 1] * down
    return (rows.take(column, 1) * (cell_x - along) + rows.take(column + 1, 1) * along) // (cell_y * cell_x)
