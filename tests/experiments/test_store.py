"""The cache: found by pixels and settings alone, and never worth failing for."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.store import Making, cache_folder, encode, find_vocabulary, keep_vocabulary
from features import BagOfWords, Vocabulary
from scenes import pixel_hash, read_pixels
from scenes.files import read_npz, write_npz

MAKING = Making(1.5, 2, "a machine")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def words() -> Vocabulary:
    rng = np.random.default_rng(0)
    identity = {"step": [4, 4], "bin_size": [3, 3], "n_words": 5, "seed": 0, "backend": "numba"}
    return Vocabulary(rng.integers(0, 100, (5, 128)).astype(np.float32), identity)


@pytest.fixture
def bag(words):
    return BagOfWords(words, step=4, n_jobs=1).fit([])


@pytest.fixture
def images(small_folder) -> list[Path]:
    return sorted((small_folder / "train").glob("*/*.png"))[:6]


def hashes_of(paths) -> list[str]:
    return [pixel_hash(read_pixels(path)) for path in paths]


def run(bag, paths, **kwargs):
    return encode(bag, paths, hashes_of(paths), **kwargs)


def counts_of(bag, paths) -> np.ndarray:
    """Word counts without any cache."""
    return np.stack([found.counts for found in bag.iter_counts(paths)])


@pytest.fixture
def encoded(monkeypatch) -> list:
    """The paths that are encoded, as they are."""
    seen: list = []
    original = BagOfWords.iter_counts

    def spy(self, paths):
        seen.extend(paths)
        return original(self, paths)

    monkeypatch.setattr(BagOfWords, "iter_counts", spy)
    return seen


def histogram_files() -> list[Path]:
    return sorted((cache_folder() / "histograms").glob("*.npz"))


# ---------------------------------------------------------------------- histograms


def test_counts_are_those_of_the_encoder(bag, images):
    counts, enlarged, making = run(bag, images)
    assert counts.dtype == np.int64 and (counts == counts_of(bag, images)).all()
    assert enlarged.dtype == bool and not enlarged.any()
    assert making.seconds > 0 and not making.cached


def test_a_second_call_encodes_nothing_and_reports_the_cost_of_the_making(bag, images, encoded):
    first, _, made = run(bag, images)
    encoded.clear()
    second, _, reused = run(bag, images)
    assert encoded == [] and (first == second).all()
    assert reused.cached and reused.seconds == pytest.approx(made.seconds)
    assert (reused.threads, reused.hardware) == (made.threads, made.hardware)


def test_cached_counts_are_found_by_pixels_not_by_name_or_position(bag, images, encoded, tmp_path):
    first, _, _ = run(bag, images)
    encoded.clear()
    moved = [tmp_path / "elsewhere" / f"{9 - i}.bmp" for i in range(len(images))]
    moved[0].parent.mkdir()
    for path, new in zip(images, moved, strict=True):
        Image.open(path).save(new)
    order = [3, 0, 5, 1, 4, 2]
    second, _, _ = run(bag, [moved[i] for i in order])
    assert encoded == [] and (second == first[order]).all()


def test_other_pixels_under_the_same_name_are_encoded(bag, images, encoded):
    run(bag, images)
    encoded.clear()
    Image.fromarray(255 - np.asarray(Image.open(images[2]))).save(images[2])
    counts, _, making = run(bag, images)
    assert encoded == [images[2]] and making.cached
    assert (counts == counts_of(bag, images)).all()


def test_identical_images_are_encoded_once(bag, images, encoded, tmp_path):
    copy = tmp_path / "copy.png"
    shutil.copy(images[1], copy)
    counts, _, _ = run(bag, [*images, copy, images[1]])
    assert encoded == images
    assert (counts[1] == counts[-1]).all() and (counts[1] == counts[-2]).all() and len(counts) == 8


def test_a_larger_set_encodes_only_what_is_new(bag, images, encoded):
    run(bag, images[:4])
    encoded.clear()
    run(bag, images)
    assert encoded == images[4:]
    encoded.clear()
    run(bag, images)
    assert encoded == []


def test_a_part_of_what_is_stored_reports_its_share_of_the_seconds(bag, images):
    whole = run(bag, images)[2]
    part = run(bag, images[:3])[2]
    assert part.seconds == pytest.approx(whole.seconds / 2) and part.cached


def test_fresh_encodes_everything_again(bag, images, encoded):
    first, _, _ = run(bag, images)
    encoded.clear()
    second, _, making = run(bag, images, fresh=True)
    assert encoded == images and (first == second).all() and not making.cached


@pytest.mark.parametrize(
    "change",
    [
        {"step": 5}, {"step": (4, 5)}, {"bin_size": 2}, {"window": "gaussian"}, {"dtype": "float32"},
        {"max_side": 30}, {"max_side": None}, {"resize": 30},
    ],
    ids=str,
)  # fmt: skip
def test_other_descriptors_of_the_same_words_share_no_counts(words, bag, images, encoded, change):
    run(bag, images)
    encoded.clear()
    plain = Vocabulary(words.words, {"origin": "unknown"})
    run(BagOfWords(plain, step=4, n_jobs=1).fit([]), images)
    encoded.clear()
    other = BagOfWords(plain, **{"step": 4, "n_jobs": 1, **change}).fit([])
    counts, _, _ = run(other, images)
    assert encoded == images and (counts == counts_of(other, images)).all()


def test_other_words_of_the_same_identity_share_no_counts(words, bag, images, encoded):
    run(bag, images)
    encoded.clear()
    other = BagOfWords(Vocabulary(words.words + 1, words.identity), step=4, n_jobs=1).fit([])
    run(other, images)
    assert encoded == images


def test_threads_and_norm_share_the_counts(words, bag, images, encoded):
    run(bag, images)
    encoded.clear()
    run(BagOfWords(words, step=4, n_jobs=2, norm="l2").fit([]), images)
    assert encoded == []


def test_an_enlarged_image_is_remembered_as_such(bag, images, encoded, tmp_path):
    small = tmp_path / "small.png"
    Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5) * 12).save(small)
    paths = [*images, small]
    assert run(bag, paths)[1].tolist() == [False] * 6 + [True]
    encoded.clear()
    assert run(bag, paths)[1].tolist() == [False] * 6 + [True] and encoded == []


DAMAGE = {
    "empty": lambda path, arrays: path.write_bytes(b""),
    "cut": lambda path, arrays: path.write_bytes(path.read_bytes()[:100]),
    "text": lambda path, arrays: path.write_text("not an archive"),
    "an array missing": lambda path, arrays: write_npz(
        path, {k: v for k, v in arrays.items() if k != "enlarged"}
    ),
    "more hashes than counts": lambda path, arrays: write_npz(
        path, arrays | {"counts": arrays["counts"][1:]}
    ),
    "another word count": lambda path, arrays: write_npz(path, arrays | {"counts": arrays["counts"][:, :3]}),
    "a number for counts": lambda path, arrays: write_npz(path, arrays | {"counts": np.array(3)}),
    "cost unreadable": lambda path, arrays: write_npz(path, arrays | {"making": np.array("{")}),
    "cost of another shape": lambda path, arrays: write_npz(path, arrays | {"making": np.array('{"a": 1}')}),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_cache_file_is_set_aside_with_a_note_and_made_anew(bag, images, encoded, capsys, kind):
    first, _, _ = run(bag, images)
    (file,) = histogram_files()
    DAMAGE[kind](file, read_npz(file))
    encoded.clear()
    second, _, making = run(bag, images)
    assert encoded == images and (first == second).all() and not making.cached
    err = capsys.readouterr().err
    assert err.startswith("note: cached histograms are left aside (") and err.count("\n") == 1
    encoded.clear()
    run(bag, images)
    assert encoded == [] and capsys.readouterr().err == ""


def test_a_cache_folder_that_cannot_be_made_is_harmless(bag, words, images, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    assert find_vocabulary(words.identity) is None
    first, second = run(bag, images)[0], run(bag, images)[0]
    assert (first == second).all() and (first == counts_of(bag, images)).all()
    assert (tmp_path / "file").read_text() == "mine"


def test_a_cache_file_that_cannot_be_written_is_harmless(bag, images, encoded):
    run(bag, images)
    (file,) = histogram_files()
    file.unlink()
    file.mkdir()  # whoever runs this, nobody can write a file here
    encoded.clear()
    counts, _, _ = run(bag, images)
    assert encoded == images and (counts == counts_of(bag, images)).all()


def test_stored_counts_are_the_same_bytes_for_any_order(bag, images):
    run(bag, images)
    (file,) = histogram_files()
    first = read_npz(file)
    run(bag, images[::-1], fresh=True)
    second = read_npz(file)
    for name in ("hashes", "counts", "enlarged"):
        assert first[name].tobytes() == second[name].tobytes()


# -------------------------------------------------------------------- vocabularies


def test_a_vocabulary_is_found_by_its_identity_with_what_it_cost(words):
    assert find_vocabulary(words.identity) is None
    path = keep_vocabulary(words, MAKING, "small")
    assert (
        path.name.startswith("small-step4-bin3-w5-seed0-") and path.parent == cache_folder() / "vocabularies"
    )
    found, making, where = find_vocabulary(words.identity)
    assert where == path and found.identity == words.identity and (found.words == words.words).all()
    assert making == Making(1.5, 2, "a machine", cached=True)


@pytest.mark.parametrize("change", [{"seed": 1}, {"step": [4, 5]}, {"n_words": 6}, {"backend": "opencv"}])
def test_another_identity_never_gets_it(words, change):
    keep_vocabulary(words, MAKING, "small")
    assert find_vocabulary(words.identity | change) is None


def test_a_file_under_the_right_name_with_another_identity_is_not_taken(words):
    path = keep_vocabulary(words, MAKING, "small")
    other = words.identity | {"seed": 1}
    impostor = keep_vocabulary(Vocabulary(words.words, other), MAKING, "small")
    shutil.copy(impostor, path)
    assert find_vocabulary(words.identity) is None
    assert find_vocabulary(other)[2] == impostor


def test_the_name_of_the_data_plays_no_part_in_finding(words):
    keep_vocabulary(words, MAKING, "another-name")
    assert find_vocabulary(words.identity) is not None


def test_a_shipped_vocabulary_is_found_before_the_cache(words, monkeypatch, tmp_path):
    monkeypatch.setattr("experiments.store.PROJECT", tmp_path / "project")
    keep_vocabulary(words, MAKING, "small")
    shipped = keep_vocabulary(words, MAKING, "small", tmp_path / "project" / "vocab")
    assert find_vocabulary(words.identity)[2] == shipped


def test_a_damaged_vocabulary_counts_as_absent(words):
    path = keep_vocabulary(words, MAKING, "small")
    path.write_bytes(path.read_bytes()[:-50])
    assert find_vocabulary(words.identity) is None


@pytest.mark.parametrize("text", [None, "", "[]", '{"seconds": 1}'])
def test_a_vocabulary_whose_cost_nobody_wrote_down_is_still_found(words, text):
    path = keep_vocabulary(words, MAKING, "small")
    beside = path.with_suffix(".making.json")
    assert json.loads(beside.read_text()) == {"seconds": 1.5, "threads": 2, "hardware": "a machine"}
    beside.unlink() if text is None else beside.write_text(text)
    assert find_vocabulary(words.identity)[1] == Making(0.0, 0, "unknown", cached=True)
