"""What a result is compared with: only the very images it was measured on."""

import math

import pytest

from experiments.classical import Voting, bag_vectors, classify, tiny_vectors
from experiments.data import PROJECT, load_data
from experiments.expected import EXPECTED, METHODS, expected_lines, expected_range, known_set
from experiments.tables import read_rows
from features import BagOfWords, TinyImage, Vocabulary
from reports import build_result
from scenes import SceneDataset
from scenes.dataset import committed_fingerprint

VOTING = {"metric": "cityblock", "tie": "first", "k": 8}
TINY = VOTING | TinyImage().get_params()
BOW = VOTING | BagOfWords().get_params()


@pytest.fixture
def known(small_folder, monkeypatch) -> SceneDataset:
    """A small set that is taken for the 15 scenes."""
    dataset = SceneDataset.from_folder(small_folder).scan()
    monkeypatch.setattr("experiments.expected.committed_fingerprint", lambda name: dataset.fingerprint)
    return dataset


def test_a_folder_of_other_images_has_no_range_whatever_its_name(small_folder):
    renamed = small_folder.rename(small_folder.with_name("scene15"))
    dataset = SceneDataset.from_folder(renamed).scan()
    assert dataset.name == "scene15"
    assert known_set(dataset) is None and expected_range(dataset, "tiny", TINY) is None
    assert expected_lines(dataset, None) == ["chance: 0.3333 (1 of 3 classes)"]


def test_the_known_pixels_have_their_range_whatever_the_folders_name(known):
    assert known_set(known) == "scene15"
    assert expected_range(known, "bow", BOW) == EXPECTED["scene15"]["bow"]
    assert expected_range(known, "tiny", TINY) == EXPECTED["scene15"]["tiny"]
    assert expected_range(known, "cnn", BOW) is None
    lines = expected_lines(known, 0.25)
    assert "bags of SIFT + kNN (step 1, 400 words) on scene15: 0.55 to 0.63" in lines
    assert lines[:2] == [
        "chance: 0.3333 (1 of 3 classes)",
        "tiny images + 1 nearest neighbour on the same images: 0.2500",
    ]
    assert [line.split(" on scene15")[0] for line in lines[2:]] == [
        METHODS[name] for name in EXPECTED["scene15"]
    ]


@pytest.mark.parametrize(
    ("method", "other"),
    [
        ("bow", {"step": 5}), ("bow", {"step": (1, 5)}), ("bow", {"n_words": 10}), ("bow", {"bin_size": 4}),
        ("bow", {"window": "gaussian"}), ("bow", {"dtype": "float32"}), ("bow", {"backend": "opencv"}),
        ("bow", {"norm": "l2"}), ("bow", {"vocab_step": 8}), ("bow", {"max_side": 100}),
        ("bow", {"resize": 64}), ("bow", {"metric": "euclidean"}), ("bow", {"tie": "nearest"}),
        ("bow", {"k": 11}), ("bow", {"descriptors_per_image": 5}),
        ("tiny", {"size": 8}), ("tiny", {"resample": "box"}), ("tiny", {"norm": "none"}),
        ("tiny", {"zero_mean": True}), ("tiny", {"crop": True}), ("tiny", {"metric": "chi2"}),
        ("tiny", {"k": 100}), ("tiny", {"resize": 20}),
    ],
)  # fmt: skip
def test_at_other_settings_nothing_was_measured(known, method, other):
    settings = {"bow": BOW, "tiny": TINY}[method]
    assert expected_range(known, method, settings) and not expected_range(known, method, settings | other)


def sb003(known, encoded, method) -> str:
    (record,) = classify(known, encoded, Voting((1,)), name=method, command=["x"], n_jobs=1)
    return next(row["state"] for row in record.diagnoses if row["code"] == "SB003")


def test_a_run_is_judged_at_the_measured_settings_only(known, monkeypatch):
    monkeypatch.setattr(
        "experiments.expected.EXPECTED", {"scene15": {"tiny": (0.99, 1.0), "bow": (0.99, 1.0)}}
    )
    assert sb003(known, tiny_vectors(known, TinyImage(n_jobs=1)), "tiny") in ("issue", "passed")
    assert sb003(known, tiny_vectors(known, TinyImage(2, n_jobs=1)), "tiny") == "not applicable"
    (encoded,) = bag_vectors(known, BagOfWords(n_jobs=1))
    assert sb003(known, encoded, "bow") in ("issue", "passed")
    foreign = Vocabulary(encoded.vocabulary.words, {"origin": "unknown"})
    (encoded,) = bag_vectors(known, BagOfWords(foreign, n_jobs=1))
    assert sb003(known, encoded, "bow") == "not applicable"


def test_the_range_of_tiny_images_is_that_of_the_tables():
    measured = []
    for name in ("r1-tiny-k", "r1-tiny-norms"):
        rows = [row for row in read_rows(PROJECT / "results" / f"{name}.csv") if row.metric == "accuracy"]
        measured += [float(row.measured) for row in rows if "euclidean" not in row.setting]
    low, high = EXPECTED["scene15"]["tiny"]
    assert (low, high) == (math.floor(100 * min(measured)) / 100, math.ceil(100 * max(measured)) / 100)


@pytest.mark.slow
def test_the_ranges_of_the_built_in_scenes_are_what_comes_out():
    dataset, _ = load_data(None, "synthetic")
    encoded = [tiny_vectors(dataset, TinyImage(norm=norm)) for norm in ("l1_matrix", "l1", "l2")]
    bags = [each for seed in range(5) for each in bag_vectors(dataset, BagOfWords(random_state=seed))]
    for method, vectors in (("tiny", encoded), ("bow", bags)):
        found = []
        for each in vectors:
            records = classify(dataset, each, Voting(tuple(range(1, 11))), name=method, command=[])
            found += [build_result(record)["accuracy"] for record in records]
        low, high = EXPECTED["synthetic"][method]
        assert (low, high) == (math.floor(100 * min(found)) / 100, math.ceil(100 * max(found)) / 100), method


def test_ranges_are_fractions_low_to_high_of_named_methods():
    for ranges in EXPECTED.values():
        for method, (low, high) in ranges.items():
            assert method in METHODS and 0 < low < high < 1


def test_the_built_in_scenes_are_known():
    dataset, _ = load_data(None, "synthetic")
    assert known_set(dataset) == "synthetic"
    assert expected_range(dataset, "tiny", TINY) == EXPECTED["synthetic"]["tiny"]


@pytest.mark.data
def test_the_real_scenes_are_known(scene15):
    dataset = SceneDataset.from_folder(scene15).scan()
    assert dataset.fingerprint == committed_fingerprint("scene15")
    assert known_set(dataset) == "scene15"
