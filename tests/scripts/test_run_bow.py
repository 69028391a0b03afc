"""``run_bow.py`` from the command line to the run folder: what it writes, reuses and keeps apart."""

import csv
import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features import Vocabulary
from reports import read_run, read_table_run
from scenes.files import read_npz

RUN_FILES = {
    "confusion.png", "confusion.svg", "model.npz", "predictions.csv", "report.txt", "result.json",
    "scores.npz", "report.html", "tables.md", "tables.tex",
}  # fmt: skip
IN_A_TABLE = RUN_FILES - {"report.html", "tables.md", "tables.tex"}
TABLE_HEADER = (
    "run,step,n_words,k,metric,norm,seed,accuracy,n_test,descriptors_per_image,feature_seconds,seconds"
)
# One thread: handing such small work to several takes longer than doing it.
QUICK = ("--vocab-size", 8, "--step", 4, "--jobs", 1)


@pytest.fixture
def bow(call, gratings, tmp_path):
    """bow("--k", 3): run_bow.py on the gratings, with few words and a wide grid unless told."""

    def bow(*arguments, data: Path = gratings, runs: str = "runs"):
        return call("run_bow", "--data", data, "--runs-dir", tmp_path / runs, *QUICK, *arguments)

    return bow


@pytest.fixture
def words(bow) -> Path:
    """The vocabulary file that a run with the quick settings leaves in the cache."""
    bow()
    return _vocabulary_files()[0]


def _vocabulary_files() -> list[Path]:
    from experiments.store import cache_folder

    return sorted((cache_folder() / "vocabularies").glob("*.npz"))


# --------------------------------------------------------------------- one setting


def test_one_setting_leaves_a_complete_run_whose_folder_is_the_last_line(bow, pictures, gratings, tmp_path):
    called = bow("--k", 3)
    assert called.err == ""
    assert called.lines[0] == f"data: {gratings}: 18 training and 15 test images of 3 classes"
    assert called.folder.parent == tmp_path / "runs" and called.folder.name.endswith("Z-bow")
    assert {path.name for path in called.folder.iterdir()} == RUN_FILES
    assert list((tmp_path / "runs").iterdir()) == [called.folder]
    report = (called.folder / "report.txt").read_text("utf-8")
    assert report[: report.index("\nData\n")] in called.out


def test_a_run_reads_back_with_its_settings_data_and_vocabulary(bow, gratings):
    run = read_run(bow("--k", 3, "--metric", "chi2", "--seed", 5).folder)
    assert run.filenames == tuple(
        sorted(f"{label}/image_{i}.png" for label in ("coarse", "fine", "medium") for i in range(5))
    )
    assert run.labels == tuple(name.split("/")[0] for name in run.filenames)
    config, identity = run.result["config"], run.result["vocabulary"]
    asked = {"k": 3, "metric": "chi2", "n_words": 8, "step": 4, "bin_size": 3, "seed": 5, "norm": "none"}
    assert config.items() >= asked.items()
    asked = {"n_words": 8, "step": [4, 4], "vocab_step": [4, 4], "bin_size": [3, 3], "seed": 5}
    assert identity.items() >= asked.items()
    assert run.result["data"]["name"] == "gratings"
    assert (run.result["n_train"], run.result["n_test"], run.result["skipped"]) == (18, 15, [])
    assert [row["code"] for row in run.result["diagnoses"]] == [f"SB{i:03}" for i in range(1, 14)]


def test_the_command_as_typed_stands_in_the_result(bow, gratings, tmp_path):
    called = bow("--tie", "nearest")
    quick = [str(argument) for argument in QUICK]
    assert called.result["command"] == [
        "scripts/run_bow.py", "--data", str(gratings), "--runs-dir", str(tmp_path / "runs"), *quick,
        "--tie", "nearest",
    ]  # fmt: skip


def test_chance_and_tiny_images_on_the_same_pictures_stand_beside_the_result(bow, call, gratings, tmp_path):
    tiny = call("run_tiny", "--data", gratings, "--runs-dir", tmp_path / "tiny").result["accuracy"]
    called = bow()
    assert "chance: 0.3333 (1 of 3 classes)" in called.out
    assert f"tiny images + 1 nearest neighbour on the same images: {tiny:.4f}" in called.out


def test_model_holds_the_training_histograms_and_the_words(bow):
    arrays = read_npz(bow().folder / "model.npz")
    assert arrays["features"].shape == (18, 8) and arrays["features"].dtype == np.float32
    assert np.allclose(arrays["features"].sum(axis=1), 1, atol=1e-6)  # float32 shares of whole counts
    assert arrays["words"].shape == (8, 128)
    assert arrays["labels"].tolist() == ["coarse"] * 6 + ["fine"] * 6 + ["medium"] * 6


def test_two_runs_in_one_second_get_two_folders(bow, tmp_path):
    folders = [bow().folder for _ in range(3)]
    assert len(set(folders)) == 3 and len(list((tmp_path / "runs").iterdir())) == 3


# ---------------------------------------------------------------- several settings


def test_several_values_give_one_table_and_a_complete_run_for_each_combination(bow):
    called = bow("--k", 1, 3, "--metric", "cityblock", "chi2", "--step", 4, 6)
    assert (called.folder / "table.csv").read_text("utf-8").splitlines()[0] == TABLE_HEADER
    expected = [f"step{s}-{metric}-k{k}" for s in (4, 6) for metric in ("cityblock", "chi2") for k in (1, 3)]
    assert {path.name for path in called.folder.iterdir()} == {"table.csv", *expected}
    rows, runs = read_table_run(called.folder)
    assert [row["run"] for row in rows] == expected
    for row in rows:
        result = runs[row["run"]].result
        assert {path.name for path in (called.folder / row["run"]).iterdir()} == IN_A_TABLE
        config = result["config"]
        assert row["run"] == f"step{config['step']}-{config['metric']}-k{config['k']}"
        assert (row["step"], row["k"], row["metric"]) == (
            str(config["step"]),
            str(config["k"]),
            config["metric"],
        )
        assert (row["n_words"], row["norm"], row["seed"], row["n_test"]) == ("8", "none", "0", "15")
        assert float(row["accuracy"]) == result["accuracy"]
        assert float(row["seconds"]) >= float(row["feature_seconds"]) >= 0
    assert float(rows[0]["descriptors_per_image"]) > float(rows[-1]["descriptors_per_image"]) > 0


def test_the_table_on_screen_has_a_row_for_each_setting_and_says_where_the_runs_are(bow):
    called = bow("--k", 1, 3, "--step", 4, 6)
    header = next(i for i, line in enumerate(called.lines) if "accuracy" in line)
    assert called.lines[header].split()[:3] == ["step", "k", "accuracy"]
    rows, _ = read_table_run(called.folder)
    for line, row in zip(called.lines[header + 1 :], rows, strict=False):
        step, k, accuracy = line.split()[:3]
        assert (step, k, accuracy) == (row["step"], row["k"], f"{float(row['accuracy']):.4f}")
    blank, *issues, last = called.lines[header + 1 + len(rows) :]
    assert (blank, last) == ("", str(called.folder))
    assert issues and all(line.startswith("SB") and "report.txt)" in line for line in issues)


def test_a_setting_in_a_table_is_the_run_it_would_be_alone(bow, steady):
    several = bow("--k", 1, 3, "--norm", "none", "hellinger", "--metric", "cityblock", "chi2", "--seed", 0, 7)
    alone = bow("--k", 3, "--norm", "hellinger", "--metric", "chi2", "--seed", 7, "--fresh")
    one, other = (steady(f) for f in (several.folder / "seed7-hellinger-chi2-k3", alone.folder))
    # result.json and report.txt also say how many settings were compared on the test images
    for name in IN_A_TABLE - {"result.json", "report.txt"}:
        assert one[name] == other[name], name


def test_pairs_vary_too_and_stand_in_the_folders_name(bow):
    called = bow("--step", "4,6", "6,4")
    rows, runs = read_table_run(called.folder)
    assert [row["run"] for row in rows] == ["step4x6", "step6x4"]
    assert [row["step"] for row in rows] == ["4x6", "6x4"]
    assert runs["step4x6"].result["config"]["step"] == [4, 6]


def test_vocabulary_sizes_give_as_many_words(bow):
    called = bow("--vocab-size", 4, 8)
    rows, _ = read_table_run(called.folder)
    assert [(row["run"], row["n_words"]) for row in rows] == [("w4", "4"), ("w8", "8")]
    assert [len(read_npz(called.folder / row["run"] / "model.npz")["words"]) for row in rows] == [4, 8]


def test_norms_change_the_histograms_and_nothing_before_them(bow):
    folder = bow("--norm", "none", "l1", "l2", "hellinger").folder
    vectors = {
        norm: read_npz(folder / norm / "model.npz")["features"] for norm in ("none", "l1", "l2", "hellinger")
    }
    shares = vectors["none"].astype(np.float64)
    # float32 results of float64 work
    assert np.allclose(vectors["l1"], shares, atol=1e-6)
    assert np.allclose(vectors["l2"], shares / np.linalg.norm(shares, axis=1, keepdims=True), atol=1e-6)
    assert np.allclose(vectors["hellinger"], np.sqrt(shares), atol=1e-6)


def test_seeds_are_summed_up_by_mean_and_standard_deviation(bow):
    called = bow("--seed", 0, 1, 2, 3, "--k", 1, 2)
    rows, runs = read_table_run(called.folder)
    assert [row["run"] for row in rows] == [f"seed{seed}-k{k}" for seed in range(4) for k in (1, 2)]
    assert [runs[row["run"]].result["vocabulary"]["seed"] for row in rows] == [0, 0, 1, 1, 2, 2, 3, 3]
    start = next(i for i, line in enumerate(called.lines) if "s.d." in line)
    assert called.lines[start].split() == ["k", "mean", "accuracy", "s.d.", "seeds"]
    assert len({row["accuracy"] for row in rows}) > 2  # else the spread would be 0 whatever was done
    for line, k in zip(called.lines[start + 1 : start + 3], ("1", "2"), strict=True):
        values = [float(row["accuracy"]) for row in rows if row["k"] == k]
        assert line.split() == [k, f"{statistics.mean(values):.4f}", f"{statistics.stdev(values):.4f}", "4"]


def test_comparing_settings_on_the_test_images_is_an_issue_in_each_run(bow):
    _, runs = read_table_run(bow("--k", 1, 2, 3).folder)
    for run in runs.values():
        found = next(row for row in run.result["diagnoses"] if row["code"] == "SB008")
        assert found["state"] == "issue" and "the best of 3 settings" in found["text"]


@pytest.mark.parametrize("arguments", ["--k 3 3", "--metric chi2 chi2", "--step 4 4"])
def test_a_value_given_twice_is_refused(refused, gratings, tmp_path, arguments):
    refused(
        "run_bow",
        "--data",
        gratings,
        "--runs-dir",
        tmp_path / "runs",
        *QUICK,
        *arguments.split(),
        says="twice",
    )


# ------------------------------------------------------------- equal, byte by byte


@pytest.mark.parametrize("arguments", ["", "--jobs 1", "--jobs 2", "--fresh", "--runs-dir elsewhere"])
def test_equal_inputs_give_equal_bytes(bow, pictures, steady, monkeypatch, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    settings = ("--k", 3, "--metric", "euclidean")
    first = steady(bow("--jobs", 1, *settings).folder)
    second = steady(bow(*settings, *arguments.split()).folder)
    assert first.keys() == second.keys() == RUN_FILES
    for name in first:
        assert first[name] == second[name], name


def test_a_table_has_equal_bytes_too_with_and_without_the_cache(bow, steady):
    settings = ("--k", 1, 3, "--seed", 0, 1, "--norm", "none", "l2")
    first, second, third = (
        steady(bow(*settings, *more).folder)
        for more in (("--jobs", 1), ("--jobs", 2), ("--jobs", 2, "--fresh"))
    )
    assert first == second == third and "table.csv" in first


def test_renamed_files_change_nothing_but_their_names(bow, steady, gratings, tmp_path):
    renamed = tmp_path / "renamed" / "gratings"
    shutil.copytree(gratings, renamed)
    for path in sorted(renamed.glob("*/*/*.png")):
        path.rename(path.with_name(path.name.replace("image", "photo")))
    first, second = (
        steady(bow(data=data, runs=f"runs-{i}").folder) for i, data in enumerate((gratings, renamed))
    )
    for name in IN_A_TABLE - {"predictions.csv", "scores.npz"}:
        assert first[name] == second[name], name
    assert first["report.html"].replace(b"image_", b"photo_") == second["report.html"]
    rows = first["predictions.csv"].decode().replace("image", "photo")
    assert rows == second["predictions.csv"].decode()


def test_the_order_of_the_files_changes_no_word_and_no_prediction(bow, gratings, tmp_path):
    turned = tmp_path / "turned" / "gratings"
    for path in gratings.glob("*/*/*.png"):
        number = int(path.stem.removeprefix("image_"))
        target = turned / path.relative_to(gratings).parent / f"image_{9 - number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    first, second = (read_run(bow("--fresh", data=data).folder) for data in (gratings, turned))
    assert first.result["data"] == second.result["data"]
    assert first.result["vocabulary"] == second.result["vocabulary"]
    words = [read_npz(run.folder / "model.npz")["words"].tobytes() for run in (first, second)]
    assert words[0] == words[1]
    names = [f"{name[:-5]}{9 - int(name[-5])}.png" for name in second.filenames]
    turned_back = dict(zip(names, second.predicted, strict=True))
    assert turned_back == dict(zip(first.filenames, first.predicted, strict=True))


# ------------------------------------------------- what is reused, and what is not


def test_the_same_settings_reuse_vocabulary_and_histograms_and_say_so(bow):
    first, second = bow(), bow("--k", 5, "--metric", "chi2")
    assert "vocabulary: 8 words made in" in first.out and "reusing" not in first.out
    assert "vocabulary: reusing" in second.out and "words made" not in second.out
    before, after = first.result["timings"], second.result["timings"]
    assert (before["cached"], after["cached"]) == ([], ["features", "vocabulary"])
    # a cached stage reports what its making cost
    for stage in ("features", "vocabulary"):
        assert after[stage] == before[stage] and after["making"][stage] == before["making"][stage]
    assert before["vocabulary"] > 0 and before["making"]["vocabulary"]["threads"] >= 1


def test_a_number_and_a_pair_of_it_are_the_same_vocabulary(bow):
    bow()
    assert "reusing" in bow("--step", "4,4", "--bin-size", "3,3").out


@pytest.mark.parametrize(
    "other",
    [
        "--step 5", "--step 4,5", "--vocab-size 9", "--bin-size 2", "--bin-size 3,4", "--vocab-step 5",
        "--window gaussian", "--dtype float32", "--seed 1", "--resize 40", "--max-side 40",
    ],
)  # fmt: skip
def test_other_settings_reuse_nothing(bow, steady, other):
    bow()
    warm = bow(*other.split())
    assert "reusing" not in warm.out and warm.result["timings"]["cached"] == []
    cold = bow(*other.split(), "--fresh")
    assert steady(warm.folder) == steady(cold.folder)


def test_another_data_set_reuses_nothing_even_under_the_same_name(bow, steady, gratings, tmp_path):
    other = tmp_path / "other" / "gratings"
    shutil.copytree(gratings, other)
    changed = other / "train" / "fine" / "image_0.png"
    pixels = np.asarray(Image.open(changed)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(changed)
    bow()
    warm = bow(data=other)
    assert "reusing" not in warm.out and warm.result["timings"]["cached"] == []
    assert steady(warm.folder) == steady(bow("--fresh", data=other).folder)


def test_another_test_part_reuses_the_vocabulary_and_encodes_what_is_new(bow, steady, gratings, tmp_path):
    other = tmp_path / "other" / "gratings"
    shutil.copytree(gratings, other)
    for path in (other / "test").glob("*/image_0.png"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    bow()
    warm = bow(data=other)
    assert "reusing" in warm.out
    assert steady(warm.folder) == steady(bow("--fresh", data=other).folder)


def test_the_same_words_at_another_step_reuse_no_histogram(bow, words, steady):
    bow("--vocab", words, "--vocab-size", 400)
    warm = bow("--vocab", words, "--vocab-size", 400, "--step", 6)
    assert "features" not in warm.result["timings"]["cached"]
    cold = bow("--vocab", words, "--vocab-size", 400, "--step", 6, "--fresh")
    assert steady(warm.folder) == steady(cold.folder)


def test_fresh_makes_everything_anew(bow):
    bow()
    called = bow("--fresh")
    assert "reusing" not in called.out and called.result["timings"]["cached"] == []


# -------------------------------------------------------------------- a given file


def given(words: Path) -> tuple:
    """Flags that use the words of a file; --vocab-size back at its default, since the file brings its own."""
    return ("--vocab", words, "--vocab-size", 400)


def test_a_vocabulary_file_gives_the_run_it_was_made_for(bow, words, steady):
    made, taken = bow("--k", 3), bow("--k", 3, *given(words))
    assert taken.result["vocabulary"] == made.result["vocabulary"]
    assert taken.result["config"]["n_words"] == 8
    assert steady(taken.folder) == steady(made.folder)


def test_a_vocabulary_of_another_seed_or_step_is_used_and_named(bow, words):
    called = bow(*given(words), "--seed", 4, "--step", 6)
    identity = called.result["vocabulary"]
    assert (identity["seed"], identity["step"]) == (0, [4, 4])
    config = called.result["config"]
    assert (config["step"], config["vocab_step"], config["seed"]) == (6, 4, 0)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_plain_words_are_taken_as_of_unknown_origin(bow, words, tmp_path, suffix):
    array = Vocabulary.load(words).words
    plain = tmp_path / f"plain{suffix}"
    np.save(plain, array) if suffix == ".npy" else np.savez(plain, array)
    called = bow(*given(plain))
    assert called.result["vocabulary"] == {"origin": "unknown"}
    config = called.result["config"]
    assert config["seed"] is config["descriptors_per_image"] is config["vocab_step"] is None
    assert (called.folder / "predictions.csv").read_bytes() == (bow().folder / "predictions.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--bin-size 4", "--bin-size 3, not 4"),
        ("--window gaussian", "window flat, not gaussian"),
        ("--dtype float32", "dtype uint8, not float32"),
        ("--backend opencv --window gaussian", "backend numba, not opencv"),
        ("--vocab-size 16", "--vocab brings its own words"),
        ("--vocab-step 2", "--vocab brings its own words"),
        ("--seed 1 2", "--vocab brings its own words"),
    ],
)
def test_a_vocabulary_of_another_kind_is_refused(refused, words, gratings, tmp_path, arguments, says):
    base = ("--data", gratings, "--runs-dir", tmp_path / "runs")
    refused("run_bow", *base, *QUICK, *given(words), *arguments.split(), says=says)


# --------------------------------------------------------------- which images, how


def test_lite_takes_eight_images_a_class_and_says_so(bow, gratings, tmp_path):
    large = tmp_path / "large"
    rng = np.random.default_rng(3)
    for part in ("train", "test"):
        for label, count in (("many", 10), ("few", 3)):
            (large / part / label).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (20, 24)).astype(np.uint8)
                Image.fromarray(pixels).save(large / part / label / f"{i}.png")
    called = bow("--lite", data=large)
    assert "only 8 + 8 images a class (--lite)" in called.lines[0]
    assert (called.result["n_train"], called.result["n_test"]) == (11, 11)


def test_max_side_shrinks_large_images_and_stands_in_the_result(bow):
    small, free, whole = bow("--max-side", 30).result, bow("--max-side", 0).result, bow().result
    assert (small["data"]["resize"], small["vocabulary"]["resize"]) == ("max-side 30", "max-side 30")
    assert (free["data"]["resize"], free["vocabulary"]["resize"]) == ("none", "none")
    # nothing was larger than 480 pixels
    assert (whole["data"]["resize"], whole["vocabulary"]["resize"]) == ("none", "max-side 480")


def test_max_side_gives_fewer_descriptors(bow):
    counts = [
        read_table_run(bow("--k", 1, 2, "--max-side", side).folder)[0][0]["descriptors_per_image"]
        for side in (30, 0)
    ]
    assert float(counts[0]) < float(counts[1])


def test_resize_gives_every_image_as_many_descriptors(bow):
    called = bow("--resize", 30, "--k", 1, 2)
    rows, runs = read_table_run(called.folder)
    # (30 - 1 - 9) // 4 + 1 = 6 frames each way
    assert [row["descriptors_per_image"] for row in rows] == ["36.0", "36.0"]
    assert runs["k1"].result["data"]["resize"] == "squash 30x30"


def test_a_folder_without_train_and_test_is_split_by_share_and_seed(bow, gratings, tmp_path):
    whole = tmp_path / "whole"
    shutil.copytree(gratings / "train", whole)
    half, more = bow(data=whole).result, bow("--split", 0.7, data=whole).result
    assert (half["n_train"], half["n_test"]) == (9, 9)
    assert (more["n_train"], more["n_test"]) == (12, 6)
    other = bow("--split", 0.7, "--seed", 1, data=whole).result
    assert other["n_train"] == 12
    assert other["data"]["train_fingerprint"] != more["data"]["train_fingerprint"]


@pytest.mark.parametrize(
    "arguments",
    [
        "--window gaussian",
        "--dtype float32",
        "--window gaussian --dtype float32",
        "--backend opencv --window gaussian",
        "--backend opencv --window gaussian --dtype float32",
        pytest.param("--backend vlfeat", marks=pytest.mark.vlfeat),
    ],
)
def test_other_descriptors_run_to_the_end(bow, arguments):
    called = bow(*arguments.split())
    for flag, value in zip(arguments.split()[::2], arguments.split()[1::2], strict=True):
        name = flag.removeprefix("--")
        assert called.result["config"][name] == called.result["vocabulary"][name] == value
    words = read_npz(called.folder / "model.npz")["words"]
    assert words.shape == (8, 128) and np.ptp(words) > 0


def test_the_torch_back_end_gives_the_same_predictions_and_shares(bow):
    pytest.importorskip("torch")
    loops, torch = bow("--step", 2), bow("--step", 2, "--backend", "torch", "--device", "cpu", "--fresh")
    assert torch.result["config"]["backend"] == "torch"
    for name in ("predictions.csv", "scores.npz"):
        assert (torch.folder / name).read_bytes() == (loops.folder / name).read_bytes()


def test_too_small_images_are_enlarged_and_named(bow, gratings, tmp_path):
    data = tmp_path / "gratings"
    shutil.copytree(gratings, data)
    tiny = np.arange(40, dtype=np.uint8).reshape(5, 8) * 6
    Image.fromarray(tiny).save(data / "test" / "fine" / "image_2.png")
    called = bow(data=data)
    assert called.result["enlarged"] == ["test/fine/image_2.png"]
    assert next(row for row in called.result["diagnoses"] if row["code"] == "SB012")["state"] == "issue"


def test_an_image_in_both_parts_is_named_as_a_leak(bow, gratings, tmp_path):
    data = tmp_path / "gratings"
    shutil.copytree(gratings, data)
    shutil.copy(data / "train" / "fine" / "image_1.png", data / "test" / "fine" / "copy.png")
    result = bow(data=data).result
    assert result["leaks"]["train_test"] == [["fine/image_1.png", "fine/copy.png"]]
    assert next(row for row in result["diagnoses"] if row["code"] == "SB001")["state"] == "issue"


def test_predictions_have_one_row_a_test_image_in_sorted_order(bow):
    with open(bow().folder / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["filename", "label", "predicted", "score"]
    names = [row[0] for row in rows[1:]]
    assert names == sorted(names) and len(names) == 15
    assert {row[3] for row in rows[1:]} == {"1.0"}  # k = 1: the only vote
