"""Settings that share work: the same as each setting for itself, computed once."""

import shutil

import numpy as np
import pytest
from PIL import Image

from classifiers import KNNClassifier
from experiments.classical import Voting, bag_vectors, classify, combinations, tiny_baseline, tiny_vectors
from features import BagOfWords, TinyImage, Vocabulary
from reports import build_result
from scenes import SceneDataset


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def dataset(small_folder) -> SceneDataset:
    return SceneDataset.from_folder(small_folder).scan()


@pytest.fixture
def bag():
    return BagOfWords(n_words=6, step=6, n_jobs=1)


def records(dataset, encoded, voting, **kwargs):
    return list(classify(dataset, encoded, voting, name="tiny", command=["x"], n_jobs=1, **kwargs))


def finding(record, code: str) -> dict:
    return next(row for row in record.diagnoses if row["code"] == code)


def test_combinations_come_in_order_the_last_option_fastest():
    assert list(combinations(a=(1, 2), b="xy")) == [
        {"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"},
    ]  # fmt: skip


def test_tiny_vectors_are_the_extractors(dataset):
    extractor = TinyImage(size=(4, 6), norm="l2", n_jobs=1)
    encoded = tiny_vectors(dataset, extractor)
    assert (encoded.train == extractor.transform(dataset.train.paths)).all()
    assert (encoded.test == extractor.transform(dataset.test.paths)).all()
    assert encoded.config["size"] == [4, 6] and "n_jobs" not in encoded.config
    assert encoded.columns == {"norm": "l2"} and encoded.vocabulary is None


def test_bag_vectors_are_the_extractors_for_each_norm_from_one_encoding(dataset, bag, monkeypatch):
    calls = []
    original = BagOfWords.iter_counts
    monkeypatch.setattr(
        BagOfWords, "iter_counts", lambda self, paths: calls.append(1) or original(self, paths)
    )
    found = list(bag_vectors(dataset, bag, ("none", "l2", "hellinger")))
    assert len(calls) == 1
    monkeypatch.undo()
    for encoded, norm in zip(found, ("none", "l2", "hellinger"), strict=True):
        alone = BagOfWords(n_words=6, step=6, norm=norm, n_jobs=1).fit(dataset.train.paths)
        assert (encoded.train == alone.transform(dataset.train.paths)).all()
        assert (encoded.test == alone.transform(dataset.test.paths)).all()
        assert encoded.config["norm"] == encoded.columns["norm"] == norm
        assert encoded.vocabulary.identity == alone.vocabulary_.identity


def test_a_given_vocabulary_is_used_as_it_is(dataset):
    rng = np.random.default_rng(0)
    words = Vocabulary(rng.integers(0, 100, (7, 128)).astype(np.float32), {"origin": "unknown"})
    (encoded,) = bag_vectors(dataset, BagOfWords(words, step=6, n_jobs=1))
    assert encoded.vocabulary == words and encoded.config["n_words"] == 7
    assert (encoded.train == BagOfWords(words, step=6).fit([]).transform(dataset.train.paths)).all()
    assert encoded.vocabulary_making.seconds == 0


def test_columns_count_words_and_descriptors(dataset, bag):
    (encoded,) = bag_vectors(dataset, bag)
    per_image = [
        len(range(0, h - 9, 6)) * len(range(0, w - 9, 6))
        for scan in dataset.scans.values() for h, w in scan.shapes
    ]  # fmt: skip
    assert encoded.columns == {
        "step": "6", "n_words": 6, "norm": "none", "seed": 0,
        "descriptors_per_image": round(float(np.mean(per_image)), 1),
    }  # fmt: skip


@pytest.mark.parametrize("tie", ["first", "nearest"])
def test_each_k_is_what_a_classifier_of_that_k_predicts(dataset, tie):
    encoded = tiny_vectors(dataset, TinyImage(size=2, norm="none", n_jobs=1))
    ks = (1, 2, 5, 12)
    for k, record in zip(ks, records(dataset, encoded, Voting(ks, "euclidean", tie=tie)), strict=True):
        knn = KNNClassifier(k, metric="euclidean", tie=tie).fit(encoded.train, dataset.train.labels)
        assert list(record.predicted) == knn.predict(encoded.test).tolist()
        assert (record.scores == knn.predict_proba(encoded.test)).all()
        assert record.config["k"] == k and record.config["tie"] == tie
        assert record.filenames == dataset.test.names and record.labels == dataset.test.labels


def test_neighbours_are_found_once_for_all_k(dataset, monkeypatch):
    encoded = tiny_vectors(dataset, TinyImage(size=2, n_jobs=1))
    calls = []
    original = KNNClassifier.kneighbors
    monkeypatch.setattr(
        KNNClassifier, "kneighbors", lambda self, *args: calls.append(1) or original(self, *args)
    )
    assert len(records(dataset, encoded, Voting((1, 2, 3)))) == 3 and len(calls) == 1


@pytest.mark.parametrize("k", [0, -1, 13])
def test_an_impossible_k_is_refused(dataset, k):
    encoded = tiny_vectors(dataset, TinyImage(size=2, n_jobs=1))
    with pytest.raises(ValueError, match=f"k is {k}"):
        records(dataset, encoded, Voting((1, k)))


def test_the_baseline_is_tiny_images_with_one_neighbour(dataset):
    tiny = TinyImage()
    knn = KNNClassifier().fit(tiny.fit_transform(dataset.train.paths), dataset.train.labels)
    expected = knn.score(tiny.transform(dataset.test.paths), dataset.test.labels)
    assert tiny_baseline(dataset, max_side=480, resize=None, n_jobs=1) == expected


@pytest.mark.parametrize(
    ("size", "rule"),
    [
        ({}, "none"),
        ({"max_side": None}, "none"),
        ({"max_side": 60}, "none"),  # nothing is larger
        ({"max_side": 30}, "max-side 30"),
        ({"resize": 20}, "squash 20x20"),
        ({"resize": 20, "max_side": None}, "squash 20x20"),
    ],
)
def test_the_resize_rule_stands_in_the_data_only_where_it_touched_an_image(dataset, size, rule):
    encoded = tiny_vectors(dataset, TinyImage(n_jobs=1, **size))
    (record,) = records(dataset, encoded, Voting())
    assert record.data["resize"] == rule
    assert record.data["train_fingerprint"] == dataset.fingerprint["train"]


def test_diagnoses_see_the_settings_the_leaks_and_the_pixels(small_folder):
    shutil.copy(
        small_folder / "train" / "bars" / "image_0.png", small_folder / "test" / "checks" / "leak.png"
    )
    Image.fromarray(np.full((30, 30), 9, np.uint8)).save(small_folder / "train" / "bars" / "flat.png")
    (small_folder / "train" / "bars" / "broken.png").write_bytes(b"")
    dataset = SceneDataset.from_folder(small_folder).scan(skip_unreadable=True)
    encoded = tiny_vectors(dataset, TinyImage(n_jobs=1))
    (record,) = records(dataset, encoded, Voting((5,)), n_settings=4, tiny_accuracy=1.0)
    assert record.leaks["train_test"] == [["bars/image_0.png", "checks/leak.png"]]
    for code in ("SB001", "SB005", "SB006", "SB007", "SB008", "SB009", "SB010"):
        assert finding(record, code)["state"] == "issue", code
    assert finding(record, "SB012")["state"] == "not applicable"
    assert "train/bars/flat.png" in finding(record, "SB006")["text"]
    assert "train/bars/image_0.png = test/checks/leak.png" in finding(record, "SB001")["text"]
    assert "--split" not in finding(record, "SB001")["advice"]  # these parts are the user's own
    assert record.skipped == ["train/bars/broken.png"]


def test_enlarged_images_are_named_by_part(small_folder, bag):
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8) * 5).save(
        small_folder / "test" / "bars" / "small.png"
    )
    dataset = SceneDataset.from_folder(small_folder).scan()
    (encoded,) = bag_vectors(dataset, bag)
    assert encoded.enlarged == ("test/bars/small.png",)
    (record,) = records(dataset, encoded, Voting())
    assert record.extra == {"enlarged": ["test/bars/small.png"]}
    assert finding(record, "SB012")["state"] == "issue"


def test_a_record_makes_a_result_with_its_timings(dataset, bag):
    (encoded,) = bag_vectors(dataset, bag)
    (record,) = records(dataset, encoded, Voting())
    timings = build_result(record)["timings"]
    stages = timings["features"] + timings["vocabulary"] + timings["classification"]
    assert timings["total"] == pytest.approx(stages, abs=0.002)  # three digits each
    assert timings["ms_per_image"] == pytest.approx(1000 * timings["features"] / 21, abs=0.03)
    assert set(timings["making"]) == {"features", "vocabulary"} and timings["cached"] == []
    (again,) = bag_vectors(dataset, bag)
    (record,) = records(dataset, again, Voting())
    assert record.timings["cached"] == ["features", "vocabulary"]


def test_a_class_without_test_images_is_no_problem(small_folder):
    shutil.rmtree(small_folder / "test" / "bars")
    dataset = SceneDataset.from_folder(small_folder).scan()
    (record,) = records(dataset, tiny_vectors(dataset, TinyImage(n_jobs=1)), Voting())
    result = build_result(record)
    assert result["classes"] == ["bars", "checks", "stripes"] and result["n_test"] == 6
    assert result["per_class"][0]["n"] == 0
