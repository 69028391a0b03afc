"""Rubrics: the default one, and what is no rubric."""

import pytest

from reports.rubric import DEFAULT_RUBRIC, read_rubric

CHECK = {"part": '"cnn"', "name": '"A"', "metric": '"accuracy"', "threshold": "0.5", "points": "10"}


def toml(*checks: dict, title: str = 'title = "T"') -> str:
    tables = ["\n".join(["[[check]]", *(f"{key} = {value}" for key, value in c.items())]) for c in checks]
    return "\n".join([title, *tables])


@pytest.fixture
def read(tmp_path):
    def read(text: str | bytes):
        path = tmp_path / "rubric.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_rubric(path)

    return read


def test_the_default_rubric_holds_the_thresholds_of_the_report():
    rubric = read_rubric()
    checks = {check.name: check for check in rubric.checks}
    assert rubric.parts == ("tiny", "bow", "cnn") and sum(c.points for c in rubric.checks) == 100
    assert (checks["Tiny images"].threshold, checks["Tiny images"].strict) == (0.2, True)
    assert (checks["Bag of SIFT"].weak, checks["Bag of SIFT"].strong) == (0.55, 0.6)
    assert checks["CNN, strong baseline"].threshold == 0.84
    size = checks["CNN, model file"]
    assert (size.metric, size.threshold, size.required) == ("file_bytes", 80_000_000, True)
    better = checks["CNN better than the baseline"]
    assert (better.versus, better.threshold, better.required) == ("bow", 0.05, False)


def test_a_rubric_is_read_with_its_defaults(read):
    (check,) = read(toml(CHECK)).checks
    assert (check.part, check.name, check.points, check.threshold) == ("cnn", "A", 10.0, 0.5)
    assert (check.required, check.strict, check.weak, check.versus) == (True, False, None, None)
    assert read(b"\xef\xbb\xbf" + toml(CHECK).encode()).title == "T"


def changed(**fields) -> dict:
    return {key: value for key, value in {**CHECK, **fields}.items() if value is not None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (toml(CHECK, title="title = 3"), "no title"),
        (toml(CHECK, title=""), "no title"),
        (toml(), "no checks"),
        ('title = "T"\ncheck = 3', "no checks"),
        (toml(CHECK, title='title = "T"\npoints = 3'), "unknown key 'points'"),
        (toml(changed(threshhold="0.5")), "unknown key 'threshhold': did you mean threshold"),
        (toml(changed(points=None)), "check 'A' has no points"),
        (toml(changed(name=None)), "check 1 has no name"),
        (toml(changed(name='""')), "name is no text"),
        (toml(changed(part="3")), "part is no text"),
        (toml(changed(part='"../x"')), "names no folder"),
        (toml(changed(metric='"f1"')), "metric 'f1' is unknown: use accuracy"),
        (toml(changed(points="true")), "points is no finite number"),
        (toml(changed(points="-1")), "points is no finite number"),
        (toml(changed(points="inf")), "points is no finite number"),
        (toml(changed(points="nan")), "points is no finite number"),
        (toml(changed(points="0")), "all checks have 0 points"),
        (toml(changed(points="1e7")), "more than 1e+06 points"),
        (toml(changed(threshold='"0.5"')), "threshold is no finite number"),
        (toml(changed(threshold="1" + "0" * 400, metric='"seconds"')), "threshold is no finite number"),
        (toml(changed(threshold="1.5")), "accuracy lies between 0 and 1"),
        (toml(changed(threshold="80", metric='"file_bytes"')), "80 MB are written as 80_000_000"),
        (toml(changed(name='"Score"')), "called like a column of the gradebook"),
        (toml(CHECK, changed(part='"CNN"', name='"B"')), "differ in capitals only"),
        (toml(changed(threshold=None)), "either a threshold, or weak and strong"),
        (toml(changed(weak="0.1", strong="0.2")), "either a threshold, or weak and strong"),
        (toml(changed(threshold=None, weak="0.1")), "weak and strong belong together"),
        (toml(changed(threshold=None, weak="0.2", strong="0.1")), "weak has to be below strong"),
        (toml(changed(threshold=None, weak="0.2", strong="0.2")), "weak has to be below strong"),
        (toml(changed(threshold=None, weak="1", strong="2", metric='"seconds"')), "has to be above strong"),
        (toml(changed(threshold=None, weak="0.1", strong="0.2", strict="true")), "belongs to a threshold"),
        (toml(changed(strict='"yes"')), "strict is not true or false"),
        (toml(changed(required="1")), "required is not true or false"),
        (toml(changed(versus='"bow"')), "versus belongs to better_than"),
        (toml(changed(metric='"better_than"')), "versus belongs to better_than"),
        (toml(changed(metric='"better_than"', versus='"cnn"')), "compares 'cnn' with itself"),
        (toml(changed(metric='"better_than"', versus='"bow"')), "part 'bow', which no check looks at"),
        (toml(CHECK, CHECK), "two checks are called 'A'"),
        ("title = ", "no valid TOML"),
        (b"title = '\xff'", "no valid TOML"),
        ("x = " + "[" * 100_000, "no valid TOML"),
        ("#" * (2**20 + 1), "more than 1048576 bytes"),
    ],
)
def test_what_is_no_rubric_is_refused_in_one_line(read, text, message):
    with pytest.raises(ValueError) as caught:
        read(text)
    said = str(caught.value)
    assert message in said and "\n" not in said and "rubric.toml: " in said


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such rubric"):
        read_rubric(tmp_path / "x.toml")
    assert DEFAULT_RUBRIC.is_file()


def test_the_checks_of_one_part():
    rubric = read_rubric().only("cnn")
    assert [check.name for check in rubric.checks] == ["CNN, strong baseline", "CNN, model file"]
    assert rubric.parts == ("cnn",)
    with pytest.raises(ValueError, match="--part art: the rubric has tiny, bow, cnn"):
        read_rubric().only("art")
