"""Vocabularies: the same bytes for the same pictures, an identity for everything else, hostile files."""

import hashlib
import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest

from features import Vocabulary, dense_sift
from features.kmeans import kmeans
from features.vocabulary import resize_rule, vocabulary_identity, vocabulary_name
from scenes import SceneDataset, pixel_hash
from scenes.dataset import fingerprint

SMALL = {"n_words": 8, "descriptors_per_image": 30}
IDENTITY_KEYS = [
    "format", "backend", "dtype", "resize", "step", "vocab_step", "bin_size", "window",
    "descriptors_per_image", "n_words", "seed", "fingerprint",
]  # fmt: skip


def pictures(n=6, seed=21):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (24 + i, 30)).astype(np.uint8) for i in range(n)]


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.fit(pictures(), **SMALL)


def assert_same(one, other):
    assert one.words.tobytes() == other.words.tobytes()
    assert one == other and one.key == other.key


# fit


def test_words_are_float32_of_128_dimensions(vocabulary):
    assert vocabulary.words.shape == (8, 128) and vocabulary.words.dtype == np.float32
    assert np.isfinite(vocabulary.words).all()


def test_the_identity_says_how_the_words_came_about():
    images = pictures()
    found = Vocabulary.fit(
        images, n_words=5, step=2, vocab_step=(3, 4), bin_size=(3, 4), window="gaussian", dtype="float32",
        descriptors_per_image=9, random_state=7, max_side=29,
    )  # fmt: skip
    assert list(found.identity) == IDENTITY_KEYS
    assert found.identity == {
        "format": 1, "backend": "numba", "dtype": "float32", "resize": "max-side 29", "step": [2, 2],
        "vocab_step": [3, 4], "bin_size": [3, 4], "window": "gaussian", "descriptors_per_image": 9,
        "n_words": 5, "seed": 7, "fingerprint": fingerprint([pixel_hash(p) for p in images], [""] * 6),
    }  # fmt: skip
    json.dumps(found.identity)


def test_numpy_numbers_give_the_same_identity(vocabulary):
    found = Vocabulary.fit(
        pictures(), n_words=np.int64(8), step=np.int32(1), bin_size=np.array([3, 3]),
        descriptors_per_image=np.int16(30), random_state=np.int64(0),
    )  # fmt: skip
    assert_same(found, vocabulary)
    assert json.dumps(found.identity) == json.dumps(vocabulary.identity)


def test_the_sample_is_drawn_per_image_by_seed_and_hash_and_put_together_by_hash():
    images, seed = pictures(), 5
    samples = {}
    for image in images:
        descriptors = dense_sift(image, step=2)[1]
        digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
        rows = np.random.default_rng([seed, *digest]).choice(len(descriptors), 30, replace=False)
        samples[digest] = descriptors[np.sort(rows)]
    points = np.concatenate([samples[digest] for digest in sorted(samples)])
    found = Vocabulary.fit(images, **SMALL, step=2, random_state=seed)
    assert np.array_equal(found.words, kmeans(points, 8, random_state=seed).words)


def test_an_image_with_fewer_descriptors_than_asked_for_gives_all_of_them():
    images = pictures(3)
    every = [dense_sift(image, step=6)[1] for image in images]
    order = np.argsort([pixel_hash(image) for image in images])
    points = np.concatenate([every[i] for i in order])
    found = Vocabulary.fit(images, n_words=4, step=6, descriptors_per_image=1000)
    assert np.array_equal(found.words, kmeans(points, 4).words)


# the same bytes


def test_the_order_of_the_images_does_not_change_a_bit(vocabulary):
    images = pictures()
    for order in (range(5, -1, -1), np.random.default_rng(0).permutation(6)):
        assert_same(Vocabulary.fit([images[i] for i in order], **SMALL), vocabulary)


def test_copies_do_not_change_a_bit(vocabulary):
    images = pictures()
    assert_same(Vocabulary.fit([*images, images[2].copy(), images[2]], **SMALL), vocabulary)


@pytest.mark.parametrize("n_jobs", [1, 2, 4])
def test_the_number_of_threads_does_not_change_a_bit(vocabulary, n_jobs):
    assert_same(Vocabulary.fit(pictures(), **SMALL, n_jobs=n_jobs), vocabulary)


def test_names_of_files_do_not_change_a_bit(small_folder):
    dataset = SceneDataset.from_folder(small_folder)
    before = Vocabulary.fit(dataset.train.paths, **SMALL)
    bars = small_folder / "train" / "bars"
    (bars / "image_0.png").rename(bars / "z.png")
    shutil.copy(bars / "image_1.png", bars / "copy.png")
    assert_same(Vocabulary.fit(SceneDataset.from_folder(small_folder).train.paths, **SMALL), before)


# another identity


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"step": 2}, "step"),
        ({"step": (1, 2)}, "step"),
        ({"vocab_step": 2}, "vocab_step"),
        ({"bin_size": 4}, "bin_size"),
        ({"window": "gaussian"}, "window"),
        ({"dtype": "float32"}, "dtype"),
        ({"n_words": 7}, "n_words"),
        ({"descriptors_per_image": 31}, "descriptors_per_image"),
        ({"random_state": 1}, "seed"),
        ({"max_side": None}, "resize"),
        ({"resize": 25}, "resize"),
        pytest.param({"backend": "vlfeat"}, "backend", marks=pytest.mark.vlfeat),
    ],
)
def test_every_setting_is_part_of_the_identity(vocabulary, change, key):
    other = Vocabulary.fit(pictures(), **SMALL | change)
    assert other.identity[key] != vocabulary.identity[key]
    assert other != vocabulary and other.key != vocabulary.key
    assert vocabulary_name(other.identity, "x") != vocabulary_name(vocabulary.identity, "x")


def test_another_pixel_is_another_identity(vocabulary):
    images = pictures()
    images[3][5, 5] ^= 1
    other = Vocabulary.fit(images, **SMALL)
    assert other.identity["fingerprint"] != vocabulary.identity["fingerprint"] and other.key != vocabulary.key


def test_the_step_of_the_sample_is_the_step_unless_given(vocabulary):
    assert vocabulary.identity["vocab_step"] == vocabulary.identity["step"] == [1, 1]
    both = Vocabulary.fit(pictures(), **SMALL, step=3)
    assert both.identity["vocab_step"] == [3, 3]
    coarse = Vocabulary.fit(pictures(), **SMALL, step=1, vocab_step=3)
    assert np.array_equal(coarse.words, both.words) and coarse.identity != both.identity


def test_the_key_depends_on_the_words_too(vocabulary):
    words = vocabulary.words.copy()
    words[0, 0] += 1
    assert replace(vocabulary, words=words).key != vocabulary.key


def test_vocabularies_are_equal_where_words_and_identity_are(vocabulary):
    same = Vocabulary(vocabulary.words.copy(), dict(vocabulary.identity))
    other = Vocabulary(vocabulary.words + 1, vocabulary.identity)
    assert vocabulary == same and hash(vocabulary) == hash(same) and len({vocabulary, same, other}) == 2
    assert vocabulary != other and vocabulary != Vocabulary(vocabulary.words, {"origin": "unknown"})
    assert vocabulary != vocabulary.words.tolist()


def test_the_identity_can_be_known_before_the_words(vocabulary):
    expected = vocabulary_identity(
        images_fingerprint=vocabulary.identity["fingerprint"], n_words=8, step=1, vocab_step=None, bin_size=3,
        window="flat", dtype="uint8", descriptors_per_image=30, backend="numba", max_side=480, resize=None,
        random_state=0,
    )  # fmt: skip
    assert expected == vocabulary.identity


@pytest.mark.parametrize(
    ("max_side", "resize", "rule"),
    [(None, None, "none"), (480, None, "max-side 480"), (480, 200, "squash 200x200")],
)
def test_resize_rules_in_words(max_side, resize, rule):
    assert resize_rule(max_side, resize) == rule


# names


def test_the_file_name_shows_the_settings_and_a_hash(vocabulary):
    text = json.dumps(vocabulary.identity, sort_keys=True)
    short = hashlib.sha256(text.encode()).hexdigest()[:8]
    assert vocabulary_name(vocabulary.identity, "scene15") == f"scene15-step1-bin3-w8-seed0-{short}.npz"


def test_pairs_stand_in_the_file_name_with_an_x(vocabulary):
    identity = vocabulary.identity | {"step": [2, 5], "bin_size": [3, 4], "seed": 12}
    assert vocabulary_name(identity, "mine").startswith("mine-step2x5-bin3x4-w8-seed12-")


# save and load


def test_saving_and_loading_gives_the_same_vocabulary_and_the_same_bytes(vocabulary, tmp_path):
    path = vocabulary.save(tmp_path / "one.npz")
    loaded = Vocabulary.load(path)
    assert path == tmp_path / "one.npz"
    assert_same(loaded, vocabulary)
    assert list(loaded.identity) == IDENTITY_KEYS
    assert loaded.save(tmp_path / "two.npz").read_bytes() == path.read_bytes()


def test_a_saved_vocabulary_reads_with_plain_numpy(vocabulary, tmp_path):
    with np.load(vocabulary.save(tmp_path / "v.npz"), allow_pickle=False) as arrays:
        assert sorted(arrays) == ["identity", "words"]
        assert np.array_equal(arrays["words"], vocabulary.words)
        assert json.loads(str(arrays["identity"])) == vocabulary.identity


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_plain_words_are_loaded_with_unknown_origin(tmp_path, dtype):
    words = np.random.default_rng(1).integers(0, 200, (5, 128)).astype(dtype)
    np.save(tmp_path / "words.npy", words)
    np.savez(tmp_path / "named.npz", words=words)
    np.savez(tmp_path / "any.npz", centers=words)
    np.savez_compressed(tmp_path / "small.npz", words)
    for name in ("words.npy", "named.npz", "any.npz", "small.npz"):
        loaded = Vocabulary.load(str(tmp_path / name))
        assert loaded.identity == {"origin": "unknown"}
        assert loaded.words.dtype == np.float32 and np.array_equal(loaded.words, words)
        loaded.check_fits(bin_size=4, window="gaussian", dtype="float32", backend="opencv")


@pytest.mark.parametrize("name", ["vocab.pkl", "vocab.npy", "vocab.npz"])
def test_a_pickle_is_refused_with_the_way_out(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(np.zeros((5, 128))))
    with pytest.raises(ValueError) as error:
        Vocabulary.load(tmp_path / name)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / name}: a pickle can run any code")
    assert "numpy.load" in message and "numpy.save" in message and "\n" not in message


def test_pickled_objects_inside_are_refused(tmp_path):
    np.save(tmp_path / "words.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="pickled objects"):
        Vocabulary.load(tmp_path / "words.npy")


@pytest.mark.parametrize(
    "words",
    [
        np.zeros(128, np.float32),
        np.zeros((2, 3, 128), np.float32),
        np.zeros((0, 128), np.float32),
        np.zeros((5, 0), np.float32),
        np.full((5, 128), np.nan),
        np.full((5, 128), np.inf),
        np.full((5, 128), "a"),
        np.zeros((5, 128), complex),
    ],
    ids=["1-D", "3-D", "no words", "no width", "nan", "infinite", "text", "complex"],
)
def test_arrays_that_are_no_words_are_refused(tmp_path, words):
    np.save(tmp_path / "words.npy", words)
    with pytest.raises(ValueError, match=r"words.npy: words of .* are no vocabulary: give finite numbers"):
        Vocabulary.load(tmp_path / "words.npy")


def test_several_arrays_without_words_are_refused(tmp_path):
    np.savez(tmp_path / "v.npz", a=np.zeros((5, 128)), b=np.zeros((5, 128)))
    with pytest.raises(ValueError, match=r"v.npz: no vocabulary: it should hold an array `words`"):
        Vocabulary.load(tmp_path / "v.npz")


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "null", '"step"', "[" * 100_000])
def test_an_identity_that_does_not_read_is_refused(tmp_path, text):
    np.savez(tmp_path / "v.npz", words=np.zeros((5, 128)), identity=np.array(text))
    with pytest.raises(ValueError, match=r"v.npz: its identity is not readable: build the vocabulary anew"):
        Vocabulary.load(tmp_path / "v.npz")


def test_a_damaged_file_is_refused_or_gives_the_same_words(vocabulary, tmp_path):
    content = vocabulary.save(tmp_path / "v.npz").read_bytes()
    rng = np.random.default_rng(4)
    path = tmp_path / "damaged.npz"
    refused = 0
    for at in rng.integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[at] ^= 0x41
        path.write_bytes(damaged)
        try:
            assert Vocabulary.load(path).words.tobytes() == vocabulary.words.tobytes()
        except ValueError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
            refused += 1
    assert refused > 100
    for length in (0, 1, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="damaged.npz"):
            Vocabulary.load(path)


def test_a_missing_file_is_an_error_of_the_disk(tmp_path):
    with pytest.raises(FileNotFoundError):
        Vocabulary.load(tmp_path / "none.npz")


# what fits


FITTING = {"bin_size": 3, "window": "flat", "dtype": "uint8", "backend": "numba"}


def test_the_descriptors_it_was_made_of_fit(vocabulary):
    vocabulary.check_fits(**FITTING)
    vocabulary.check_fits(**FITTING | {"bin_size": (3, 3)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bin_size": 4}, "made with bin_size 3, not 4: ask for that bin_size or give another vocabulary"),
        ({"bin_size": (3, 4)}, "made with bin_size 3, not 3x4"),
        ({"window": "gaussian"}, "made with window flat, not gaussian"),
        ({"dtype": "float32"}, "made with dtype uint8, not float32"),
        ({"backend": "vlfeat"}, "made with backend numba, not vlfeat"),
    ],
)
def test_another_kind_of_descriptor_does_not_fit(vocabulary, change, message):
    with pytest.raises(ValueError, match=message):
        vocabulary.check_fits(**FITTING | change)


def test_words_of_another_length_never_fit():
    words = Vocabulary(np.zeros((5, 64), np.float32), {"origin": "unknown"})
    with pytest.raises(ValueError, match="has 64-d words, SIFT descriptors have 128"):
        words.check_fits(**FITTING)


@pytest.mark.parametrize("value", [[[3], [3]], [], {"y": 3}, None, [3, None]])
def test_a_senseless_identity_does_not_fit(vocabulary, value):
    words = Vocabulary(vocabulary.words, vocabulary.identity | {"bin_size": value})
    with pytest.raises(ValueError, match="made with bin_size"):
        words.check_fits(**FITTING)


# errors


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="a vocabulary needs images: the list is empty"):
        Vocabulary.fit([])


@pytest.mark.parametrize("name", ["n_words", "descriptors_per_image"])
@pytest.mark.parametrize("value", [0, -3])
def test_numbers_below_one_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}: give 1 or more"):
        Vocabulary.fit(pictures(2), **{name: value})


def test_too_small_a_sample_is_refused_with_its_size():
    with pytest.raises(ValueError, match="400 words need at least as many descriptors, the sample has 60"):
        Vocabulary.fit(pictures(2), descriptors_per_image=30)


def test_bad_descriptor_settings_are_named():
    with pytest.raises(ValueError, match="unknown window"):
        Vocabulary.fit(pictures(2), window="round")
    with pytest.raises(ValueError, match="vocab_step is 0"):
        Vocabulary.fit(pictures(2), vocab_step=0)


def test_images_too_small_for_a_frame_are_enlarged():
    tiny = [np.random.default_rng(i).integers(0, 256, (4, 5)).astype(np.uint8) for i in range(3)]
    assert Vocabulary.fit(tiny, n_words=2).words.shape == (2, 128)
