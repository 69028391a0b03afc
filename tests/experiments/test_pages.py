"""A page a report: all its tables, figures where they are, `owed` where not, the same bytes each time."""

import re

import pytest

from experiments.network_tables import NETWORK_EXPERIMENTS
from experiments.tables import DIVERGED, Ledger, Measured

pytest.importorskip("torch")

from experiments.network_runs import _Heldout  # noqa: E402
from experiments.pages import OWED, PAGES, write_page  # noqa: E402


class Held(_Heldout):
    @classmethod
    def named(cls, name: str):
        return cls(name, {"test": "f" * 64}, range(5000))


def ledger(folder, experiment: str, dataset: str | None = None) -> Ledger:
    each = NETWORK_EXPERIMENTS[experiment]
    data = Held.named(dataset or each.dataset)
    return Ledger(folder / f"{experiment}.csv", experiment, data, ["x"], 1, report=each.report, hardware="H")


def line(text: str, setting: str) -> list[str]:
    """Cells of the first table line of a setting."""
    (found, *_) = [row for row in text.splitlines() if row.startswith(f"| {setting} |")]
    return [cell.strip() for cell in found.strip("|").split(" | ")]


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> dict[str, str]:
    """The pages without a single result."""
    folder = tmp_path_factory.mktemp("pages")
    return {report: write_page(report, folder / "results", folder).read_text("utf-8") for report in PAGES}


@pytest.mark.parametrize("report", sorted(PAGES))
def test_a_page_has_every_setting_of_its_report_and_owes_what_is_not_measured(empty, report):
    for experiment in NETWORK_EXPERIMENTS.values():
        if experiment.report == report:
            for setting in experiment.settings:
                assert OWED in line(empty[report], setting.label)
            assert f"`python scripts/reproduce.py {experiment.name}`" in empty[report]


@pytest.mark.parametrize("report", sorted(PAGES))
def test_a_page_is_the_same_each_time_and_links_only_to_what_is_there(empty, report, tmp_path):
    path = write_page(report, tmp_path / "results", tmp_path)
    assert path.name == f"{report.lower()}.md" and path.read_text("utf-8") == empty[report]
    for link in re.findall(r"!\[[^]]*\]\(([^)]+)\)", empty[report]):
        assert (tmp_path / link).is_file(), link


def test_networks_are_described_in_the_style_of_their_report(empty):
    assert "Estimated Total Size (MB): 104.93" in empty["R1"]
    assert "Estimated Total Size (MB): 63.19" in empty["R1"]
    for total in ("605.0 KMac", "652.33 KMac", "777.55 KMac", "1.47 MMac", "35.38 MMac", "198.06 MMac",
                  "31.51 MMac"):  # fmt: skip
        assert f"Computational complexity: {total}" in empty["R2"]
    assert empty["R2"].count("Computational complexity") == 8
    for total in ("704,842", "104,106", "706,954", "49,936"):
        assert f"Total parameters: {total}" in empty["R3"]
    assert "(cifar_residual)" not in empty["R3"] and "![cifar_residual](r3/cifar_residual.svg)" in empty["R3"]
    assert "Total parameters: 6,270" in empty["R4"] and "Total parameters: 5,088" in empty["R4"]
    assert "58,323,018" in empty["R5"]


def test_reported_stands_beside_measured(tmp_path):
    book = ledger(tmp_path / "results", "r5-bce")
    book.fill([Measured("alexnet_227, BCE", "accuracy", (0.7712,), 0.8, 3.0, (0,))])
    text = write_page("R5", tmp_path / "results", tmp_path).read_text("utf-8")
    assert line(text, "alexnet_227, BCE")[1:3] == ["0.8000", "0.7712"]
    assert line(text, "alexnet_227_conv3, BCE")[1:3] == ["0.8136", OWED]
    assert "Measured on cifar10, 5,000 held-out images; H." in text


@pytest.mark.parametrize(("third", "same"), [(0.7, "as"), (0.9, "not as")])
def test_the_order_of_a_sweep_is_read_off_the_rows(empty, tmp_path, third, same):
    assert f"The order is {OWED}." in empty["R2"]
    book = ledger(tmp_path / "results", "r2-lr")
    book.fail("lr 1", f"{DIVERGED} 3", 0.95)
    book.fill([Measured("lr 0.01", "accuracy", (0.8,))])
    book.fill([Measured("lr 0.001", "accuracy", (third,))])
    text = write_page("R2", tmp_path / "results", tmp_path).read_text("utf-8")
    order = "lr 0.01, lr 0.001" if same == "as" else "lr 0.001, lr 0.01"
    assert f"worst: {order}, lr 1 (diverged); the best of these {same} in the report." in text


def test_what_binary_cross_entropy_is_worth_is_read_off_the_rows(empty, tmp_path):
    assert f"What binary cross-entropy is worth is {OWED}." in empty["R5"]
    book = ledger(tmp_path / "results", "r5-short")
    accuracies = {"alexnet_227": 0.6, "alexnet_227_conv3": 0.61, "alexnet_227, BCE": 0.625,
                  "alexnet_227_conv3, BCE": 0.59}  # fmt: skip
    for label, accuracy in accuracies.items():
        book.fill([Measured(f"{label}, 3 epochs", "accuracy", (accuracy,))])
    text = write_page("R5", tmp_path / "results", tmp_path).read_text("utf-8")
    assert "`alexnet_227` +10.0 points there, +2.5 here" in text
    assert "`alexnet_227_conv3` +14.4 points there, -2.0 here" in text


def test_what_r1s_steps_are_worth_is_read_off_the_rows(empty, tmp_path):
    assert f"What each step is worth is {OWED}." in empty["R1"]
    book = ledger(tmp_path / "results", "r1-cnn-table")
    for setting in NETWORK_EXPERIMENTS["r1-cnn-table"].settings:
        model, name = setting.label.split(", ")
        accuracy = 0.4 + {"flip": 0.02, "rotation": -0.01}.get(name, 0.0) - 0.05 * (model == "vgg19")
        accuracy += 0.11 * (setting.label == "mynet, both")
        book.fill([Measured(setting.label, "accuracy", (accuracy,))])
    text = write_page("R1", tmp_path / "results", tmp_path).read_text("utf-8")
    assert "flip +2.0 points (better in 11 of 11)" in text
    assert "rotation -1.0 points (better in 0 of 11)" in text
    assert "both +1.0 points (better in 1 of 11)" in text
    assert "from vgg16 to vgg19 -5.0 points (better in 0 of 4)" in text


def test_means_over_seeds_have_their_number_and_spread(tmp_path):
    book = ledger(tmp_path / "results", "r3-networks")
    book.fill([Measured("plain", "accuracy", (0.6, 0.62, 0.64), seeds=(0, 1, 2))])
    text = write_page("R3", tmp_path / "results", tmp_path).read_text("utf-8")
    assert "0.6200 ± 0.0200" in line(text, "plain") and line(text, "plain")[1] == "3"
    assert "± is the standard deviation over the seeds." in text


def test_a_failed_training_is_shown_with_its_reason(tmp_path):
    ledger(tmp_path / "results", "r2-lr").fail("lr 1", f"{DIVERGED} 3", 0.1)
    text = write_page("R2", tmp_path / "results", tmp_path).read_text("utf-8")
    assert f"failed: {DIVERGED} 3 (the last good weights: 0.1000)" in line(text, "lr 1")


def test_r1_verdicts_compare_with_the_threshold_and_the_limit(tmp_path):
    book = ledger(tmp_path / "results", "r1-cnn-table")
    for label, accuracy, size in (("mynet, both", 0.85, 24.7), ("vgg16, both", 0.84, 134.6)):
        book.fill([Measured(label, "accuracy", (accuracy,)), Measured(label, "MB", (size,))])
    text = write_page("R1", tmp_path / "results", tmp_path).read_text("utf-8")
    assert line(text, "mynet, both")[-3:-1] == ["yes", "yes"]
    assert line(text, "vgg16, both")[-3:-1] == ["no", "no"]


def test_rows_of_other_images_count_only_where_there_are_no_others(tmp_path):
    book = ledger(tmp_path / "results", "r5-bce", "photos")
    book.fill([Measured("alexnet_227, BCE", "accuracy", (0.11,), seeds=(0,))])
    text = write_page("R5", tmp_path / "results", tmp_path).read_text("utf-8")
    assert "0.1100" in line(text, "alexnet_227, BCE")
    book = ledger(tmp_path / "results", "r5-bce")
    book.fill([Measured("alexnet_227_conv3, BCE", "accuracy", (0.81,), seeds=(0,))])
    text = write_page("R5", tmp_path / "results", tmp_path).read_text("utf-8")
    assert OWED in line(text, "alexnet_227, BCE")
    assert "0.8100" in line(text, "alexnet_227_conv3, BCE")
