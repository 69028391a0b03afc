"""Boxes, forks and frames placed below each other and written as SVG.

Every piece has an axis: what comes before enters at its top, on the axis, and what follows leaves at its
bottom. Lengths are pixels. Equal pieces give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from xml.sax.saxutils import escape

GAP = 20  # between pieces, room for an arrow
_LINE = 15
_CHARACTER = 6.4  # generous mean width at 11 px
_COLUMN_GAP = 16
_LEAD = 9  # from a fork's top to where its branches part
_PAD, _TITLE = 12, 20  # inside a frame
_MARGIN = 24
_COLOURS = {
    "conv": "#dbe9f6",
    "projection": "#fde0c0",
    "linear": "#dff0d8",
    "pool": "#eee3f5",
    "other": "#f3f3f3",
}
_STYLE = (
    "text{font:11px Helvetica,Arial,sans-serif;text-anchor:middle;fill:#222}"
    ".small{font-size:10px;fill:#666}.left{text-anchor:start}.title{font-size:14px;font-weight:bold}"
    ".box{stroke:#555;stroke-width:1}.frame{fill:none;stroke:#999;stroke-dasharray:4 3}"
    ".line{fill:none;stroke:#333;stroke-width:1.2}.skip{stroke:#b5501b;stroke-width:1.6}"
)
_HEAD = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
    'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#333"/></marker></defs>'
)


class Piece(Protocol):
    """Something with a width on either side of its axis and a height."""

    left: float
    right: float
    height: float

    def draw(self, x: float, y: float) -> list[str]:
        """SVG elements with the axis at `x` and the top at `y`."""


@dataclass
class Box:
    """A rectangle with lines of text; the last one, if any, is small and grey."""

    lines: Sequence[str]
    small: str = ""
    kind: str = "other"
    left: float = field(init=False)
    right: float = field(init=False)
    height: float = field(init=False)

    def __post_init__(self):
        longest = max(len(line) for line in (*self.lines, self.small))
        self.left = self.right = max(96.0, longest * _CHARACTER + 16) / 2
        self.height = _LINE * (len(self.lines) + bool(self.small)) + 8.0

    def draw(self, x: float, y: float) -> list[str]:
        """A rectangle and its text."""
        out = [
            f'<rect class="box" x="{_n(x - self.left)}" y="{_n(y)}" width="{_n(2 * self.left)}" '
            f'height="{_n(self.height)}" rx="4" fill="{_COLOURS[self.kind]}"/>'
        ]
        for i, line in enumerate(self.lines):
            out.append(_text(line, x, y + _LINE * (i + 1)))
        if self.small:
            out.append(_text(self.small, x, y + _LINE * (len(self.lines) + 1), "small"))
        return out


@dataclass
class Merge:
    """Where branches join: a circle with + for a sum, a pill with its shape for a concatenation."""

    sum: bool
    small: str
    left: float = field(init=False)
    right: float = field(init=False)
    height: float = 22.0

    def __post_init__(self):
        self.left = self.right = 11.0 if self.sum else (len(self._label()) * _CHARACTER + 24) / 2

    def draw(self, x: float, y: float) -> list[str]:
        """The symbol."""
        size = f'width="{_n(2 * self.left)}" height="{_n(self.height)}" rx="11"'
        shape = f'<rect class="box" x="{_n(x - self.left)}" y="{_n(y)}" {size} fill="#fff6c8"/>'
        return [shape, _text("+" if self.sum else self._label(), x, y + 15)]

    def _label(self) -> str:
        return f"concat {self.small}"


class Chain:
    """Pieces below each other, joined by arrows."""

    def __init__(self, pieces: Sequence[Piece]):
        self.pieces = list(pieces)
        self.left = max(piece.left for piece in self.pieces)
        self.right = max(piece.right for piece in self.pieces)
        gaps = sum(_gap_before(piece) for piece in self.pieces[1:])
        self.height = sum(piece.height for piece in self.pieces) + gaps

    def draw(self, x: float, y: float) -> list[str]:
        """All pieces and the arrows between them."""
        out = []
        for i, piece in enumerate(self.pieces):
            if i > 0:
                gap = _gap_before(piece)
                # Where a frame follows, the arrow's head stands inside it.
                path, arrow = f"M{_n(x)},{_n(y)} V{_n(y + gap)}", not isinstance(piece, Frame)
                out += _line(path, arrow=arrow) if gap else []
                y += gap
            out += piece.draw(x, y)
            y += piece.height
        return out


class Fork:
    """Branches beside each other that start from one point and join in a `Merge`.

    `branches` that are None are bare lines past the others. With a sum, or with a bare line, the first
    branch stays on the axis and the others run down at its right; otherwise they are spread evenly.
    """

    def __init__(self, branches: Sequence[Chain | None], merge: Merge):
        self.branches = sorted(branches, key=lambda branch: branch is None)
        self.merge = merge
        self.aside = merge.sum or None in branches
        widths = [(b.left, b.right) if b else (10.0, 10.0) for b in self.branches]
        edges, position = [], 0.0
        for left, right in widths:
            edges.append(position + left)
            position += left + right + _COLUMN_GAP
        span = position - _COLUMN_GAP
        axis = edges[0] if self.aside else span / 2
        self.offsets = [edge - axis for edge in edges]
        self.left = max(axis, merge.left)
        self.right = max(span - axis, merge.right)
        self.body = max(branch.height for branch in self.branches if branch)
        self.height = _LEAD + GAP + self.body + GAP + merge.height + (0 if self.aside else _LEAD)

    def draw(self, x: float, y: float) -> list[str]:
        """Branches, the lines that lead to and from them, and the symbol where they join."""
        merge_top = y + self.height - self.merge.height
        merge_middle = merge_top + self.merge.height / 2
        out = _line(f"M{_n(x)},{_n(y)} V{_n(y + _LEAD)}", arrow=False)
        for branch, offset in zip(self.branches, self.offsets, strict=True):
            column, start = x + offset, f"M{_n(x)},{_n(y + _LEAD)} H{_n(x + offset)}"
            if offset == 0 or not self.aside:
                end = f"V{_n(merge_top - GAP + 6)} H{_n(x)} V{_n(merge_top)}"
            else:
                end = f"V{_n(merge_middle)} H{_n(x + self.merge.right)}"
            if branch is None:
                out += _line(f"{start} {end}", skip=True)
                continue
            top = y + _LEAD + GAP
            skip = self.aside and offset != 0
            out += _line(f"{start} V{_n(top)}", skip=skip)
            out += branch.draw(column, top)
            out += _line(f"M{_n(column)},{_n(top + branch.height)} {end}", skip=skip)
        return out + self.merge.draw(x, merge_top)


class Frame:
    """A dashed frame with a title around a chain: one block of the network."""

    def __init__(self, title: str, inner: Chain):
        self.title = title
        self.inner = inner
        self.left = inner.left + _PAD
        # The title stands beside the line that comes in, wherever it has room.
        title_width = len(title) * _CHARACTER + 6
        self.title_left = 6 - self.left if title_width + 6 < self.left else 8.0
        self.right = max(inner.right + _PAD, title_width + self.title_left)
        self.height = inner.height + _TITLE + _PAD + (0 if _gap_before(inner.pieces[0]) == 0 else 4)

    def draw(self, x: float, y: float) -> list[str]:
        """The frame, its title, the chain, and the line through the frame's edges."""
        top = y + self.height - _PAD - self.inner.height
        bottom = y + self.height
        arrow = _gap_before(self.inner.pieces[0]) > 0
        return [
            f'<rect class="frame" x="{_n(x - self.left)}" y="{_n(y)}" '
            f'width="{_n(self.left + self.right)}" height="{_n(self.height)}" rx="6"/>',
            _text(self.title, x + self.title_left, y + 13, "small left"),
            *_line(f"M{_n(x)},{_n(y)} V{_n(top)}", arrow=arrow),
            *self.inner.draw(x, top),
            *_line(f"M{_n(x)},{_n(bottom - _PAD)} V{_n(bottom)}", arrow=False),
        ]


def svg_page(title: str, chain: Chain) -> str:
    """Return the SVG text of a chain with a title above and a key of colours below."""
    key_width = 86.0 * len(_COLOURS)
    left = max(chain.left, key_width / 2, len(title) * 4.2) + _MARGIN
    width = left + max(chain.right, key_width / 2, len(title) * 4.2) + _MARGIN
    height = chain.height + 2 * _MARGIN + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>{_HEAD}",
        '<rect width="100%" height="100%" fill="white"/>',
        _text(title, left, _MARGIN + 4, "title"),
        *chain.draw(left, _MARGIN + 20),
    ]
    x = left - key_width / 2
    for kind, colour in _COLOURS.items():
        y = height - _MARGIN - 10
        parts.append(
            f'<rect class="box" x="{_n(x)}" y="{_n(y)}" width="12" height="12" fill="{colour}"/>'
            + _text(kind, x + 18, y + 10, "small left")
        )
        x += 86
    return "\n".join([*parts, "</svg>"]) + "\n"


def _gap_before(piece: Piece) -> float:
    """Room for an arrow; a fork draws the lines that lead into it itself."""
    return 0.0 if isinstance(piece, Fork) else float(GAP)


def _line(path: str, arrow: bool = True, skip: bool = False) -> list[str]:
    marker = ' marker-end="url(#arrow)"' if arrow else ""
    return [f'<path class="line{" skip" if skip else ""}" d="{path}"{marker}/>']


def _text(text: str, x: float, y: float, style: str = "") -> str:
    css = f' class="{style}"' if style else ""
    return f'<text{css} x="{_n(x)}" y="{_n(y)}">{escape(text)}</text>'


def _n(number: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{number:.1f}".removesuffix(".0")
