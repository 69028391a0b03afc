"""Both families on the same images: what is run, what is used again, the rows and the page."""

from dataclasses import replace

import pytest

from experiments.network_tables import NETWORK_EXPERIMENTS, Experiment, Setting
from experiments.tables import read_rows

torch = pytest.importorskip("torch")

from experiments.families import TABLES, Classical, Families, compare_families  # noqa: E402
from experiments.network_runs import Call  # noqa: E402
from reports import compare, read_run  # noqa: E402

SMALL = Families(
    "compare-small", "Small things", "small",
    (Classical("bag", "bow", 1), Classical("tiny", "tiny", 1), Classical("tiny of 16", "tiny", 1, 16)),
    (("cnn-small", "net"), ("cnn-small", "larger net")),
)  # fmt: skip


@pytest.fixture
def compared(monkeypatch, small_folder, tmp_path):
    few = {"epochs": 1, "batch_size": 4}
    settings = (
        Setting("net", "cifar_50k", "r3", few),
        Setting("larger net", "cifar_50k", "r3", few, pixels=40),
    )
    experiment = Experiment("cnn-small", "own", "Small", "small", settings)
    monkeypatch.setitem(NETWORK_EXPERIMENTS, "cnn-small", experiment)

    def compared(**flags):
        call = Call(tmp_path / "runs", tmp_path / "results", tmp_path / "docs" / "reports", ["python", "x"],
                    data=str(small_folder), jobs=1, device="cpu", precision="fp32", **flags)  # fmt: skip
        return compare_families(SMALL, call)

    return compared


def test_every_method_is_run_on_the_same_images_and_has_its_rows(compared, tmp_path):
    lines, page = compared()
    rows = read_rows(tmp_path / "results" / "compare-small.csv")
    found = {(row.setting, row.metric): float(row.measured) for row in rows}
    labels = ["bag", "tiny", "tiny of 16", "net", "larger net"]
    assert list(dict.fromkeys(row.setting for row in rows)) == labels
    assert {row.n_test for row in rows} == {"9"} and len({row.fingerprint for row in rows}) == 1
    folders = {
        label: next((tmp_path / "runs").glob(f"*-{name}"))
        for label, name in (("bag", "compare-small-bag"), ("net", "cnn-small-net"),
                            ("larger net", "cnn-small-larger-net"), ("tiny", "compare-small-tiny"))
    }  # fmt: skip
    runs = [read_run(folders[label]) for label in ("bag", "tiny", "net", "larger net")]
    for run, label in zip(runs, ("bag", "tiny", "net", "larger net"), strict=True):
        assert found[label, "accuracy"] == pytest.approx(run.result["accuracy"], abs=1e-4)
    assert runs[3].result["config"]["input_size"] == [3, 40, 40]
    pair = compare([runs[0], runs[2]]).pairs[0]
    assert found["net", "right only here"] == pair.only_second
    assert found["net", "difference to the first"] == pytest.approx(pair.difference, abs=1e-4)
    assert ("bag", "p, Holm") not in found and 0 < found["net", "p, Holm"] <= 1
    text = page.read_text("utf-8")
    assert page == tmp_path / "docs" / "compare" / "small.md"
    assert all(f"| {label} |" in text for label in labels)
    assert (page.parent / "small.svg").is_file() and "has" in text.split("## Where they come from")[1]
    assert lines[1].split()[0] == "bag"


def test_a_look_compares_the_few_images_that_networks_saw(compared, tmp_path):
    compared(lite=True)
    assert {row.n_test for row in read_rows(tmp_path / "results" / "compare-small.csv")} == {"6"}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(TABLES))
def test_the_real_tables_run_through_in_a_look(name, small_folder, tmp_path):
    call = Call(tmp_path / "runs", tmp_path / "results", tmp_path / "docs" / "reports", ["python", "x"],
                data=str(small_folder), lite=True, device="cpu")  # fmt: skip
    _, page = compare_families(TABLES[name], call)
    assert len(read_rows(tmp_path / "results" / f"{name}.csv")) > 30 and page.is_file()


def test_only_the_training_that_the_rows_tell_of_is_used_again(compared, tmp_path, monkeypatch, small_folder):
    monkeypatch.setenv("SCENEBENCH_DATA", str(small_folder.parent))
    monkeypatch.setattr("experiments.data.DATASETS", ("small",))
    where = (tmp_path / "runs", tmp_path / "results", tmp_path / "docs" / "reports", ["python", "x"])
    call = Call(*where, jobs=1, device="cpu", precision="fp32")
    # a look among the run folders, as somebody may have copied it there
    compared(lite=True)
    assert len(list((tmp_path / "runs").iterdir())) == 5
    for rows in (tmp_path / "results").iterdir():
        rows.unlink()
    compare_families(SMALL, call)
    assert {row.n_test for row in read_rows(tmp_path / "results" / "compare-small.csv")} == {"9"}
    assert len(list((tmp_path / "runs").iterdir())) == 10
    # other settings than those asked for
    other = replace(SMALL, classical=tuple(replace(each, k=3) for each in SMALL.classical))
    compare_families(other, call)
    assert len(list((tmp_path / "runs").iterdir())) == 13


def test_run_folders_of_the_set_itself_are_used_again(compared, tmp_path, monkeypatch, small_folder):
    monkeypatch.setenv("SCENEBENCH_DATA", str(small_folder.parent))
    monkeypatch.setattr("experiments.data.DATASETS", ("small",))
    call = Call(tmp_path / "runs", tmp_path / "results", tmp_path / "docs" / "reports", ["python", "x"],
                jobs=1, device="cpu", precision="fp32")  # fmt: skip
    compare_families(SMALL, call)
    made = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(made) == 5
    compare_families(SMALL, call)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == made
