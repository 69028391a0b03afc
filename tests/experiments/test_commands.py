"""Exit codes, one line for every error, flags that mean the same everywhere."""

import argparse
import errno
import os
import sys

import pytest

from experiments.commands import FLAGS, CommandParser, one_line, run_command


def command(error: BaseException | None = None):
    def run(argv):
        if error is not None:
            raise error
        print("done")

    return run


def outcome(capsys, error=None) -> tuple[int, str]:
    code = run_command(command(error))
    return code, capsys.readouterr().err


def test_a_command_that_ends_has_code_0(capsys):
    assert outcome(capsys) == (0, "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("k is 0: give 1 or more"), "error: k is 0: give 1 or more\n"),
        (ValueError("several\n   lines\n"), "error: several lines\n"),
        (OSError("no network: check the cable"), "error: no network: check the cable\n"),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "/x/y"),
            "error: /x/y: No such file or directory: check the path\n",
        ),
        (
            MemoryError("Unable to allocate 3 TiB"),
            "error: out of memory (Unable to allocate 3 TiB): ask for smaller",
        ),
    ],
)
def test_bad_input_has_code_2_and_one_line(capsys, error, line):
    code, err = outcome(capsys, error)
    assert code == 2
    assert err.startswith(line.rstrip()) and err.count("\n") == 1


def test_an_interrupt_has_code_130_and_one_line(capsys):
    assert outcome(capsys, KeyboardInterrupt()) == (130, "interrupted\n")


@pytest.mark.parametrize(
    "error", [TypeError("oops"), KeyError("oops"), RuntimeError("oops"), AssertionError()]
)
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        run_command(command(error))


def test_a_reader_that_goes_away_is_no_error(monkeypatch, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        code = run_command(command())
        monkeypatch.undo()
        stdout.flush()  # what is left goes nowhere, and the interpreter's own flush at exit cannot fail
    assert (code, capsys.readouterr().err) == (0, "")


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space or choose another disk"),
        (errno.EACCES, "choose a folder you may write to and files you may read"),
        (errno.EROFS, "choose a folder you may write to"),
        (errno.ENOENT, "check the path"),
        (errno.ENOTDIR, "a file stands where a folder is needed"),
        (errno.EISDIR, "a folder stands where a file is needed"),
        (errno.EIO, "check the path and try again"),
    ],
)
@pytest.mark.parametrize("name", ["/some/file", None])
def test_an_error_of_the_system_names_its_file_and_says_what_to_do(number, advice, name):
    line = one_line(OSError(number, os.strerror(number), name))
    assert line.startswith("/some/file: " if name else os.strerror(number))
    assert os.strerror(number) in line and advice in line and "None" not in line and "\n" not in line


GOOD = [
    ("step", "3", 3), ("step", "3,5", (3, 5)), ("step", "3, 5", (3, 5)), ("seed", "0", 0), ("seed", "17", 17),
    ("p", "2", 2), ("p", "0.5", 0.5), ("jobs", "1", 1), ("max_side", "0", 0), ("split", "0.7", 0.7),
    ("k", "-3", -3),  # which k will do depends on the images
]  # fmt: skip
PAIR = "give a whole number of at least 1, or two such as 2,3"
SHARE = "give the share that trains, between 0 and 1"
BAD = [
    *[("step", text, PAIR) for text in ("", "3,", "1,2,3", "a", "1.5", "0", "-1", "1,0")],
    *[("seed", text, "give a whole number of at least 0") for text in ("-1", "0.5", "")],
    *[("p", text, "give a number above 0") for text in ("0", "-1", "nan", "inf", "two")],
    *[("jobs", text, "give 1 or more") for text in ("0", "-1", "all")],
    *[("split", text, SHARE) for text in ("0", "1", "nan", "half")],
    ("max_side", "-1", "give a whole number of at least 0"), ("vocab_size", "0", "give 1 or more"),
    ("resize", "0", "give 1 or more"), ("k", "many", "give a whole number"),
]  # fmt: skip


def parsed(name, text):
    parser = CommandParser("What it does.")
    parser.add_flags({name: None})
    return vars(parser.parse_args([f"--{name.replace('_', '-')}={text}"]))[name]


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_numbers_are_read(name, text, value):
    assert parsed(name, text) == value


@pytest.mark.parametrize(("name", "text", "advice"), BAD)
def test_a_number_that_cannot_be_says_what_can(name, text, advice):
    with pytest.raises(ValueError) as caught:
        parsed(name, text)
    assert str(caught.value) == f"--{name.replace('_', '-')} is {text}: {advice}"


def test_parameters_of_the_library_are_shown_as_flags_and_paths_stay(capsys):
    message = "/n_words/bin_size.npz: made with bin_size 4, not 3: ask for fewer n_words (n_words is 9)"
    assert outcome(capsys, ValueError(message))[1] == (
        "error: /n_words/bin_size.npz: made with --bin-size 4, not 3: "
        "ask for fewer --vocab-size (--vocab-size is 9)\n"
    )


def test_errors_of_the_command_line_are_one_line_too():
    parser = CommandParser("What it does.")
    parser.add_flags({"k": 1})
    for argv in (["--k", "1", "2"], ["--unknown"], ["--k"]):
        with pytest.raises(ValueError, match=": see --help$"):
            parser.parse_args(argv)


def test_flags_in_several_take_a_list_and_the_others_one_value():
    parser = CommandParser("What it does.")
    parser.add_flags({"k": 1, "step": 2, "vocab_step": None}, several=("k",))
    assert vars(parser.parse_args([])) == {"k": [1], "step": 2, "vocab_step": None}
    given = vars(parser.parse_args(["--k", "2", "3", "--step", "4,5"]))
    assert given == {"k": [2, 3], "step": (4, 5), "vocab_step": None}


def test_flags_are_not_abbreviated():
    parser = CommandParser("What it does.")
    parser.add_flags({"vocab_size": 400})
    with pytest.raises(ValueError, match="--vocab-s"):
        parser.parse_args(["--vocab-s", "3"])


def test_help_shows_each_default_once_as_it_is_typed():
    parser = CommandParser("What it does.")
    parser.add_flags(
        {"k": 1, "seed": 0, "data": None, "lite": False, "jobs": None, "metric": "chi2"}, several=("k",)
    )
    parser.add_argument("--out", default="100%", help="where to")
    text = " ".join(parser.format_help().split())
    for shown in (
        "that vote (default: 1)",
        "split (default: 0)",
        "vectors (default: chi2)",
        "to (default: 100%)",
    ):
        assert shown in text
    assert text.count("(default: all cores)") == 1
    assert "None" not in text and "False" not in text


def test_every_flag_has_help():
    for name, settings in FLAGS.items():
        assert settings["help"], name
        argparse.ArgumentParser().add_argument(f"--{name}", **settings)
