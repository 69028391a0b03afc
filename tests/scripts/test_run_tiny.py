"""``run_tiny.py`` from the command line to the run folder, and --tune, which must not look at test images."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifiers import KNNClassifier
from features import TinyImage
from reports import read_run, read_table_run
from scenes import SceneDataset
from scenes.files import read_npz

RUN_FILES = {
    "confusion.png", "confusion.svg", "model.npz", "predictions.csv", "report.txt", "result.json",
    "scores.npz", "report.html", "tables.md", "tables.tex",
}  # fmt: skip
IN_A_TABLE = RUN_FILES - {"report.html", "tables.md", "tables.tex"}
TABLE_HEADER = (
    "run,step,n_words,k,metric,norm,seed,accuracy,n_test,descriptors_per_image,feature_seconds,seconds"
)


@pytest.fixture
def tiny(call, gratings, tmp_path):
    """tiny("--k", 3): run_tiny.py on the gratings."""

    def tiny(*arguments, data: Path = gratings):
        return call("run_tiny", "--data", data, "--runs-dir", tmp_path / "runs", "--jobs", 1, *arguments)

    return tiny


def test_one_setting_leaves_a_complete_run_whose_folder_is_the_last_line(tiny, pictures, gratings, tmp_path):
    called = tiny()
    assert called.err == ""
    assert called.lines[0] == f"data: {gratings}: 18 training and 15 test images of 3 classes"
    assert called.folder.parent == tmp_path / "runs" and called.folder.name.endswith("Z-tiny")
    assert {path.name for path in called.folder.iterdir()} == RUN_FILES
    assert f"accuracy {called.result['accuracy']:.4f}" in called.out
    assert "chance: 0.3333 (1 of 3 classes)" in called.out


@pytest.mark.parametrize(
    ("arguments", "extractor", "classifier"),
    [
        ("", TinyImage(), KNNClassifier()),
        ("--k 3 --tie nearest", TinyImage(), KNNClassifier(3, tie="nearest")),
        (
            "--size 8,12 --resample lanczos --crop",
            TinyImage((8, 12), resample="lanczos", crop=True),
            KNNClassifier(),
        ),
        ("--zero-mean --norm l2", TinyImage(zero_mean=True, norm="l2"), KNNClassifier()),
        ("--metric minkowski --p 1.5", TinyImage(), KNNClassifier(metric="minkowski", p=1.5)),
        ("--metric chi2 --k 4 --max-side 20", TinyImage(max_side=20), KNNClassifier(4, metric="chi2")),
        ("--resize 10 --norm none --max-side 0", TinyImage(resize=10, norm="none"), KNNClassifier()),
    ],
)
def test_flags_mean_what_the_classes_do(tiny, gratings, arguments, extractor, classifier):
    run = read_run(tiny(*arguments.split()).folder)
    data = SceneDataset.from_folder(gratings)
    vectors = extractor.fit_transform(data.train.paths)
    predicted = classifier.fit(vectors, data.train.labels).predict(extractor.transform(data.test.paths))
    assert run.filenames == data.test.names
    assert list(run.predicted) == predicted.tolist()
    assert (read_npz(run.folder / "model.npz")["features"] == vectors).all()
    config = run.result["config"]
    for name, value in extractor.get_params().items():
        expected = list(value) if isinstance(value, tuple) else value
        if name not in ("n_jobs", "max_side"):
            assert config[name] == expected
    assert (config["k"], config["metric"], config["tie"]) == (
        classifier.n_neighbors, classifier.metric, classifier.tie,
    )  # fmt: skip


def test_several_values_give_one_table_and_a_complete_run_for_each_combination(tiny):
    called = tiny("--size", 4, "8,6", "--resample", "box", "nearest", "--norm", "l1", "l2", "--k", 1, 3)
    rows, runs = read_table_run(called.folder)
    names = [
        f"{size}-{resample}-{norm}-k{k}"
        for size in ("size4", "size8x6") for resample in ("box", "nearest")
        for norm in ("l1", "l2") for k in (1, 3)
    ]  # fmt: skip
    assert [row["run"] for row in rows] == names
    assert (called.folder / "table.csv").read_text("utf-8").splitlines()[0] == TABLE_HEADER
    for row in rows:
        assert {path.name for path in (called.folder / row["run"]).iterdir()} == IN_A_TABLE
        result = runs[row["run"]].result
        assert float(row["accuracy"]) == result["accuracy"]
        assert (row["norm"], row["k"]) == (result["config"]["norm"], str(result["config"]["k"]))
        assert [row[column] for column in ("step", "n_words", "seed", "descriptors_per_image")] == [""] * 4
    assert runs["size8x6-box-l1-k1"].result["config"]["size"] == [8, 6]
    header = next(line for line in called.lines if "accuracy" in line)
    assert header.split() == ["size", "resample", "norm", "k", "accuracy", "95", "%", "interval", "seconds"]


def test_a_setting_in_a_table_is_the_run_it_would_be_alone(tiny, steady):
    several = tiny("--k", 1, 3, "--metric", "cityblock", "euclidean")
    alone = steady(tiny("--k", 3, "--metric", "euclidean").folder)
    one = steady(several.folder / "euclidean-k3")
    # result.json and report.txt also say how many settings were compared on the test images
    for name in IN_A_TABLE - {"result.json", "report.txt"}:
        assert one[name] == alone[name], name


def test_metrics_share_a_table_with_a_name_each(tiny):
    names = (
        "cityblock",
        "euclidean",
        "chebyshev",
        "minkowski",
        "cosine",
        "chi2",
        "intersection",
        "hellinger",
    )
    rows, _ = read_table_run(tiny("--metric", *names).folder)
    assert [row["run"] for row in rows] == list(names)


@pytest.mark.parametrize("jobs", [1, 2, None])
def test_equal_inputs_give_equal_bytes_on_any_number_of_threads(tiny, pictures, steady, jobs):
    first = steady(tiny("--k", 3).folder)
    second = steady(tiny("--k", 3, *(() if jobs is None else ("--jobs", jobs))).folder)
    assert first.keys() == second.keys() == RUN_FILES
    for name in first:
        assert first[name] == second[name], name


def test_renamed_files_change_nothing_but_their_names(tiny, steady, gratings, tmp_path):
    renamed = tmp_path / "renamed" / "gratings"
    shutil.copytree(gratings, renamed)
    for path in sorted(renamed.glob("*/*/*.png")):
        path.rename(path.with_name(path.name.replace("image", "photo")))
    first, second = (steady(tiny("--k", 3, data=data).folder) for data in (gratings, renamed))
    for name in IN_A_TABLE - {"predictions.csv", "scores.npz"}:
        assert first[name] == second[name], name
    assert first["report.html"].replace(b"image_", b"photo_") == second["report.html"]
    assert first["predictions.csv"].replace(b"image", b"photo") == second["predictions.csv"]


def test_names_of_files_and_classes_that_are_no_text_are_kept(tiny, call, gratings, tmp_path):
    data = tmp_path / "gratings"
    shutil.copytree(gratings, data)
    label, name = (text.decode("utf-8", "surrogateescape") for text in (b"f\xeen", b"caf\xe9, the 2nd.png"))
    for part in ("train", "test"):
        (data / part / "fine").rename(data / part / label)
    (data / "test" / label / "image_2.png").rename(data / "test" / label / name)
    called = tiny(data=data)
    run = read_run(called.folder)
    assert f"{label}/{name}" in run.filenames and label in run.classes
    assert call("predict", "--model", called.folder, data / "test").out.splitlines()[0].startswith("coarse/")


def test_colour_and_other_formats_are_read_and_hidden_files_are_not(tiny, gratings, tmp_path):
    data = tmp_path / "gratings"
    shutil.copytree(gratings, data)
    for suffix in (".jpg", ".bmp", ".webp", ".tif", ".PPM"):
        with Image.open(data / "train" / "fine" / "image_0.png") as image:
            image.convert("RGB").save(data / "train" / "fine" / f"extra{suffix}")
    (data / "train" / "fine" / "._image_0.png").write_bytes(b"a Mac's trace")
    (data / "train" / "fine" / "notes.txt").write_text("not an image")
    assert tiny(data=data).result["n_train"] == 23


def test_lite_is_named_in_the_first_line(tiny):
    assert "only 8 + 8 images a class (--lite)" in tiny("--lite").lines[0]


def test_a_folder_without_train_and_test_is_split(tiny, gratings):
    result = tiny("--split", 0.7, data=gratings / "train").result
    assert (result["n_train"], result["n_test"]) == (12, 6)
    again = tiny("--split", 0.7, "--seed", 0, data=gratings / "train").result
    other = tiny("--split", 0.7, "--seed", 3, data=gratings / "train").result
    assert again["data"] == result["data"] != other["data"]


# -------------------------------------------------------------------------- tuning


@pytest.fixture
def small_grid(monkeypatch):
    """A grid of eight extractors, so that tuning takes a moment."""
    grid = {"size": (4, 8), "resample": ("box", "nearest"), "norm": ("l2",), "zero_mean": (False, True)}
    monkeypatch.setattr("experiments.tuning.GRID", grid)
    return grid


def test_tuning_leaves_one_run_with_what_it_chose(tiny, small_grid):
    called = tiny("--tune")
    line = next(line for line in called.lines if line.startswith("tuned on the training images"))
    # 8 extractors, 3 metrics; every training image votes with those of other folds
    assert "5-fold cross-validation" in line
    config = called.result["config"]
    mean = "zero mean" if config["zero_mean"] else "mean kept"
    size, resample, metric, k = (config[name] for name in ("size", "resample", "metric", "k"))
    assert f"size {size}, {resample}, norm l2, {mean}, {metric}, k = {k}: " in line
    assert called.result["selection"] == "cv5-train"
    found = next(row for row in called.result["diagnoses"] if row["code"] == "SB008")
    assert found["state"] == "passed" and "cv5-train" in found["text"]
    assert {path.name for path in called.folder.iterdir()} == RUN_FILES


def test_without_tuning_nothing_is_selected(tiny):
    assert tiny().result["selection"] == "none"


def _choice(called) -> tuple[str, dict]:
    line = next(line for line in called.lines if line.startswith("tuned on the training images"))
    return line, called.result["config"]


def test_scrambled_test_labels_change_no_choice(tiny, small_grid, gratings, tmp_path):
    data = tmp_path / "gratings"
    shutil.copytree(gratings, data)
    for label, other in (("coarse", "keep"), ("fine", "coarse"), ("medium", "fine"), ("keep", "medium")):
        (data / "test" / label).rename(data / "test" / other)
    before, after = tiny("--tune"), tiny("--tune", data=data)
    assert _choice(before) == _choice(after)
    assert before.result["data"]["train_fingerprint"] == after.result["data"]["train_fingerprint"]
    assert before.result["data"]["test_fingerprint"] != after.result["data"]["test_fingerprint"]


def test_other_test_images_change_no_choice(tiny, small_grid, gratings, tmp_path):
    data = tmp_path / "gratings"
    shutil.copytree(gratings, data)
    rng = np.random.default_rng(2)
    for path in (data / "test").glob("*/*.png"):
        Image.fromarray(rng.integers(0, 256, (30, 30)).astype(np.uint8)).save(path)
    assert _choice(tiny("--tune")) == _choice(tiny("--tune", data=data))


def test_other_training_images_do_change_the_choice(tiny, small_grid, gratings, tmp_path):
    data = tmp_path / "gratings"
    shutil.copytree(gratings / "train", data / "test")
    shutil.copytree(gratings / "test", data / "train")
    assert _choice(tiny("--tune")) != _choice(tiny("--tune", data=data))


def test_tuning_gives_equal_bytes_under_other_names_and_threads(tiny, small_grid, steady, gratings, tmp_path):
    renamed = tmp_path / "renamed" / "gratings"
    shutil.copytree(gratings, renamed)
    for path in sorted(renamed.glob("train/*/*.png")):
        path.rename(path.with_name(path.name.replace("image", "photo")))
    first, second = (steady(tiny("--tune", "--jobs", n, data=data).folder)
                     for n, data in ((1, gratings), (2, renamed)))  # fmt: skip
    # the page names the nearest training images
    assert first.pop("report.html").replace(b"image_", b"photo_") == second.pop("report.html").replace(
        b"image_", b"photo_"
    )
    assert first == second


@pytest.mark.data
def test_the_published_table_of_k_comes_out_to_the_digit(tiny, scene15):
    rows, _ = read_table_run(tiny("--k", *range(1, 11), data=scene15).folder)
    accuracies = [f"{float(row['accuracy']):.4f}" for row in rows]
    # report R1, part 1
    assert accuracies == [
        "0.2233", "0.1787", "0.1887", "0.2047", "0.2020", "0.1980", "0.2000", "0.2033", "0.1980", "0.2020",
    ]  # fmt: skip


def test_digits_in_idx_files_are_classified_and_shown(call, tmp_path, idx_folder):
    folder = idx_folder(tmp_path / "digits", 40)
    done = call("run_tiny", "--data", folder, "--runs-dir", tmp_path / "runs")
    run = read_run(done.folder)
    assert run.result["n_test"] == 40 and run.filenames[0] == "test/00000"
    assert '"/9j/' in (done.folder / "report.html").read_text("utf-8")  # as JPEGs begin in base64
