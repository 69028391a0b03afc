"""Bytes to pixels: every format and kind of pixel, orientation, hostile files, grey, sizes, hashes."""

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from scenes.reading import (
    MAX_PIXELS,
    UnreadableImage,
    fit_size,
    image_format,
    pixel_hash,
    read_grey,
    read_pixels,
    read_rgb,
)

# Pillow warns of what is odd in a damaged file before it gives up or goes on
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

GREY = np.array([[0, 1, 128], [254, 255, 7]], np.uint8)
RGB = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [0] * 3, [255] * 3]], np.uint8)
# blocks of 8x8 survive JPEG nearly unchanged: every block is one flat value
BLOCKS = np.kron(np.array([[10, 60, 110], [160, 210, 250]], np.uint8), np.ones((8, 8), np.uint8))

LOSSLESS = {
    "PNG": {},
    "BMP": {},
    "WEBP": {"lossless": True, "exact": True},
    "TIFF": {"compression": "tiff_lzw"},
    "PPM": {},
}
MAGIC = {
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "BMP": b"BM",
    "WEBP": b"RIFF\x40\x00\x00\x00WEBP",
    "TIFF": b"II*\x00",
    "TIFF, big end first": b"MM\x00*",
    "PGM": b"P5\n",
    "PGM, plain": b"P2\n",
    "PPM": b"P6\n",
}


def encoded(image, format, **options):
    """The bytes of an image file; `image` is an array or a Pillow image."""
    buffer = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png(width, height, depth, colour, rows, *chunks):
    """A PNG file put together by hand: `rows` are its raw lines, each behind a filter byte."""

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    extra = b"".join(chunk(*pair) for pair in chunks)
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture
def pixels_of(tmp_path):
    """read_pixels of bytes."""

    def read(content, name="image.xyz"):
        path = tmp_path / name
        path.write_bytes(content)
        return read_pixels(path)

    return read


def assert_pixels(got, expected):
    expected = np.asarray(expected, np.uint8)
    assert got.dtype == np.uint8
    assert got.shape == expected.shape
    assert got.tolist() == expected.tolist()


# formats


@pytest.mark.parametrize("format", [name for name in LOSSLESS if name != "WEBP"])
def test_lossless_formats_give_grey_values_back(pixels_of, format):
    assert_pixels(pixels_of(encoded(GREY, format, **LOSSLESS[format])), GREY)


@pytest.mark.parametrize("format", LOSSLESS)
def test_lossless_formats_give_rgb_values_back(pixels_of, format):
    assert_pixels(pixels_of(encoded(RGB, format, **LOSSLESS[format])), RGB)


def test_grey_webp_is_rgb_since_the_format_knows_no_grey(pixels_of):
    assert_pixels(pixels_of(encoded(GREY, "WEBP", lossless=True)), np.repeat(GREY[:, :, None], 3, axis=2))


def test_jpeg_gives_flat_blocks_back_within_one(pixels_of):
    grey = pixels_of(encoded(BLOCKS, "JPEG", quality=95))
    assert grey.shape == BLOCKS.shape and grey.dtype == np.uint8
    assert np.abs(grey.astype(int) - BLOCKS).max() <= 1
    rgb = np.stack([BLOCKS, BLOCKS[::-1], BLOCKS[:, ::-1]], axis=2)
    found = pixels_of(encoded(rgb, "JPEG", quality=100, subsampling=0))
    assert found.shape == rgb.shape
    assert np.abs(found.astype(int) - rgb).max() <= 3  # YCbCr is rounded on the way


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"P2\n# by hand\n3 1\n255\n0 10 255\n", [[0, 10, 255]]),
        (b"P2 3 1 15 0 1 15\n", [[0, 17, 255]]),  # 1/15 of 255
        (b"P5 3 1 255\n\x00\x0a\xff", [[0, 10, 255]]),
        (b"P5 2 1 51\n\x01\x33", [[5, 255]]),  # 1/51 of 255
        # 16 bits: 257 = 65535/255; 128 is 127.5 rounded, 127 comes from just below half
        (b"P5 5 1 65535\n" + struct.pack(">5H", 0, 257, 32639, 32768, 65535), [[0, 1, 127, 128, 255]]),
        (b"P2 3 1 65535 0 257 65535\n", [[0, 1, 255]]),
        (b"P6 2 1 255\n\x01\x02\x03\xff\x00\x80", [[[1, 2, 3], [255, 0, 128]]]),
        (b"P3 1 1 255 1 2 3\n", [[[1, 2, 3]]]),
    ],
    ids=["P2", "P2 maxval 15", "P5", "P5 maxval 51", "P5 16 bit", "P2 16 bit", "P6", "P3"],
)
def test_portable_maps_by_hand(pixels_of, content, expected):
    assert_pixels(pixels_of(content), expected)


@pytest.mark.parametrize("format", LOSSLESS)
def test_content_counts_and_the_suffix_does_not(pixels_of, format):
    assert_pixels(pixels_of(encoded(RGB, format, **LOSSLESS[format]), "image.jpg"), RGB)


def test_the_first_page_of_a_tiff_is_the_image(pixels_of):
    pages = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    content = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert_pixels(pixels_of(content), GREY)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\xff\xd8\xff", "JPEG"),
        (b"\xff\xd8", None),
        (b"RIFF....WAVE", None),
        (b"II+\0" + bytes(8), None),  # BigTIFF
        (b"P4\n1 1\n", None),  # bit map
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_image_format_goes_by_the_first_bytes(head, expected):
    assert image_format(head) == expected


# kinds of pixels


def test_one_bit_images_are_0_and_255(pixels_of):
    bits = np.array([[True, False, True]])
    for format in ("PNG", "BMP", "TIFF"):
        assert_pixels(pixels_of(encoded(bits, format)), [[255, 0, 255]])


def test_two_and_four_bit_grey_is_spread_over_0_to_255(pixels_of):
    assert_pixels(pixels_of(png(4, 1, 2, 0, b"\0\x1b")), [[0, 85, 170, 255]])  # 00 01 10 11
    assert_pixels(pixels_of(png(2, 1, 4, 0, b"\0\x1f")), [[17, 255]])


def test_sixteen_bit_grey_is_divided_by_257_and_rounded(pixels_of):
    # 128/257 is just under a half, 129/257 just over
    values = np.array([[0, 128, 129, 257, 32639, 32768, 65535]], np.uint16)
    expected = [[0, 0, 1, 1, 127, 128, 255]]
    for content in (
        encoded(values, "PNG"),
        encoded(values, "TIFF"),
        encoded(values.astype(">u2"), "TIFF"),
        encoded(values.astype(np.int32), "TIFF"),
        b"P5 7 1 65535\n" + values.astype(">u2").tobytes(),
    ):
        assert_pixels(pixels_of(content), expected)


@pytest.mark.parametrize(("values", "reason"), [([[0, 65536]], "0..65535"), ([[-1, 0]], "0..65535")])
def test_whole_numbers_beyond_sixteen_bits_are_refused(pixels_of, values, reason):
    with pytest.raises(UnreadableImage, match=reason):
        pixels_of(encoded(np.array(values, np.int32), "TIFF"))


def test_a_floating_point_tiff_is_refused_and_told_what_to_do(pixels_of):
    with pytest.raises(UnreadableImage, match="floating point.*convert the image to 8 or 16 bits"):
        pixels_of(encoded(np.array([[0.0, 0.5]], np.float32), "TIFF"))


@pytest.mark.parametrize(("format", "options"), [("PNG", {}), ("WEBP", LOSSLESS["WEBP"]), ("TIFF", {})])
def test_transparent_colour_is_laid_on_white(pixels_of, format, options):
    # red at alpha 255, 0 and 128: 255 * (1 - 128/255) = 127
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [255, 0, 0, 128]]], np.uint8)
    assert_pixels(pixels_of(encoded(rgba, format, **options)), [[[255, 0, 0], [255] * 3, [255, 127, 127]]])


def test_transparent_grey_is_laid_on_white_and_stays_grey(pixels_of):
    # 100 at alpha 255, 0 and 51 (a fifth): 0.2 * 100 + 0.8 * 255 = 224
    alpha = Image.fromarray(np.array([[255, 0, 51]], np.uint8))
    both = Image.merge("LA", [Image.new("L", (3, 1), 100), alpha])
    for format in ("PNG", "TIFF"):
        assert_pixels(pixels_of(encoded(both, format)), [[100, 255, 224]])


@pytest.mark.parametrize(
    ("depth", "row", "transparent", "expected"),
    [
        (1, b"\0\x40", 1, [[0, 255]]),
        (1, b"\0\x40", 0, [[255, 255]]),
        (8, b"\0\x0a\x14", 10, [[255, 20]]),
        (16, b"\0" + struct.pack(">HH", 10, 2570), 10, [[255, 10]]),
    ],
    ids=["1 bit, white", "1 bit, black", "8 bit", "16 bit"],
)
def test_a_transparent_grey_value_becomes_white_and_the_image_stays_grey(
    pixels_of, depth, row, transparent, expected
):
    content = png(2, 1, depth, 0, row, (b"tRNS", struct.pack(">H", transparent)))
    assert_pixels(pixels_of(content), expected)


def test_a_transparent_colour_value_becomes_white(pixels_of):
    content = png(2, 1, 8, 2, b"\0\1\2\3\4\5\6", (b"tRNS", struct.pack(">HHH", 1, 2, 3)))
    assert_pixels(pixels_of(content), [[[255, 255, 255], [4, 5, 6]]])


def test_palette_images_become_rgb(pixels_of):
    palette = (b"PLTE", bytes([200, 100, 50, 7, 7, 7]))
    content = png(3, 1, 8, 3, b"\0\0\1\0", palette)
    assert_pixels(pixels_of(content), [[[200, 100, 50], [7] * 3, [200, 100, 50]]])


def test_palette_images_with_transparency_are_laid_on_white(pixels_of):
    palette = (b"PLTE", bytes([200, 100, 50, 7, 7, 7, 0, 0, 0]))
    content = png(3, 1, 8, 3, b"\0\0\1\2", palette, (b"tRNS", bytes([255, 0, 51])))
    assert_pixels(pixels_of(content), [[[200, 100, 50], [255] * 3, [204] * 3]])  # 0.8 * 255 = 204


def test_a_grey_palette_bmp_is_grey(pixels_of):
    assert_pixels(pixels_of(encoded(GREY, "BMP")), GREY)


def test_cmyk_becomes_rgb(pixels_of):
    # no cyan, full magenta and yellow, no black: red; full black: black
    cmyk = Image.new("CMYK", (16, 8), (0, 255, 255, 0))
    cmyk.paste((0, 0, 0, 255), (8, 0, 16, 8))
    expected = np.zeros((8, 16, 3), np.uint8)
    expected[:, :8, 0] = 255
    assert_pixels(pixels_of(encoded(cmyk, "TIFF")), expected)
    found = pixels_of(encoded(cmyk, "JPEG", quality=100, subsampling=0))
    assert found.shape == expected.shape and np.abs(found.astype(int) - expected).max() <= 2


def test_sixteen_bit_colour_keeps_its_upper_eight_bits(pixels_of):
    row = b"\0" + struct.pack(">3H", 65535, 0x0AFF, 0)
    assert_pixels(pixels_of(png(1, 1, 16, 2, row)), [[[255, 10, 0]]])


# orientation

#       file's pixels: 1 2 3   what stands upright after each of the eight orientations
#                      4 5 6
UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],  # mirrored left-right
    3: [[6, 5, 4], [3, 2, 1]],  # half turn
    4: [[4, 5, 6], [1, 2, 3]],  # mirrored top-bottom
    5: [[1, 4], [2, 5], [3, 6]],  # transposed
    6: [[4, 1], [5, 2], [6, 3]],  # quarter turn clockwise
    7: [[6, 3], [5, 2], [4, 1]],  # transposed on the other diagonal
    8: [[3, 6], [2, 5], [1, 4]],  # quarter turn anticlockwise
}
STORED = np.kron(np.array([[40, 80, 120], [160, 200, 240]], np.uint8), np.ones((8, 8), np.uint8))
ORIENTED = [
    ("JPEG", {"quality": 95}),
    ("PNG", {}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
]


def exif(orientation, camera_size=None):
    """An EXIF block; `camera_size` is the (width, height) the camera noted."""
    block = Image.Exif()
    block[0x0112] = orientation
    if camera_size:
        details = block.get_ifd(0x8769)
        details[0xA002], details[0xA003] = camera_size
    return block


def cells(pixels):
    """The image's 8x8 cells as the numbers 1 to 6 of `UPRIGHT`."""
    grey = pixels if pixels.ndim == 2 else pixels[:, :, 0]
    return np.rint(grey[4::8, 4::8] / 40).astype(int).tolist()


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(("format", "options"), ORIENTED, ids=["JPEG", "PNG", "WEBP", "TIFF", "TIFF LZW"])
def test_every_orientation_is_turned_upright_once(pixels_of, format, options, orientation):
    pixels = pixels_of(encoded(STORED, format, exif=exif(orientation), **options))
    assert cells(pixels) == UPRIGHT[orientation]


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_does_not_exist_turns_nothing(pixels_of, orientation):
    assert cells(pixels_of(encoded(STORED, "PNG", exif=exif(orientation)))) == UPRIGHT[1]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_quarter_turn_is_left_out_where_the_camera_noted_a_standing_picture(pixels_of, orientation):
    # the file lies (24 wide, 16 high), the camera's picture stood: somebody turned it already
    content = encoded(STORED, "JPEG", quality=95, exif=exif(orientation, (16, 24)))
    assert cells(pixels_of(content)) == UPRIGHT[1]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("camera_size", [(24, 16), (2400, 1600), (20, 20)])
def test_a_quarter_turn_is_made_where_the_camera_noted_a_lying_or_square_picture(
    pixels_of, orientation, camera_size
):
    content = encoded(STORED, "JPEG", quality=95, exif=exif(orientation, camera_size))
    assert cells(pixels_of(content)) == UPRIGHT[orientation]


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_mirrors_and_half_turns_do_not_look_at_the_noted_size(pixels_of, orientation):
    content = encoded(STORED, "JPEG", quality=95, exif=exif(orientation, (16, 24)))
    assert cells(pixels_of(content)) == UPRIGHT[orientation]


def exif_with_width(kind, value):
    """Orientation 6 and a noted width of any EXIF type (12: float64, 5: fraction, 2: text, ...)."""
    ifd = struct.pack("<HHHIIHHIII", 2, 0x0112, 3, 1, 6, 0x8769, 4, 1, 38, 0)
    details = struct.pack("<HHHIIHHIII", 2, 0xA002, kind, 1, 68, 0xA003, 3, 1, 16, 0)
    return b"Exif\0\0II*\0\x08\0\0\0" + ifd + details + value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (12, struct.pack("<d", float("inf"))),
        (12, struct.pack("<d", float("nan"))),
        (5, struct.pack("<II", 1, 0)),
        (2, b"wide\0\0\0\0"),
    ],
    ids=["infinite", "nan", "1/0", "text"],
)
def test_a_senseless_noted_size_is_no_reason_to_fail(pixels_of, kind, value):
    content = encoded(STORED, "JPEG", quality=95, exif=exif_with_width(kind, value))
    assert cells(pixels_of(content)) == UPRIGHT[1]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_is_no_reason_to_fail(pixels_of, format):
    rng = np.random.default_rng(6)
    whole = exif(6, (24, 16)).tobytes()
    for _ in range(60):
        block = bytearray(whole)
        for at in rng.integers(6, len(block), 3):
            block[at] = rng.integers(256)
        block = bytes(block[: rng.integers(6, len(block) + 1)])
        options = {"quality": 95} if format == "JPEG" else {"lossless": True} if format == "WEBP" else {}
        found = cells(pixels_of(encoded(STORED, format, exif=block, **options)))
        assert found in list(UPRIGHT.values())


# hostile files


def test_an_empty_file_is_named_and_told_what_to_do(tmp_path):
    path = tmp_path / "nothing.jpg"
    path.touch()
    with pytest.raises(UnreadableImage) as error:
        read_pixels(path)
    assert str(error.value) == f"{path}: empty file: delete it or pass --skip-unreadable"


@pytest.mark.parametrize("content", [b"x", b"This is no picture.", b"GIF89a" + bytes(40), bytes(99)])
def test_a_file_that_is_no_known_image_is_refused_whatever_its_name(tmp_path, content):
    path = tmp_path / "text.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage) as error:
        read_pixels(path)
    assert str(error.value).startswith(f"{path}: not a JPEG, PNG, BMP, WebP, TIFF or PGM image: ")


@pytest.mark.parametrize("format", ["JPEG", *LOSSLESS])
def test_only_the_decoder_of_the_announced_format_sees_the_file(pixels_of, format, monkeypatch):
    asked, opened = [], Image.open
    monkeypatch.setattr(Image, "open", lambda f, formats: asked.append(formats) or opened(f, formats=formats))
    pixels_of(encoded(RGB, format))
    assert asked == [[format]]


@pytest.mark.parametrize("format", ["JPEG", *LOSSLESS])
def test_a_file_cut_short_is_unreadable_or_whole(pixels_of, format):
    image = np.random.default_rng(1).integers(0, 256, (12, 17, 3)).astype(np.uint8)
    content = encoded(image, format, **LOSSLESS.get(format, {}))
    whole = pixels_of(content)
    lengths = range(1, len(content))
    unreadable = 0
    for length in lengths:
        try:
            assert np.array_equal(pixels_of(content[:length]), whole), f"other pixels from {length} bytes"
        except UnreadableImage:
            unreadable += 1
    # a few bytes at the end carry no pixels (PNG's last check sums and end mark: 20)
    assert unreadable >= len(lengths) - 20


def test_a_png_with_a_changed_byte_never_gives_other_pixels(pixels_of):
    # PNG carries check sums: a changed byte is found, or stood where it does not matter
    image = np.random.default_rng(2).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    content = encoded(image, "PNG")
    unreadable = 0
    for at in range(33, len(content)):  # behind the header
        damaged = bytearray(content)
        damaged[at] ^= 0x55
        try:
            assert_pixels(pixels_of(bytes(damaged)), image)
        except UnreadableImage:
            unreadable += 1
    assert unreadable > 200


@pytest.mark.parametrize("format", LOSSLESS)
def test_a_damaged_file_names_itself_its_format_and_a_way_out(tmp_path, format):
    content = encoded(RGB.repeat(20, 0).repeat(20, 1), format, **LOSSLESS[format])
    path = tmp_path / "damaged.png"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableImage) as error:
        read_pixels(path)
    message = str(error.value)
    assert message.startswith(f"{path}: damaged or unsupported {format} image (")
    assert message.endswith("): replace it or pass --skip-unreadable")
    assert "\n" not in message


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9000, 12_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(pixels_of, side, monkeypatch):
    monkeypatch.setattr(PngImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UnreadableImage, match=f"{side}x{side} is more than|exceeds limit"):
        pixels_of(png(side, side, 1, 0, b""))


def test_a_bomb_is_told_the_limit(tmp_path):
    path = tmp_path / "bomb.pgm"
    path.write_bytes(b"P5 8001 10000 255\n")
    with pytest.raises(UnreadableImage) as error:
        read_pixels(path)
    assert str(error.value) == f"{path}: 8001x10000 is more than 80,000,000 pixels: make it smaller"
    assert MAX_PIXELS == 80_000_000


def test_exactly_the_limit_of_pixels_is_looked_at(tmp_path):
    path = tmp_path / "large.pgm"
    path.write_bytes(b"P5 8000 10000 255\n")  # no pixels follow: it gets as far as decoding
    with pytest.raises(UnreadableImage, match="damaged"):
        read_pixels(path)


def test_a_missing_file_is_an_error_of_the_disk(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_pixels(tmp_path / "nowhere.png")


@pytest.mark.parametrize("kind", MAGIC)
def test_random_bytes_behind_a_known_start_are_unreadable_or_an_image(pixels_of, kind):
    rng = np.random.default_rng(list(kind.encode()))
    for _ in range(150):
        try:
            pixels = pixels_of(MAGIC[kind] + rng.bytes(int(rng.integers(1, 300))))
        except UnreadableImage:
            continue
        assert pixels.dtype == np.uint8 and pixels.ndim in (2, 3) and pixels.size > 0


@pytest.mark.parametrize("format", ["JPEG", *LOSSLESS])
def test_changed_bytes_of_a_real_file_are_unreadable_or_an_image(pixels_of, format):
    rng = np.random.default_rng(3)
    content = encoded(RGB.repeat(9, 0).repeat(9, 1), format, **LOSSLESS.get(format, {}))
    for _ in range(200):
        damaged = bytearray(content)
        for at in rng.integers(2, len(content), 4):
            damaged[at] = rng.integers(256)
        try:
            pixels = pixels_of(bytes(damaged))
        except UnreadableImage:
            continue
        assert pixels.dtype == np.uint8 and pixels.shape[2:] in ((), (3,)) and pixels.size > 0


# grey


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9).map(lambda s: (*s, 3))))
def test_grey_of_colour_is_pillows_luma(rgb):
    grey = read_grey(rgb)
    assert grey.dtype == np.float32
    assert np.array_equal(grey, np.asarray(Image.fromarray(rgb).convert("L")))


def test_luma_by_hand(tmp_path):
    # .299, .587, .114 of 255: 76.2, 149.7, 29.1; (10, 20, 30): 2.99 + 11.74 + 3.42 = 18.15
    expected = [[76, 150, 29], [18, 0, 255]]
    assert read_grey(RGB).tolist() == expected
    path = tmp_path / "rgb.png"
    Image.fromarray(RGB).save(path)
    assert read_grey(path).tolist() == expected
    assert read_grey(str(path)).tolist() == expected


def test_grey_of_a_grey_file_is_its_values_in_float32(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    grey = read_grey(tmp_path / "grey.png")
    assert grey.dtype == np.float32 and np.array_equal(grey, GREY)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16, np.float32, np.float64])
def test_arrays_of_any_number_are_taken_as_they_are(dtype):
    grey = read_grey(np.array([[0, 1, 200]], dtype))
    assert grey.dtype == np.float32 and grey.tolist() == [[0, 1, 200]]


def test_fractions_in_arrays_are_kept():
    assert read_grey(np.array([[0.25, 254.5]])).tolist() == [[0.25, 254.5]]
    grey = read_grey(np.array([[[10.0, 20.0, 30.0]]]))
    assert grey.shape == (1, 1) and grey[0, 0] == pytest.approx(18.15, abs=1e-4)


def test_booleans_are_0_and_1():
    assert read_grey(np.array([[True, False]])).tolist() == [[1, 0]]


def test_one_channel_is_grey():
    assert read_grey(GREY[:, :, None]).tolist() == GREY.tolist()


def test_reading_grey_leaves_the_array_alone():
    image = GREY.copy()
    grey = read_grey(image)
    grey[:] = 9
    assert np.array_equal(image, GREY)


@pytest.mark.parametrize("shape", [(5,), (4, 4, 2), (4, 4, 4), (2, 4, 4, 3), (0, 4), (4, 0), ()])
def test_arrays_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"grey \(H, W\) or RGB \(H, W, 3\)"):
        read_grey(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="NaN or infinite"):
        read_grey(np.array([[1.0, bad]]))


def test_arrays_of_text_are_refused():
    with pytest.raises(TypeError, match="numbers"):
        read_grey(np.array([["a", "b"]]))


# colour


def test_rgb_of_grey_repeats_the_channel(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    for source in (GREY, tmp_path / "grey.png"):
        rgb = read_rgb(source)
        assert rgb.dtype == np.uint8 and rgb.shape == (2, 3, 3)
        assert all(np.array_equal(rgb[:, :, c], GREY) for c in range(3))


def test_rgb_of_colour_is_itself(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "rgb.png")
    assert_pixels(read_rgb(RGB), RGB)
    assert_pixels(read_rgb(tmp_path / "rgb.png"), RGB)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 2), np.float32), ((2, 2, 4), np.uint8), ((2, 2, 1), np.uint8), ((3,), np.uint8)]
)
def test_arrays_that_are_no_rgb_image_are_refused(shape, dtype):
    with pytest.raises(ValueError, match="uint8"):
        read_rgb(np.zeros(shape, dtype))


# sizes


@pytest.mark.parametrize(
    ("shape", "max_side", "expected"),
    [
        ((100, 200), 50, (25, 50)),
        ((200, 100), 50, (50, 25)),
        ((30, 40), 40, (30, 40)),
        ((30, 40), 41, (30, 40)),
        ((3, 1000), 10, (1, 10)),  # never less than a pixel
        ((7, 5), 5, (5, 4)),  # 5 * 5/7 = 3.57
    ],
)
def test_max_side_keeps_the_aspect_and_never_enlarges(shape, max_side, expected):
    assert read_grey(np.zeros(shape, np.uint8), max_side=max_side).shape == expected


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 70))
def test_max_side_holds_for_any_shape(height, width, max_side):
    grey = read_grey(np.full((height, width), 9, np.uint8), max_side=max_side)
    assert max(grey.shape) == min(max_side, max(height, width))
    assert grey.shape[0] <= height and grey.shape[1] <= width
    assert (grey == 9).all()


def test_max_side_averages_what_it_shrinks():
    stripes = np.tile(np.array([[0, 255]], np.uint8), (64, 32))
    grey = read_grey(stripes, max_side=8)
    assert grey.shape == (8, 8)
    assert np.abs(grey - 127.5).max() < 16  # without smoothing: 0 or 255


def test_resize_squashes_and_enlarges():
    assert read_grey(np.zeros((10, 40), np.uint8), resize=20).shape == (20, 20)
    assert read_grey(np.zeros((10, 40), np.uint8), resize=20, max_side=5).shape == (20, 20)


def test_the_size_rule_keeps_the_dtype():
    assert fit_size(np.zeros((8, 8), np.uint8), max_side=4).dtype == np.uint8
    assert fit_size(np.zeros((8, 8), np.float32), max_side=4).dtype == np.float32


def test_size_rules_hold_for_files_too(tmp_path):
    Image.fromarray(RGB.repeat(10, 0).repeat(10, 1)).save(tmp_path / "rgb.png")
    assert read_grey(tmp_path / "rgb.png", max_side=15).shape == (10, 15)
    assert read_grey(tmp_path / "rgb.png", resize=4).shape == (4, 4)


# pixel hash


def test_the_pixel_hash_is_the_sha256_of_shape_and_bytes():
    assert pixel_hash(GREY) == hashlib.sha256(b"(2, 3)" + bytes([0, 1, 128, 254, 255, 7])).hexdigest()
    assert pixel_hash(RGB) == hashlib.sha256(b"(2, 3, 3)" + RGB.tobytes()).hexdigest()


def test_the_pixel_hash_tells_shapes_apart():
    assert pixel_hash(GREY) != pixel_hash(GREY.reshape(3, 2))


def test_the_pixel_hash_does_not_see_the_memory_layout():
    assert pixel_hash(np.asfortranarray(GREY)) == pixel_hash(GREY)
    assert pixel_hash(np.repeat(GREY, 2, axis=1)[:, ::2]) == pixel_hash(GREY)


def test_copies_in_other_lossless_formats_share_the_pixel_hash(pixels_of):
    formats = ("PNG", "BMP", "TIFF", "PPM")
    assert {pixel_hash(pixels_of(encoded(GREY, format))) for format in formats} == {pixel_hash(GREY)}
