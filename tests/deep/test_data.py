"""Images on the device: statistics, sizes, and augmentation against one image at a time."""

import math

import numpy as np
import pytest
import torch

from deep.data import (
    Images,
    Normalizer,
    at_stored_size,
    augmented,
    pixel_statistics,
    resized,
    step_generator,
    views_of,
)
from deep.recipes import Recipe

PLAIN = Recipe("plain")
CPU = torch.device("cpu")


def batch(n=6, height=9, width=7, channels=2, seed=0):
    """Float images whose every pixel differs, a rectangle unless asked otherwise."""
    shape = (n, channels, height, width)
    values = torch.randperm(math.prod(shape), generator=torch.Generator().manual_seed(seed))
    return values.reshape(shape).float()


def grown(values, **fields):
    return augmented(values, PLAIN.changed(**fields), step_generator(0, 1, 2))


# ------------------------------------------------------------------- pixels in, values out


def test_statistics_are_the_mean_and_deviation_of_each_channel():
    pixels = np.random.default_rng(4).integers(0, 256, (50, 6, 5, 3), np.uint8)
    mean, std = pixel_statistics(Images.of(pixels, np.zeros(50)).pixels)
    assert mean == pytest.approx((pixels / 255).mean((0, 1, 2)).tolist(), abs=1e-12)
    assert std == pytest.approx((pixels / 255).std((0, 1, 2)).tolist(), abs=1e-12)


def test_flat_images_give_finite_values():
    pixels = torch.full((4, 3, 5, 5), 7, dtype=torch.uint8)
    mean, std = pixel_statistics(pixels)
    assert std == [1 / 255] * 3
    assert torch.allclose(Normalizer(mean, std, (5, 5), CPU)(pixels), torch.zeros(4, 3, 5, 5), atol=1e-4)


def test_normalised_images_have_mean_0_and_deviation_1_and_the_networks_size():
    pixels = torch.from_numpy(np.random.default_rng(4).integers(0, 256, (50, 2, 6, 5), np.uint8))
    values = Normalizer(*pixel_statistics(pixels), (6, 5), CPU)(pixels)
    assert values.mean((0, 2, 3)).abs().max() < 1e-5 and (values.std((0, 2, 3)) - 1).abs().max() < 1e-2
    assert Normalizer([0.5, 0.5], [1, 1], (12, 8), CPU)(pixels).shape == (50, 2, 12, 8)


def test_images_keep_their_axes():
    pixels = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    images = Images.of(pixels, np.array([1, 0], np.int32))
    assert images.pixels.shape == (2, 3, 3, 4) and images.labels.dtype == torch.int64
    assert images.pixels[1, 2, 0, 3] == pixels[1, 0, 3, 2]
    assert torch.equal(images.taken([1]).pixels[0], images.pixels[1]) and len(images.taken([])) == 0


def test_halving_averages_and_enlarging_keeps_a_flat_image():
    checks = torch.tensor([[0.0, 4.0], [4.0, 0.0]]).repeat(4, 4)[None, None]
    assert torch.allclose(resized(checks, (4, 4))[..., 1:3, 1:3], torch.full((1, 1, 2, 2), 2.0), atol=0.5)
    assert torch.equal(resized(torch.ones(1, 1, 3, 5), (7, 9)), torch.ones(1, 1, 7, 9))


def test_a_picture_is_cut_to_the_shape_or_squashed_and_small_ones_stay():
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60] = 200  # the middle square
    assert (at_stored_size(picture, (20, 20), "crop") == 200).all()
    squashed = at_stored_size(picture, (20, 20), "squash")
    assert squashed.shape == (20, 20, 3) and squashed[:, :4].max() == 0 and squashed[:, 8:12].min() == 200
    assert at_stored_size(picture, (100, 100), "squash").shape == (40, 80, 3)
    assert at_stored_size(picture, (100, 100), "squash", enlarge=True).shape == (100, 100, 3)
    assert at_stored_size(np.zeros((1, 90, 1), np.uint8), (20, 20), "crop", enlarge=True).shape == (20, 20, 1)


# ------------------------------------------------------------------------------ augmentation


def test_no_augmentation_changes_nothing():
    assert torch.equal(grown(batch()), batch())


@pytest.mark.parametrize(
    "fields",
    [
        {"flip": "random"},
        {"translate": 2},
        {"crop": 3},
        {"rotate": 15.0},
        {"scale": 0.2},
        {"cutout": 3},
        {"flip": "random", "translate": 1, "rotate": 5.0, "cutout": 2},
    ],
    ids=str,
)
def test_equal_generators_give_equal_images_and_others_do_not(fields):
    recipe, values = PLAIN.changed(**fields), batch(40)
    first, again, other = (augmented(values, recipe, step_generator(0, 1, s)) for s in (2, 2, 3))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == values.shape and torch.isfinite(first).all()
    assert torch.equal(values, batch(40))


def test_generators_differ_by_seed_epoch_and_step():
    draws = {
        torch.rand(1, generator=step_generator(*key)).item()
        for key in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**31 - 1, 10**9, 10**9))
    }
    assert len(draws) == 5


def test_a_random_flip_mirrors_about_half():
    values = batch(200)
    turned = (grown(values, flip="random") == values.flip(-1)).flatten(1).all(1)
    kept = (grown(values, flip="random") == values).flatten(1).all(1)
    assert torch.equal(turned, ~kept) and 70 < turned.sum() < 130


def test_an_alternating_flip_mirrors_every_second_visit():
    values, recipe = batch(4), PLAIN.changed(flip="alternating")
    visits = torch.tensor([0, 1, 0, 1])
    for _ in range(3):
        found = augmented(values, recipe, step_generator(0, 0, 0), visits)
        for i in range(4):
            assert torch.equal(found[i], values[i].flip(-1) if visits[i] % 2 else values[i])
        visits = visits + 1


def shifted_slowly(image, top, left, fill):
    """One image (C, H, W) cut out `top`, `left` away from its place; `fill` says what lies outside."""
    height, width = image.shape[-2:]
    out = torch.zeros_like(image)
    for y in range(height):
        for x in range(width):
            source_y, source_x = y + top, x + left
            if fill == "reflect":
                source_y = abs(source_y) if source_y < height else 2 * (height - 1) - source_y
                source_x = abs(source_x) if source_x < width else 2 * (width - 1) - source_x
            if 0 <= source_y < height and 0 <= source_x < width:
                out[:, y, x] = image[:, source_y, source_x]
    return out


@pytest.mark.parametrize(
    ("fields", "reach", "fill"), [({"translate": 2}, 2, "reflect"), ({"crop": 3}, 3, "zeros")]
)
@pytest.mark.parametrize("size", [(9, 7), (5, 8), (6, 6)])
def test_shifts_agree_with_one_image_at_a_time(fields, reach, fill, size):
    values = batch(30, *size)
    found = grown(values, **fields)
    places = []
    for image, moved in zip(values, found, strict=True):
        matches = [
            (top, left)
            for top in range(-reach, reach + 1)
            for left in range(-reach, reach + 1)
            if torch.equal(moved, shifted_slowly(image, top, left, fill))
        ]
        assert len(matches) == 1
        places += matches
    assert len(set(places)) > 10
    assert {y for y, _ in places} == {x for _, x in places} == set(range(-reach, reach + 1))


def test_a_shift_never_reaches_past_a_tiny_image():
    assert grown(batch(4, 3, 2), translate=5).shape == (4, 2, 3, 2)


def turned_by(values, degrees, monkeypatch):
    """The batch turned by exactly so many degrees."""
    monkeypatch.setattr(torch, "rand", lambda n, generator=None: torch.ones(n))
    return augmented(values, PLAIN.changed(rotate=float(degrees)), step_generator(0, 0, 0))


def test_a_turn_by_90_degrees_is_rot90(monkeypatch):
    values = batch(3, 8, 8)
    found = turned_by(values, 90, monkeypatch)
    ways = [torch.rot90(values, k, (2, 3)) for k in (1, 3)]
    assert min((found - way).abs().max().item() for way in ways) < 1e-2


def test_a_turn_by_180_degrees_of_a_rectangle_mirrors_both_axes(monkeypatch):
    values = batch(3, 6, 10)
    assert (turned_by(values, 180, monkeypatch) - values.flip(2, 3)).abs().max() < 1e-2


def test_a_turned_rectangle_keeps_its_angles(monkeypatch):
    # A ramp along x turned by 30 degrees is a ramp with slopes cos 30 and sin 30 a pixel, in any shape.
    ramp = torch.arange(41.0).repeat(1, 1, 21, 1)
    found = turned_by(ramp, 30, monkeypatch)[0, 0, 8:13, 16:25]
    slope_x, slope_y = (found[:, 1:] - found[:, :-1]).mean(), (found[1:] - found[:-1]).mean()
    assert slope_x == pytest.approx(math.cos(math.pi / 6), abs=1e-3)
    assert abs(slope_y) == pytest.approx(math.sin(math.pi / 6), abs=1e-3)


def test_scaling_enlarges_by_up_to_its_share(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda n, generator=None: torch.ones(n))
    ramp = torch.arange(41.0).repeat(1, 1, 21, 1)
    found = augmented(ramp, PLAIN.changed(scale=0.25), step_generator(0, 0, 0))[0, 0, 8:13, 16:25]
    assert (found[:, 1:] - found[:, :-1]).mean() == pytest.approx(1 / 1.25, abs=1e-3)


def test_images_in_half_precision_are_turned_too():
    found = grown(batch().bfloat16(), rotate=15.0, translate=1, flip="random", cutout=2)
    assert found.dtype == torch.bfloat16


def test_cutout_sets_one_square_to_the_mean():
    values = batch(60) + 1
    found = grown(values, cutout=3)
    areas = []
    for image, cut in zip(values, found, strict=True):
        gone = (cut == 0).all(0)
        rows, columns = gone.any(1).nonzero()[:, 0], gone.any(0).nonzero()[:, 0]
        # a full rectangle, at most 3x3, clipped at the border
        assert gone.sum() == len(rows) * len(columns) and 1 <= len(rows) <= 3 and 1 <= len(columns) <= 3
        assert torch.equal(cut[:, ~gone], image[:, ~gone])
        areas.append(int(gone.sum()))
    assert max(areas) == 9


# -------------------------------------------------------------------------------- test views


@pytest.mark.parametrize("count", [1, 2, 6])
def test_views_have_the_images_shape_and_weights_that_add_to_one(count):
    views = views_of(batch(), count)
    assert len(views) == count
    assert sum(weight for weight, _ in views) == 1
    assert all(view.shape == batch().shape for _, view in views)


def test_six_views_are_the_image_the_mirror_and_both_moved_one_pixel_each_way():
    values = batch(2)
    views = [view for _, view in views_of(values, 6)]
    expected = [values, values.flip(-1)]
    for step in (-1, 1):
        moved = torch.stack([shifted_slowly(image, step, step, "reflect") for image in values])
        expected += [moved, moved.flip(-1)]
    assert [weight for weight, _ in views_of(values, 6)] == [0.25, 0.25] + [0.125] * 4
    for found, wanted in zip(views, expected, strict=True):
        assert torch.equal(found, wanted)
