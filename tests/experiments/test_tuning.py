"""Tuning by cross-validation, against a slow one that fits a classifier for every fold."""

import itertools
import shutil

import numpy as np
import pytest
from PIL import Image

from classifiers import KNNClassifier
from experiments.tuning import FOLDS, GRID, LITE_GRID, METRICS, Chosen, fold_of, tune_tiny
from features import TinyImage
from scenes import SceneDataset

SMALL = {"size": (3, 8), "resample": ("box",), "norm": ("l1",), "zero_mean": (False, True)}
SIZES = {"crop": False, "max_side": 480, "resize": None, "n_jobs": 1}


@pytest.fixture
def dataset(tmp_path) -> SceneDataset:
    """14 blurred noises in three classes of unequal brightness and size: hard, with ties in the votes."""
    rng = np.random.default_rng(8)
    for part, counts in (("train", (6, 4, 4)), ("test", (1, 1, 1))):
        for (label, mean), count in zip((("dark", 90), ("dim", 105), ("fair", 120)), counts, strict=True):
            (tmp_path / "set" / part / label).mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(rng.normal(mean, 25, (6, 6)).repeat(3, 0).repeat(3, 1), 0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "set" / part / label / f"{i}.png")
    return SceneDataset.from_folder(tmp_path / "set").scan()


@pytest.fixture(autouse=True)
def small_grid(monkeypatch):
    monkeypatch.setattr("experiments.tuning.GRID", SMALL)


def slowly(dataset: SceneDataset, seed: int, tie: str) -> list[tuple[dict, float]]:
    """Every setting in order with its accuracy: fit on four folds, predict the fifth, all five together."""
    labels = np.array(dataset.train.labels)
    folds = np.array([fold_of(digest, seed) for digest in dataset.scans["train"].hashes])
    largest = min((folds != fold).sum() for fold in range(FOLDS))
    found = []
    for values in itertools.product(*SMALL.values()):
        setting = dict(zip(SMALL, values, strict=True))
        vectors = TinyImage(**setting, n_jobs=1).fit_transform(dataset.train.paths)
        for metric in METRICS:
            for k in range(1, min(15, largest) + 1):
                right = 0
                for fold in sorted(set(folds)):
                    inside = folds == fold
                    knn = KNNClassifier(k, metric=metric, tie=tie, n_jobs=1).fit(
                        vectors[~inside], labels[~inside]
                    )
                    right += (knn.predict(vectors[inside]) == labels[inside]).sum()
                found.append((setting | {"metric": metric, "k": k}, right / len(labels)))
    return found


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("tie", ["first", "nearest"])
def test_the_choice_is_the_first_of_the_best_by_cross_validation(dataset, seed, tie):
    chosen = tune_tiny(dataset, **SIZES, seed=seed, tie=tie)
    every = slowly(dataset, seed, tie)
    best = max(accuracy for _, accuracy in every)
    setting = next(setting for setting, accuracy in every if accuracy == best)
    assert chosen == Chosen(**setting, accuracy=best, tried=len(every))
    assert len({accuracy for _, accuracy in every}) > 3  # a grid with something to choose


def test_the_seed_draws_the_folds(dataset):
    digests = dataset.scans["train"].hashes
    assert [fold_of(d, 0) for d in digests] != [fold_of(d, 1) for d in digests]
    assert {fold_of(str(i), 0) for i in range(200)} == set(range(FOLDS))


def test_an_image_is_never_judged_by_its_own_copy(dataset, tmp_path):
    # pairs of copies: whoever lets a copy vote gets everything right at k = 1
    root = tmp_path / "set"
    for path in list((root / "train").glob("*/*.png")):
        shutil.copy(path, path.with_name(f"copy-{path.name}"))
    doubled = SceneDataset.from_folder(root).scan()
    chosen = tune_tiny(doubled, **SIZES, seed=0)
    assert chosen.accuracy < 1
    assert chosen.accuracy == max(accuracy for _, accuracy in slowly(doubled, 0, "first"))


def test_names_and_order_of_the_images_do_not_matter(dataset, tmp_path):
    before = tune_tiny(dataset, **SIZES, seed=0)
    for path in list((tmp_path / "set" / "train").glob("*/*.png")):
        path.rename(path.with_name(f"{9 - int(path.stem)}-renamed.png"))
    renamed = SceneDataset.from_folder(tmp_path / "set").scan()
    assert renamed.train.names != dataset.train.names
    assert tune_tiny(renamed, **SIZES, seed=0) == before


def test_test_images_need_not_even_be_readable(dataset):
    before = tune_tiny(dataset, **SIZES, seed=0)
    for path in dataset.test.paths:
        path.unlink()
    assert tune_tiny(dataset, **SIZES, seed=0) == before


def test_images_in_one_fold_cannot_be_tuned_on(tmp_path):
    pixels = np.full((8, 8), 7, np.uint8)
    for part, label in itertools.product(("train", "test"), ("a", "b")):
        (tmp_path / part / label).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / part / label / "same.png")
    dataset = SceneDataset.from_folder(tmp_path).scan()
    with pytest.raises(ValueError, match="tuning needs more different training images: add some"):
        tune_tiny(dataset, **SIZES, seed=0)


def test_lite_tries_fewer_settings(dataset):
    chosen = tune_tiny(dataset, **SIZES, seed=0, lite=True)
    n_extractors = np.prod([len(values) for values in LITE_GRID.values()])
    assert chosen.tried % (n_extractors * len(METRICS)) == 0
    assert all(getattr(chosen, name) in values for name, values in LITE_GRID.items())


def test_the_full_grid_holds_the_defaults():
    defaults = TinyImage().get_params()
    for grid in (GRID, LITE_GRID):
        assert all(defaults[name] in values for name, values in grid.items())
    assert KNNClassifier().metric in METRICS


def test_the_summary_names_the_choice_and_where_it_was_made():
    chosen = Chosen(16, "box", "l2", True, "cosine", 5, 0.25, 96)
    assert chosen.summary == (
        "tuned on the training images (5-fold cross-validation, 96 settings): "
        "size 16, box, norm l2, zero mean, cosine, k = 5: 0.2500 there"
    )
