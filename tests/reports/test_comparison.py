"""Runs held against each other: statistics by hand and against scipy and statsmodels, and what is said."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests

from reports import SCENE15_ORDER, RunRecord, compare, read_run, write_run
from reports.comparison import csv_rows, explanation, holm, mcnemar, p_text, paired_bootstrap

CLASSES = ("ant", "bee", "cat")
LABELS = ("ant",) * 4 + ("bee",) * 4 + ("cat",) * 4


@pytest.fixture
def run(tmp_path):
    """run("tiny", "aaabbbb..."): a run on twelve images that predicted the classes of these letters."""

    def made(name: str, predicted: str, labels=LABELS, filenames=None, classes=CLASSES, **changes):
        named = {cls[0]: cls for cls in classes}
        words = [named[letter] for letter in predicted]
        scores = np.eye(len(classes), dtype=np.float32)[[classes.index(word) for word in words]]
        names = filenames or [f"{i:02d}.png" for i in range(len(labels))]
        record = RunRecord(name=name, command=[], classes=list(classes), filenames=names, labels=list(labels),
                           predicted=words, scores=scores, n_train=3, **changes)  # fmt: skip
        return read_run(write_run(tmp_path / "runs", record))

    return made


# ----------------------------------------------------------------------------------------- McNemar, by hand


@pytest.mark.parametrize(
    ("b", "c", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (0, 5, 2 / 32), (1, 9, 22 / 1024), (5, 5, 1.0), (0, 6, 2 / 64)],
)
def test_exact_p_values_by_hand(b, c, p):
    assert math.isclose(mcnemar(b, c), p) and mcnemar(b, c) == mcnemar(c, b)


@given(st.integers(0, 300), st.integers(0, 300))
def test_p_values_are_those_of_statsmodels_and_of_the_binomial(b, c):
    theirs = their_mcnemar([[7, b], [c, 9]], exact=True).pvalue
    doubled = min(1.0, 2 * binom.cdf(min(b, c), b + c, 0.5))
    assert math.isclose(mcnemar(b, c), theirs, rel_tol=1e-9)
    assert math.isclose(mcnemar(b, c), doubled, rel_tol=1e-9)


def test_a_negative_count_is_refused():
    with pytest.raises(ValueError, match="give none below 0"):
        mcnemar(-1, 3)


# ------------------------------------------------------------------------------------------------------ Holm


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrected_p_values_are_those_of_statsmodels(p_values):
    theirs = multipletests(p_values, method="holm")[1]
    assert np.allclose(holm(p_values), theirs, rtol=1e-12, atol=1e-12)


def test_no_p_value_gives_none():
    assert holm([]) == []


# ------------------------------------------------------------------------------------------------- bootstrap


def test_the_interval_is_that_of_images_drawn_one_by_one():
    n, b, c = 200, 15, 35
    outcome = np.array([-1] * b + [1] * c + [0] * (n - b - c))
    rng = np.random.default_rng(1)
    slow = outcome[rng.integers(0, n, (10_000, n))].mean(axis=1)
    expected = np.quantile(slow, [0.025, 0.975])
    assert np.allclose(paired_bootstrap(b, c, n), expected, atol=0.006)


def test_intervals_are_seeded_hold_the_difference_and_are_nothing_for_equal_runs():
    assert paired_bootstrap(3, 9, 50) == paired_bootstrap(3, 9, 50)
    assert len({paired_bootstrap(301, 912, 5003, random_state=seed) for seed in range(5)}) > 1
    low, high = paired_bootstrap(3, 9, 50)
    assert low < 6 / 50 < high
    assert paired_bootstrap(0, 0, 50) == (0.0, 0.0) and paired_bootstrap(0, 50, 50) == (1.0, 1.0)
    with pytest.raises(ValueError, match="fit into n"):
        paired_bootstrap(30, 30, 50)


# ----------------------------------------------------------------------------------------------- comparisons


def test_counts_differences_and_names(run):
    #                     ant  bee  cat
    weak = run("tiny", "aabbbbaacccc")  # 8 right
    strong = run("cnn", "aaaabbbbcccb")  # 11 right
    found = compare([weak, strong])
    (pair,) = found.pairs
    assert found.names == ("tiny", "cnn") and found.n == 12
    assert (pair.only_first, pair.only_second, pair.both, pair.neither) == (1, 4, 7, 0)
    assert math.isclose(pair.difference, 3 / 12) and pair.interval[0] < 0.25 < pair.interval[1]
    assert math.isclose(pair.p_value, 2 * 6 / 32) and pair.p_holm == pair.p_value
    assert pair.better is None
    assert found.only(0, 1) == ["11.png"] and found.only(1, 0) == ["02.png", "03.png", "06.png", "07.png"]


def test_better_needs_a_small_p_and_the_sign(run):
    labels = ("ant",) * 20
    worst = run("worst", "b" * 20, labels)
    best = run("best", "a" * 20, labels)
    for runs, winner in (((worst, best), 1), ((best, worst), 0)):
        (pair,) = compare(runs).pairs
        assert pair.better == winner and pair.p_value < 1e-5


def test_equal_predictions_differ_in_nothing(run):
    same = [run("tiny", "aabbbbaacccc") for _ in range(2)]
    found = compare(same)
    (pair,) = found.pairs
    assert found.names == tuple(f"tiny ({each.folder.name})" for each in same)
    assert (pair.p_value, pair.difference, pair.interval, pair.better) == (1.0, 0.0, (0.0, 0.0), None)


def test_several_runs_are_corrected_for_their_number(run):
    found = compare([run("a", "b" * 12), run("b", "a" * 12), run("c", "aaaabbbbcccc")])
    assert [(pair.first, pair.second) for pair in found.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert [pair.p_holm for pair in found.pairs] == holm([pair.p_value for pair in found.pairs])


def test_an_interval_does_not_depend_on_what_else_is_compared(run):
    one, two, other = run("a", "aabbbbaacccc"), run("b", "aaaabbbbcccb"), run("c", "c" * 12)
    assert compare([one, two]).pairs[0].interval == compare([one, other, two]).pairs[1].interval


def test_what_the_correction_decides_is_said(run):
    labels = ("ant",) * 60
    runs = [run("one", "b" * 10 + "a" * 50, labels), run("two", "a" * 60, labels)]
    others = [run(f"other{i}", "b" * 10 + "a" * 50, labels) for i in range(12)]
    sentence = explanation(compare(runs), 0, 1)[0]
    assert "(p = 0.002: beyond chance)" in sentence
    sentence = explanation(compare([*runs, *others]), 0, 1)[0]
    assert "(p = 0.002, with Holm's correction for 91 pairs = 0.18: not beyond chance)" in sentence


def test_runs_of_one_name_are_told_apart_by_their_settings_or_their_folder(run):
    found = compare([run("tiny", "a" * 12, config={"k": k, "metric": "l1"}) for k in (1, 5)])
    assert found.names == ("tiny (k 1)", "tiny (k 5)")
    found = compare([run("tiny", "a" * 12, config={"a": i, "b": i, "c": i, "d": i}) for i in range(2)])
    assert found.names == tuple(f"tiny ({each.folder.name})" for each in found.runs)
    same = run("tiny", "a" * 12)
    assert compare([same, same]).names == tuple(f"tiny ({same.folder.name}) ({i})" for i in (1, 2))


def test_runs_that_were_trained_or_judged_on_something_else_are_said_to_be(run, tmp_path):
    prints = {"train_fingerprint": "a", "test_fingerprint": "b"}
    one, two = run("one", "a" * 12, data=prints), run("two", "a" * 12, data=prints)
    assert not [said for said in explanation(compare([one, two]), 0, 1) if "itted to" in said]
    other = run("other", "a" * 12, data={"train_fingerprint": "c", "test_fingerprint": "d"})
    said = explanation(compare([one, other]), 0, 1)
    assert said[1] == "Fitted to different images."
    assert said[2] == "The test images have the same names and classes, but not the same pixels."
    other.result["n_train"] = 45_000
    said = explanation(compare([one, other]), 0, 1)
    assert said[1] == "Fitted to different numbers of images: one to 3, other to 45,000."
    other.result["training"] = {"n_fit": 3}  # of which the rest was chosen on
    assert explanation(compare([one, other]), 0, 1)[1] == "Fitted to different images."


def test_of_many_classes_only_the_first_are_named_and_all_counted(run):
    classes, labels = tuple("abcdefgh"), tuple("abcdefgh") * 2
    weak = run("weak", "bcdefgha" * 2, labels, classes=classes)
    strong = run("strong", "abcdefgh" * 2, labels, classes=classes)
    sentences = explanation(compare([weak, strong]), 0, 1)
    assert "strong gains most in a +2, b +2, c +2 (8 classes in all) and loses in none." in sentences[1]


def test_the_order_of_the_images_does_not_matter(run):
    names = [f"{i:02d}.png" for i in range(12)]
    one = run("one", "aaaabbbbccca")
    back = run("back", "acccbbbbaaaa", LABELS[::-1], names[::-1])
    assert compare([one, back]).right.tolist() == [[True] * 11 + [False]] * 2


def test_runs_on_other_images_are_refused_by_name(run):
    one = run("one", "aaaabbbbcccc")
    fewer, changed = LABELS[:-1], ("ant",) * 5 + LABELS[5:]
    for other, says in (
        (run("two", "aaaabbbbccc", fewer), r"one.* and .*two.* only .*one has 11\.png"),
        (run("three", "a" * 12, changed), r"04\.png is bee in the first and ant in the other"),
    ):
        with pytest.raises(ValueError, match=says):
            compare([one, other])
    with pytest.raises(ValueError, match="give two or more"):
        compare([one])


# -------------------------------------------------------------------------------------------- what is said


def test_the_explanation_says_what_was_measured(run):
    weak, strong = run("tiny", "aabbbbaacccc"), run("cnn", "aaaabbbbcccb")
    found = compare([weak, strong])
    sentences = explanation(found, 0, 1)
    assert "cnn has 91.7 % of the 12 images right, tiny 66.7 %" in sentences[0]
    assert "+25.0 points" in sentences[0] and "4 images only cnn has right, 1 only tiny" in sentences[0]
    assert "not beyond chance" in sentences[0]
    assert sentences[1] == "By class, in images, cnn gains in ant +2, bee +2 and loses in cat -1."
    # tiny takes two ants for bees and two bees for ants, cnn one cat for a bee, which nothing makes up for
    assert sentences[2] == (
        "Asymmetry of the errors (at most twice their share) goes from 0.00 of 0.67 to 0.17 of 0.17."
    )
    assert sentences[3] == "The pairs of classes that cnn confuses less: ant and bee (4 to 0)."
    assert sentences[4] == "The pairs of classes that cnn confuses more: bee and cat (0 to 1)."
    back = explanation(found, 1, 0)
    assert "-25.0 points" in back[0] and "1 images only tiny has right, 4 only cnn" in back[0]
    low, high = (100 * end for end in found.pairs[0].interval)
    assert f"{low:+.1f} to {high:+.1f}" in sentences[0] and f"{-high:+.1f} to {-low:+.1f}" in back[0]


def test_indoor_and_outdoor_are_told_apart_on_the_15_scenes(tmp_path):
    classes = sorted(SCENE15_ORDER)
    labels = [name for name in classes for _ in range(2)]

    def scenes(name: str, wrong: str):
        predicted = ["Forest" if label == wrong else label for label in labels]
        names = [f"{i:02d}" for i in range(30)]
        record = RunRecord(name=name, command=[], classes=classes, filenames=names, labels=labels,
                           predicted=predicted, scores=np.ones((30, 15)), n_train=1)  # fmt: skip
        return read_run(write_run(tmp_path / "runs", record))

    sentences = explanation(compare([scenes("a", "Kitchen"), scenes("b", "Coast")]), 0, 1)
    said = "Right of the indoor images: a 80 %, b 100 %; of the outdoor ones: a 100 %, b 90 %."
    assert said in sentences


def test_costs_and_errors_as_csv_in_percent(run):
    config = {"recipe": {"name": "r"}, "input_size": [3, 32, 32]}
    cnn = run("cnn", "aaaabbbbcccb", config=config, model={"parameters": 1000, "macs": 2_500_000},
              timings={"training": 12.34, "ms_per_image": 0.5})  # fmt: skip
    tiny, other = csv_rows(compare([run("tiny", "aabbbbaacccc", data={"image_size": "9x9"}), cnn]))
    assert tiny == {"model": "tiny", "img_size": "9x9", "top1": "66.67", "top1_err": "33.33", "top5": "",
                    "top5_err": "", "param_count": "", "file_mb": "", "macs_m": "", "train_seconds": "",
                    "ms_per_image": ""}  # fmt: skip
    assert (other["img_size"], other["param_count"], other["macs_m"]) == ("32x32", "1000", "2.500")
    assert (other["train_seconds"], other["ms_per_image"], other["top5"]) == ("12.3", "0.500", "")
    # what looks for neighbours is part of the way from a picture to its class
    knn = run("knn", "aaaabbbbcccb", timings={"ms_per_image": 0.5, "classification": 0.012})
    assert csv_rows(compare([knn, cnn]))[0]["ms_per_image"] == "1.500"


def test_top5_counts_the_true_class_among_the_five_best(run, tmp_path):
    classes = tuple("abcdefg")
    scores = np.tile(np.arange(7, 0, -1, dtype=np.float32), (3, 1))
    record = RunRecord(name="cnn", command=[], classes=list(classes), filenames=["1", "2", "3"],
                       labels=["a", "e", "f"], predicted=["a"] * 3, scores=scores, n_train=1,
                       config={"recipe": {}})  # fmt: skip
    made = [read_run(write_run(tmp_path / "more", record)) for _ in range(2)]
    assert {row["top5"] for row in csv_rows(compare(made))} == {"66.67"}
    record.scores[:] = 1  # among equals the true class is not the first
    made = [read_run(write_run(tmp_path / "more", record)) for _ in range(2)]
    assert {row["top5"] for row in csv_rows(compare(made))} == {"0.00"}


def test_a_p_value_too_small_for_a_float_is_not_called_zero():
    assert p_text(mcnemar(132, 2136)) == "< 1e-300"
    assert p_text(0.034, 3) == "= 0.034" and p_text(1.0) == "= 1"
