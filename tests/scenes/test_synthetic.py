"""The built-in scenes: the same pixels everywhere, complete or absent, neither trivial nor hopeless."""

import hashlib
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenes import synthetic
from scenes.synthetic import CLASSES, draw_scene, synthetic_folder

N_TRAIN, N_TEST = 12, 12

# SHA-256 of shape and pixels. A changed one means that every cached folder and every measured figure is out
# of date: raise VERSION, then take the new ones.
PINNED = {
    ("Bedroom", 1, "train", 0): "9ffd18bb0463356429ffb3667bfad79db6be4a273458d551eda25eb2d3087588",
    ("Coast", 20, "test", 0): "0abc3d144775c79e97075d6d4192a4298cbbbaa09c6c7c959cf360c3850d5477",
    ("Forest", 7, "train", 1): "c81074022cd498ae78d799e0fbf10d7dc82a316c428662c922e9e74e82baa780",
    ("Highway", 3, "test", 42): "ece58bcfbfe9ddd102fc82bc8a70853b2c1e8f72a4f712f2518e3f2b48ff23d3",
    ("Industrial", 1, "test", 0): "629a990c77c090d469f0154d1224cb2e095523e5d9b6ebe1a9604e97dd2e9350",
    ("InsideCity", 2, "train", 7): "68604a13b10f1a75a37e1496c477310594f449ce17acf1e7095201de3d5ed207",
    ("Kitchen", 4, "test", 3): "6b2aa0ce0ffef70a72632dac544df296ca349c2f5bcc5f26f066899258a3d9bd",
    ("LivingRoom", 9, "train", 0): "903979b2def577c36c64834fde22064a5d36a3ce4aac680075016a2e96567d32",
    ("Mountain", 100, "train", 0): "7a7eff6b1b1b0409add49fa5727b541799bc61053543c7f0b484f1a3e142a21e",
    ("Office", 1, "train", 4294967295): "a41fc774b067dc593e5de7acfa432909a07eb54ffd58b926dd9e42c332aff827",
    ("OpenCountry", 5, "test", 1): "cb1948c6762785d499bd200f5aa39d517bbf2dc16b6215a28a710ab43d3502c0",
    ("Store", 2, "train", 0): "5f304dae8b4c0348c91707dd788bb987fcc4ac4878b9e90e19f29894b586eca1",
    ("Street", 1, "test", 2): "4d3fbe3f13ebc86226825c15ef30d8cd7c9af4557bd0c1020a26e0319f71f0a0",
    ("Suburb", 11, "train", 0): "3ab3bda8b92ab9cc6f55ccd4cbd6c3e4594195a29d2811fd07b9de1b3ea8d024",
    ("TallBuilding", 0, "test", 0): "233c4495c4d608e6c1a60b0ef4b55c438294e0fbeb63ac594c22e53801ce7637",
}


def digest(pixels):
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def drawn():
    """(class, split) to its pictures, of the set that everybody gets."""
    counts = {"train": N_TRAIN, "test": N_TEST}
    return {
        (name, split): [draw_scene(name, index, split=split) for index in range(1, counts[split] + 1)]
        for name in CLASSES for split in counts
    }


@pytest.fixture
def quick(monkeypatch):
    """Replace the drawing by something fast; gives the list of what was asked for."""
    asked = []

    def draw(class_name, index, *, split="train", seed=0):
        asked.append((class_name, index, split, seed))
        return np.full((4, 5), len(asked) % 256, np.uint8)

    monkeypatch.setattr(synthetic, "draw_scene", draw)
    return asked


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.png"))


def test_the_classes_are_those_of_the_15_scenes():
    assert CLASSES == (
        "Bedroom", "Coast", "Forest", "Highway", "Industrial", "InsideCity", "Kitchen", "LivingRoom",
        "Mountain", "Office", "OpenCountry", "Store", "Street", "Suburb", "TallBuilding",
    )


@pytest.mark.parametrize("key", PINNED, ids=lambda key: "-".join(map(str, key)))
def test_pixels_are_the_same_everywhere(key):
    class_name, index, split, seed = key
    assert digest(draw_scene(class_name, index, split=split, seed=seed)) == PINNED[key]


def test_pixels_do_not_depend_on_what_was_drawn_before():
    first = draw_scene("Street", 3)
    np.random.seed(1)
    draw_scene("Office", 3)
    np.testing.assert_array_equal(draw_scene("Street", np.int64(3)), first)


@pytest.mark.parametrize("name", CLASSES)
def test_pictures_are_grey_of_the_right_size_and_not_flat(drawn, name):
    for pixels in drawn[name, "train"] + drawn[name, "test"]:
        assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous
        assert 208 <= pixels.shape[0] <= 232 and 280 <= pixels.shape[1] <= 320
        assert pixels.std() > 8
        assert np.isin(pixels, (0, 255)).mean() < 0.4  # not burnt out


def test_sizes_vary(drawn):
    assert len({pixels.shape for pictures in drawn.values() for pixels in pictures}) > 50


def test_no_two_pictures_are_identical(drawn):
    digests = [digest(pixels) for pictures in drawn.values() for pixels in pictures]
    digests += [digest(draw_scene(name, 1, seed=1)) for name in CLASSES]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("name", CLASSES)
def test_pictures_of_a_class_differ_by_more_than_noise(drawn, name):
    # The noise is at most 8 either way; two pictures that share their drawing stay below that on average.
    def crop(pixels):
        return pixels[:208, :280].astype(int)
    for one, other in itertools.combinations(drawn[name, "train"][:4] + drawn[name, "test"][:2], 2):
        assert abs(crop(one) - crop(other)).mean() > 10


def test_tiny_images_are_neither_hopeless_nor_enough(drawn):
    # The course's tiny images, written out: 16 x 16 by nearest neighbour, divided by the largest column
    # sum, nearest neighbour by city-block distance. Chance is 1/15.
    def tiny(pixels):
        small = np.asarray(Image.fromarray(pixels).resize((16, 16), Image.Resampling.NEAREST), float)
        return (small / small.sum(axis=0).max()).ravel()

    vectors, labels = {}, {}
    for split in ("train", "test"):
        pairs = [(tiny(pixels), name) for name in CLASSES for pixels in drawn[name, split]]
        vectors[split], labels[split] = np.array([v for v, _ in pairs]), np.array([name for _, name in pairs])
    distances = abs(vectors["test"][:, None] - vectors["train"][None]).sum(axis=2)
    accuracy = (labels["train"][distances.argmin(axis=1)] == labels["test"]).mean()
    assert 0.2 <= accuracy <= 0.5


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        (("bedroom", 1), {}, "unknown class 'bedroom': did you mean Bedroom"),
        (("Tall building", 1), {}, "did you mean TallBuilding"),
        (("Zoo", 1), {}, "choose one of Bedroom, Coast"),
        ((3, 1), {}, "unknown class 3"),
        (("Coast", -1), {}, "index is -1: give a whole number from 0"),
        (("Coast", 1.5), {}, "index is 1.5"),
        (("Coast", 1), {"split": "val"}, "unknown split 'val': choose train or test"),
        (("Coast", 1), {"seed": -1}, "seed is -1"),
        (("Coast", 1), {"seed": 2**32}, "seed is 4294967296"),
        (("Coast", 1), {"seed": None}, "seed is None"),
    ],
)
def test_wrong_arguments_are_named(arguments, keywords, message):
    with pytest.raises(ValueError, match=message):
        draw_scene(*arguments, **keywords)


@pytest.mark.parametrize(
    "wrong", [{"n_train": 0}, {"n_test": 0}, {"n_test": 10_000}, {"n_train": 2.5}, {"seed": -1}]
)
def test_wrong_numbers_are_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*: give a whole number"):
        synthetic_folder(tmp_path / "set", **wrong)
    assert not any(tmp_path.iterdir())


def test_folder_holds_the_pictures(tmp_path):
    folder = synthetic_folder(tmp_path / "new" / "set", n_train=2, n_test=1, seed=5)
    assert folder == tmp_path / "new" / "set"
    assert files(folder) == sorted(
        f"{split}/{name}/image_{index:04d}.png"
        for split, count in (("train", 2), ("test", 1)) for name in CLASSES for index in range(1, count + 1)
    )
    with Image.open(folder / "test" / "Kitchen" / "image_0001.png") as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), draw_scene("Kitchen", 1, split="test", seed=5))
    assert sorted(path.name for path in folder.iterdir()) == ["synthetic.json", "test", "train"]
    assert [path.name for path in folder.parent.iterdir()] == ["set"]  # no scratch is left


def test_folder_is_drawn_once(tmp_path, quick):
    synthetic_folder(tmp_path / "set", n_train=2, n_test=1)
    assert len(quick) == 45
    assert synthetic_folder(str(tmp_path / "set"), n_train=2, n_test=1) == tmp_path / "set"
    assert len(quick) == 45


def test_an_empty_folder_is_filled(tmp_path, quick):
    assert len(files(synthetic_folder(tmp_path, n_train=1, n_test=1))) == 30


def test_a_hidden_file_does_no_harm(tmp_path, quick):
    folder = synthetic_folder(tmp_path / "set", n_train=1, n_test=1)
    (folder / "train" / "Coast" / ".DS_Store").write_bytes(b"x")
    synthetic_folder(folder, n_train=1, n_test=1)
    assert len(quick) == 30


@pytest.mark.parametrize("other", [{"seed": 1}, {"n_train": 2}, {"n_test": 2}])
def test_another_set_in_the_folder_is_refused_and_kept(tmp_path, quick, other):
    synthetic_folder(tmp_path / "set", n_train=1, n_test=1)
    before = files(tmp_path)
    with pytest.raises(ValueError, match="holds something else .*: name a new or an empty folder"):
        synthetic_folder(tmp_path / "set", **{"n_train": 1, "n_test": 1, **other})
    assert files(tmp_path) == before and len(quick) == 30


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_other_peoples_files_are_kept(tmp_path, quick, kind):
    mine = tmp_path / "set" if kind == "file" else tmp_path / "set" / "train" / "mine.txt"
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(ValueError, match="holds something else"):
        synthetic_folder(tmp_path / "set", n_train=1, n_test=1)
    assert mine.read_text() == "mine" and not quick


def damage(folder, kind):
    picture = folder / "test" / "Store" / "image_0001.png"
    if kind == "missing":
        picture.unlink()
    elif kind == "empty":
        picture.write_bytes(b"")
    elif kind == "too many":
        picture.with_name("image_0002.png").write_bytes(picture.read_bytes())
    else:
        (folder / "synthetic.json").write_bytes(b"\xff")


@pytest.mark.parametrize("kind", ["missing", "empty", "too many", "unnamed"])
def test_a_damaged_folder_is_redrawn_in_the_cache_and_refused_elsewhere(tmp_path, monkeypatch, quick, kind):
    monkeypatch.setattr(synthetic.platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    folder = synthetic_folder(n_train=1, n_test=1, seed=3)
    assert folder == tmp_path / "cache" / "scenebench" / "synthetic" / "v1-seed3-1-1"
    assert synthetic_folder(n_train=1, n_test=1, seed=3) == folder and len(quick) == 30
    damage(folder, kind)
    assert len(files(synthetic_folder(n_train=1, n_test=1, seed=3))) == 30 and len(quick) == 60
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]

    elsewhere = synthetic_folder(tmp_path / "set", n_train=1, n_test=1)
    damage(elsewhere, kind)
    with pytest.raises(ValueError, match="holds something else"):
        synthetic_folder(elsewhere, n_train=1, n_test=1)


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(class_name, index, *, split, seed):
        if class_name == "Office":
            raise KeyboardInterrupt
        return np.zeros((4, 5), np.uint8)

    monkeypatch.setattr(synthetic, "draw_scene", interrupted)
    with pytest.raises(KeyboardInterrupt):
        synthetic_folder(tmp_path / "set", n_train=1, n_test=1)
    assert not any(tmp_path.iterdir())


def test_the_slower_of_two_takes_what_the_faster_made(tmp_path, monkeypatch):
    # The first picture of the slower call starts the faster one, which ends while the slower still draws.
    calls = []

    def draw(class_name, index, *, split, seed):
        calls.append(class_name)
        if len(calls) == 1:
            synthetic_folder(tmp_path / "set", n_train=1, n_test=1)
        return np.full((4, 5), len(calls), np.uint8)

    monkeypatch.setattr(synthetic, "draw_scene", draw)
    folder = synthetic_folder(tmp_path / "set", n_train=1, n_test=1)
    assert len(calls) == 60 and len(files(folder)) == 30
    with Image.open(folder / "train" / "Bedroom" / "image_0001.png") as image:
        assert image.getpixel((0, 0)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_two_processes_at_once_end_well(tmp_path):
    code = "import sys; from scenes.synthetic import *; synthetic_folder(sys.argv[1], n_train=1, n_test=1)"
    command = [sys.executable, "-c", code, str(tmp_path / "set")]
    root = Path(synthetic.__file__).resolve().parent.parent
    running = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        _, stderr = process.communicate(timeout=60)
        assert (process.returncode, stderr) == (0, "")  # and no progress bar where stderr is no terminal
    assert len(files(tmp_path / "set")) == 30
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
