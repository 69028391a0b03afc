"""Bytes to pixels: the only place that decodes an image.

A file is read only if its first bytes name a format we know, and decoded only by the decoder of
that format, after its pixel count was checked. What a picture looks like after decoding:

| source | pixels |
|---|---|
| grey, 1 bit, grey with alpha | uint8 (H, W) |
| 16-bit grey (PNG, TIFF, PGM) | uint8 (H, W), 65535 becomes 255, rounded |
| RGB, palette, CMYK, YCbCr | uint8 (H, W, 3) |
| anything with transparency | laid on white first |

EXIF orientation is applied, unless the pixels were turned already. Axes are (y, x), the origin is the
top left pixel.
"""

import hashlib
import math
import struct
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm")

# Below the count at which Pillow itself starts to warn of decompression bombs (89 million).
MAX_PIXELS = 80_000_000

_ORIENTATION_TAG, _EXIF_DETAILS, _WIDTH_TAG, _HEIGHT_TAG = 0x0112, 0x8769, 0xA002, 0xA003
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = tuple(_ORIENTATIONS[number] for number in (5, 6, 7, 8))


class UnreadableImage(ValueError):
    """A file that is no image, or a damaged one. The message names the file and says why."""


def image_format(head: bytes) -> str | None:
    """Pillow's name of the format that the first 12 bytes of a file announce, or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"BM"):
        return "BMP"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "TIFF"
    if head[:2] in (b"P2", b"P5", b"P3", b"P6"):
        return "PPM"
    return None


def read_pixels(source: str | PathLike | np.ndarray) -> np.ndarray:
    """Decoded pixels of an image file: uint8 (H, W) if it is grey, else uint8 (H, W, 3); an array as it is.

    Raises
    ------
    UnreadableImage
        If the file is empty, is no JPEG, PNG, BMP, WebP, TIFF, PGM or PPM whatever its name says, is
        damaged or cut short, or has more than `MAX_PIXELS` pixels.
    OSError
        If the file cannot be opened at all.
    """
    if isinstance(source, np.ndarray):
        return source
    path = Path(source)
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if not head:
            raise UnreadableImage(f"{path}: empty file: delete it or pass --skip-unreadable")
        kind = image_format(head)
        if kind is None:
            raise UnreadableImage(
                f"{path}: not a JPEG, PNG, BMP, WebP, TIFF or PGM image: delete it or pass --skip-unreadable"
            )
        try:
            with Image.open(file, formats=[kind]) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise UnreadableImage(
                        f"{path}: {width}x{height} is more than {MAX_PIXELS:,} pixels: make it smaller"
                    )
                # Before EXIF is looked at: for a PNG that decodes too, and Pillow itself turns a TIFF here.
                image.load()
                return _to_pixels(_upright(image))
        except UnreadableImage:
            raise
        # Pillow's decoders raise many types on hostile bytes; every one of them means the same here.
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UnreadableImage(
                f"{path}: damaged or unsupported {kind} image ({reason}): "
                "replace it or pass --skip-unreadable"
            ) from error


def read_grey(
    source: str | PathLike | np.ndarray, *, max_side: int | None = None, resize: int | None = None
) -> np.ndarray:
    """A grey image from a file or an array: float32 (H, W), 0..255.

    Parameters
    ----------
    source : path or array
        An array is grey (H, W) or RGB (H, W, 3); floating point values are taken as 0..255.
        Colour becomes ITU-R 601 luma: of files and uint8 arrays rounded to 8 bits as Pillow's mode ``L``
        does, of other arrays not rounded.
    max_side : int, optional
        Shrink to this longest side, aspect kept, antialiased; smaller images are left alone.
    resize : int, optional
        Squash to ``resize`` x ``resize`` pixels, antialiased (before `max_side` is looked at).
    """
    return fit_size(_luma(read_pixels(source)), max_side=max_side, resize=resize).astype(np.float32)


def read_rgb(source: str | PathLike | np.ndarray) -> np.ndarray:
    """An RGB image from a file or a uint8 array: uint8 (H, W, 3); grey is repeated in each channel."""
    pixels = read_pixels(source)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        raise ValueError(f"an RGB image is uint8 (H, W, 3) or (H, W), not {pixels.dtype} {pixels.shape}")
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2))


def fit_size(grey: np.ndarray, *, max_side: int | None = None, resize: int | None = None) -> np.ndarray:
    """A grey image (H, W) under a size rule; the dtype stays. See `read_grey`."""
    for name, value in (("max_side", max_side), ("resize", resize)):
        if value is not None and (not isinstance(value, Integral) or value < 1):
            raise ValueError(f"{name} is {value!r}: give 1 pixel or more")
    height, width = grey.shape
    if resize is not None:
        if resize * resize > MAX_PIXELS:
            raise ValueError(f"resize is {resize}: give a side of at most {math.isqrt(MAX_PIXELS)} pixels")
        size = (resize, resize)
    elif max_side is not None and max(height, width) > max_side:
        scale = max_side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
    else:
        return grey
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR))


def pixel_hash(pixels: np.ndarray) -> str:
    """The SHA-256, in hex, of ``repr(shape)`` and the pixel bytes: an image's name that copies share."""
    digest = hashlib.sha256(repr(tuple(int(n) for n in pixels.shape)).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation asks; a broken EXIF block is no reason to fail."""
    try:
        exif = image.getexif()
        operation = _ORIENTATIONS.get(exif.get(_ORIENTATION_TAG, 1))
        if operation is None or (operation in _QUARTER_TURNS and _was_turned(image, exif)):
            return image
    # what Pillow raises on a damaged EXIF block
    except (SyntaxError, ValueError, KeyError, TypeError, OverflowError, OSError, struct.error):
        return image
    return image.transpose(operation)


def _was_turned(image: Image.Image, exif: Image.Exif) -> bool:
    """Whether the pixels were turned upright by a program that left the old orientation tag behind.

    EXIF also holds the width and height the camera stored. If that picture lay and the file's stands,
    or the other way round, it was turned since (Kitchen/image_0172 of the 15 scenes is such a file).
    """
    details = exif.get_ifd(_EXIF_DETAILS)
    camera_width, camera_height = int(details.get(_WIDTH_TAG, 0)), int(details.get(_HEIGHT_TAG, 0))
    width, height = image.size
    return (camera_width - camera_height) * (width - height) < 0


def _to_pixels(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        return _sixteen_bits(image)
    if image.mode == "F":
        raise ValueError("floating point pixels have no fixed range: convert the image to 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("1", "L", "LA") else "RGBA")
        white = Image.new(image.mode, image.size, "white")
        image = Image.alpha_composite(white, image) if image.mode == "RGBA" else _grey_on_white(image)
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _grey_on_white(image: Image.Image) -> Image.Image:
    grey, alpha = image.split()
    return Image.composite(grey, Image.new("L", image.size, 255), alpha)


def _sixteen_bits(image: Image.Image) -> np.ndarray:
    values = np.asarray(image).astype(np.int64)
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise ValueError("grey values outside 0..65535: convert the image to 8 or 16 bits")
    if "transparency" in image.info:
        values[values == image.info["transparency"]] = 65535
    return ((values * 255 + 32767) // 65535).astype(np.uint8)


def _luma(pixels: Any) -> np.ndarray:
    """Grey pixels, (H, W): uint8 stays uint8, everything else becomes float32."""
    pixels = np.asarray(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3) or 0 in pixels.shape:
        raise ValueError(f"an image is grey (H, W) or RGB (H, W, 3), not an array of shape {pixels.shape}")
    if pixels.dtype == np.uint8:
        return pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L"))
    if not (np.issubdtype(pixels.dtype, np.number) or pixels.dtype == bool):
        raise TypeError(f"an image holds numbers, not {pixels.dtype}")
    pixels = pixels.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise ValueError("the image holds NaN or infinite pixels: replace them")
    if pixels.ndim == 3:
        pixels = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    return pixels
