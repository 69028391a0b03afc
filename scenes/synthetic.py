"""The built-in scenes: fifteen classes of grey pictures, drawn from a seed.

They stand in for the 15 scenes of Lazebnik et al. (2006) where no real pictures are at hand. The classes have
the same names, the pictures about the same size, and methods come out in the same order: chance, tiny images,
bags of SIFT, and none of them perfect. They are caricatures, good for trying things out, not for claims.

The same seed gives the same pixels with every version of NumPy and on every processor; `scenes._canvas` says
how. Whoever changes a single pixel must raise `VERSION`: cached folders are named by it.

Here a picture is put together, drawing, clutter and exposure, and the folder made. What is in a picture is in
`scenes._scene_drawings`.
"""

import difflib
import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import platformdirs
from PIL import Image
from tqdm import tqdm

from scenes._canvas import Canvas, Dice
from scenes._scene_drawings import DRAWINGS
from scenes._things import clutter
from scenes.files import scratch_folder, sync_folder

VERSION = 1
CLASSES = tuple(DRAWINGS)
SPLITS = ("train", "test")

_ABOUT = "synthetic.json"  # in the folder: which set it holds


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
    if class_name not in CLASSES:
        lower = {name.lower(): name for name in CLASSES}
        near = [lower[name] for name in difflib.get_close_matches(str(class_name).lower(), lower)]
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(CLASSES)}"
        raise ValueError(f"unknown class {class_name!r}: {hint}")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: choose train or test")
    index, seed = _whole("index", index, 0), _whole("seed", seed, 0)
    c = Canvas(Dice(VERSION, seed, CLASSES.index(class_name), SPLITS.index(split), index))
    DRAWINGS[class_name](c)
    clutter(c)
    return _expose(c)


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


def _whole(name, value, low, high=2**32 - 1):
    if not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}: give a whole number from {low} to {high}")
    return int(value)


def _draw_into(folder, names, seed):
    bar = tqdm(names.items(), desc="drawing scenes", unit=" images", disable=None, leave=False)
    for name, (class_name, index, split) in bar:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = draw_scene(class_name, index, split=split, seed=seed)
        Image.fromarray(pixels).save(folder / name, compress_level=1)


def _is_complete(folder, about, names):
    """Whether the folder is the wanted set: no file missing, empty or too many; hidden files do not count."""
    try:
        found = {path.relative_to(folder).as_posix() for path in folder.glob("*/*/*")
                 if not path.name.startswith(".") and path.stat().st_size > 0}
        return found == names.keys() and (folder / _ABOUT).read_text("utf-8") == about
    except (OSError, UnicodeDecodeError):
        return False
