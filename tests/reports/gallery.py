"""Wrong submissions, no two for the same cause, with the marks and the findings that each must get.

All begin as the same good submission, which has all 100 points of the default rubric: 40, 60 and 90 of 100
images right in tiny/, bow/ and cnn/, and a small model file.
"""

from __future__ import annotations

import csv
import io
import json
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.judging import Truth

CLASSES = ("ant", "bee", "cat", "dog")
TRUTH = Truth(
    "pets", {f"{label}/{i:03}.png": label for label in CLASSES for i in range(25)}, CLASSES,
    ("dog", "cat", "bee", "ant"),
)  # fmt: skip
NAMES = list(TRUTH.labels)
RIGHT = {"tiny": 40, "bow": 60, "cnn": 90}
PICKLE = b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93."


def rows(part: str, right: int | None = None) -> list[tuple[str, str]]:
    """Rows of a part: the first so many images right, the others wrong."""
    right = RIGHT[part] if right is None else right
    other = {label: CLASSES[(i + 1) % len(CLASSES)] for i, label in enumerate(CLASSES)}
    # the right ones spread over the classes
    order = sorted(NAMES, key=lambda name: (name[-7:], name))
    return [
        (name, TRUTH.labels[name] if i < right else other[TRUTH.labels[name]]) for i, name in enumerate(order)
    ]


def table(lines: Sequence[Sequence[str]], head: Sequence[str] = ("filename", "label"), **options) -> str:
    """CSV text."""
    text = io.StringIO()
    csv.writer(text, **{"lineterminator": "\n", **options}).writerows([*([head] if head else []), *lines])
    return text.getvalue()


def good(folder: Path) -> Path:
    """Write the good submission."""
    for part in RIGHT:
        (folder / part).mkdir(parents=True)
        (folder / part / "pred.csv").write_text(table(rows(part)), "utf-8")
    (folder / "cnn" / "model.pt").write_bytes(PICKLE)
    return folder


@dataclass(frozen=True)
class Wrong:
    """What is done to the good submission, and what it must get then."""

    make: Callable[[Path], object]
    score: float
    kinds: frozenset[str]
    max_score: float

    @property
    def name(self) -> str:
        """The cause, in words."""
        return self.make.__name__.strip("_").replace("_", " ")


GALLERY: list[Wrong] = []


def wrong(score: float, *kinds: str, of: float = 100):
    """Add to the gallery: the score that it must get, of so many points, and the kinds of its findings."""

    def add(make):
        GALLERY.append(Wrong(make, score, frozenset(kinds), of))
        return make

    return add


def put(folder: Path, text: str | bytes, part: str = "tiny", name: str = "pred.csv") -> None:
    """Write a file of a part as it is."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    (folder / part / name).write_bytes(data)


# -------------------------------------------------------------------------- which images and labels are named


@wrong(80, "missing")
def rows_are_missing(folder):
    put(folder, table(rows("tiny")[21:]))


@wrong(80, "missing", "no_rows")
def only_a_head(folder):
    put(folder, table([]))


@wrong(80, "contradicting")
def right_and_wrong_rows_for_the_same_images(folder):
    put(folder, table([*rows("tiny"), *((name, "cow") for name, _ in rows("tiny")[:20])]))


@wrong(80, "contradicting")
def every_class_is_named_for_every_image(folder):
    put(folder, table([(name, label) for name in NAMES for label in CLASSES]))


@wrong(100, "duplicate")
def equal_rows_twice(folder):
    put(folder, table(rows("tiny") * 2))


@wrong(80, "unknown_label")
def a_label_that_is_no_class(folder):
    put(folder, table([(name, "cow") for name in NAMES]))


@wrong(80, "unknown_label")
def empty_labels(folder):
    put(folder, table([(name, "") for name in NAMES]))


@wrong(80, "unknown_label")
def labels_that_are_not_a_number(folder):
    put(folder, table([(name, "nan") for name in NAMES]))


@wrong(80, "unknown_label")
def labels_as_decimal_numbers(folder):
    put(folder, table([(name, f"{TRUTH.official.index(label)}.0") for name, label in rows("tiny")]))


@wrong(80, "unknown_label")
def labels_out_of_range(folder):
    put(folder, table([(name, "4") for name in NAMES]))


@wrong(80, "unknown_label")
def negative_labels(folder):
    put(folder, table([(name, "-1") for name in NAMES]))


@wrong(80, "unknown_label")
def labels_in_capitals(folder):
    put(folder, table([(name, label.upper()) for name, label in rows("tiny")]))


@wrong(80)
def numbers_of_the_sorted_names_and_not_the_official_ones(folder):
    # ant and dog, bee and cat change places: of the 40 right ones none is
    put(folder, table([(name, str(CLASSES.index(label))) for name, label in rows("tiny", 100)]))


@wrong(70)
def one_class_for_every_image(folder):
    put(folder, table([(name, "ant") for name in NAMES]), "bow")


@wrong(100, "unknown_image")
def images_that_nobody_asked_for(folder):
    put(folder, table([*rows("tiny"), *((f"extra/{i}.png", "ant") for i in range(5000))]))


@wrong(80, "missing", "unknown_image")
def names_of_other_images(folder):
    put(folder, table([(f"{i}.jpg", "ant") for i in range(100)]))


@wrong(80, "missing", "unknown_image")
def absolute_paths(folder):
    put(folder, table([(f"/home/me/test/{name}", label) for name, label in rows("tiny")]))


@wrong(80, "missing", "ambiguous")
def base_names_that_several_images_have(folder):
    put(folder, table([(name.split("/")[1], label) for name, label in rows("tiny")]))


@wrong(100, "path_spelling")
def paths_with_backslashes(folder):
    put(folder, table([(name.replace("/", "\\"), label) for name, label in rows("tiny")]))


@wrong(80, "missing", "unknown_image")
def names_without_a_suffix(folder):
    put(folder, table([(name[:-4], label) for name, label in rows("tiny")]))


@wrong(80, "missing", "unknown_image")
def paths_that_climb_out_of_the_folder(folder):
    put(folder, table([(f"../../{name}", label) for name, label in rows("tiny")]))


@wrong(80)
def labels_one_row_too_low(folder):
    labels = [label for _, label in rows("tiny", 100)]
    names = [name for name, _ in rows("tiny")]
    put(folder, table(list(zip(names, labels[1:] + labels[:1], strict=True))))


# --------------------------------------------------------------------------------------- how they are written


@wrong(80, "empty", "missing")
def an_empty_file(folder):
    put(folder, "")


@wrong(80, "empty", "missing")
def nothing_but_blank_lines(folder):
    put(folder, "\n \n,\n" * 10)


@wrong(80, "not_predictions", "missing")
def a_head_with_other_names(folder):
    put(folder, table([(*row, "1") for row in rows("tiny")], ("image", "class", "score")))


@wrong(100, "no_header")
def no_head(folder):
    put(folder, table(rows("tiny"), ()))


@wrong(100, "header_spelling")
def a_head_in_capitals(folder):
    put(folder, table(rows("tiny"), ("Filename", " Label")))


@wrong(100, "column_order")
def columns_the_other_way_round(folder):
    put(folder, table([(label, name) for name, label in rows("tiny")], ("label", "filename")))


@wrong(100, "extra_columns")
def a_column_with_an_index(folder):
    put(folder, table([(i, *row) for i, row in enumerate(rows("tiny"))], ("", "filename", "label")))


@wrong(100, "delimiter_semicolons")
def divided_by_semicolons(folder):
    put(folder, table(rows("tiny"), delimiter=";"))


@wrong(100, "delimiter_tabs")
def divided_by_tabs(folder):
    put(folder, table(rows("tiny"), delimiter="\t"))


@wrong(100, "byte_order_mark_utf-8")
def a_byte_order_mark(folder):
    put(folder, b"\xef\xbb\xbf" + table(rows("tiny")).encode())


@wrong(100, "byte_order_mark_utf-16-le")
def utf_16_of_a_spreadsheet(folder):
    put(folder, b"\xff\xfe" + table(rows("tiny")).encode("utf-16-le"))


@wrong(80, "broken_encoding", "byte_order_mark_utf-16-be", "missing")
def half_a_character_of_utf_16(folder):
    put(folder, b"\xfe\xff" + table(rows("tiny")).encode("utf-16-be") + b"\xd8")


@wrong(100, "encoding", "unknown_image")
def a_name_that_is_not_utf_8(folder):
    put(folder, table(rows("tiny")).encode() + b"b\xfcro/1.png,ant\n")


@wrong(100, "crlf")
def line_ends_of_windows(folder):
    put(folder, table(rows("tiny"), lineterminator="\r\n"))


@wrong(100, "cr")
def line_ends_of_an_old_mac(folder):
    put(folder, table(rows("tiny")).replace("\n", "\r"))


@wrong(100, "nul_bytes")
def nul_characters(folder):
    put(folder, table(rows("tiny")).replace("ant\n", "ant\0\n"))


@wrong(80, "malformed_rows", "no_rows", "missing")
def rows_with_too_few_cells(folder):
    put(folder, table([(name,) for name in NAMES]))


@wrong(100, "malformed_rows")
def a_sentence_among_the_rows(folder):
    put(folder, table(rows("tiny")) + "I hope, dear grader, that this is enough\n")


@wrong(80, "broken_csv", "no_rows", "missing")
def a_quote_that_is_never_closed(folder):
    put(folder, 'filename,label\n"' + table(rows("tiny"), ()))


@wrong(80, "broken_csv", "no_rows", "missing")
def a_cell_of_a_megabyte(folder):
    put(folder, "filename,label\n" + "x" * 2**20 + ",ant\n" + table(rows("tiny"), ()))


@wrong(80, "too_large", "missing")
def a_table_of_a_gigabyte(folder):
    with (folder / "tiny" / "pred.csv").open("wb") as file:
        file.truncate(2**30)  # takes no space on the disk


@wrong(80, "too_many_rows", "unknown_image", "missing")
def more_rows_than_anybody_asked_for(folder):
    put(folder, "filename,label\n" + "a,b\n" * 1_000_001 + table(rows("tiny"), ()))


@wrong(80, "not_predictions", "missing")
def a_picture_called_pred_csv(folder):
    put(folder, b"GIF89a,,,,\x01\x02")


@wrong(100, "unknown_image")
def html_in_a_name(folder):
    put(folder, table([*rows("tiny"), ("<script>alert(1)</script>.png", "ant")]))


@wrong(100, "unknown_label")
def html_that_ends_a_script_as_label(folder):
    put(folder, table([*rows("tiny")[:-1], (rows("tiny")[-1][0], "</script><img src=x onerror=alert(1)>")]))


@wrong(100, "unknown_image")
def a_formula_as_name(folder):
    put(folder, table([*rows("tiny"), ('=HYPERLINK("http://x","y")', "ant")]))


@wrong(100, "unknown_image")
def line_ends_within_a_name(folder):
    put(folder, table([*rows("tiny"), ("a\nb\nc.png", "ant")]))


# -------------------------------------------------------------------------------------------- what lies where


@wrong(0, of=90)
def nothing_at_all(folder):
    for part in RIGHT:
        for file in (folder / part).iterdir():
            file.unlink()
        (folder / part).rmdir()


@wrong(80)
def a_part_is_missing(folder):
    (folder / "tiny" / "pred.csv").unlink()
    (folder / "tiny").rmdir()


@wrong(60, of=90)
def the_baseline_is_missing_and_nothing_to_compare_with(folder):
    (folder / "bow" / "pred.csv").unlink()
    (folder / "bow").rmdir()


@wrong(80)
def a_part_without_predictions(folder):
    (folder / "tiny" / "pred.csv").rename(folder / "tiny" / "answers.txt")


@wrong(80, "unknown_part")
def a_part_with_a_name_of_its_own(folder):
    (folder / "tiny").rename(folder / "thumbnails")


@wrong(100, "part_spelling")
def a_part_in_capitals(folder):
    (folder / "tiny").rename(folder / "TINY")


@wrong(80, "predictions_outside_parts")
def predictions_beside_the_parts(folder):
    (folder / "tiny" / "pred.csv").rename(folder / "pred.csv")
    (folder / "tiny").rmdir()


@wrong(80, "part_is_no_folder")
def a_file_in_place_of_a_part(folder):
    (folder / "tiny" / "pred.csv").unlink()
    (folder / "tiny").rmdir()
    (folder / "tiny").write_text("see my homepage")


@wrong(80, "part_is_no_folder")
def a_part_that_is_a_link_elsewhere(folder):
    (folder / "tiny").rename(folder.parent / "elsewhere")
    (folder / "tiny").symlink_to(folder.parent / "elsewhere")


@wrong(80, "link", "missing")
def predictions_that_are_a_link_to_the_answers(folder):
    answers = folder.parent / "answers.csv"
    answers.write_text(table(list(TRUTH.labels.items())))
    (folder / "tiny" / "pred.csv").unlink()
    (folder / "tiny" / "pred.csv").symlink_to(answers)


@wrong(80, "no_file", "missing")
def a_pipe_that_nobody_writes_to(folder):
    (folder / "tiny" / "pred.csv").unlink()
    os.mkfifo(folder / "tiny" / "pred.csv")


@wrong(80, "no_file", "missing")
def a_folder_called_pred_csv(folder):
    (folder / "tiny" / "pred.csv").unlink()
    (folder / "tiny" / "pred.csv").mkdir()


@wrong(100, "nested")
def a_folder_within_the_part(folder):
    (folder / "tiny" / "my solution").mkdir()
    (folder / "tiny" / "pred.csv").rename(folder / "tiny" / "my solution" / "pred.csv")


@wrong(80)
def two_folders_within_the_part(folder):
    for name in ("first", "second"):
        (folder / "tiny" / name).mkdir()
    (folder / "tiny" / "pred.csv").rename(folder / "tiny" / "first" / "pred.csv")


@wrong(80, "several_settings")
def a_sweep_in_place_of_a_run(folder):
    (folder / "tiny" / "k1").mkdir()
    (folder / "tiny" / "pred.csv").rename(folder / "tiny" / "k1" / "pred.csv")
    put(folder, "run,k,accuracy\nk1,1,0.9\n", name="table.csv")


# ----------------------------------------------------------------------------------------------------- claims


@wrong(100, "claimed_accuracy")
def a_result_with_another_accuracy(folder):
    put(folder, json.dumps({"schema": 1, "accuracy": 0.99}), name="result.json")


@wrong(100, "result_no_json")
def a_result_that_is_no_json(folder):
    put(folder, '{"accuracy": 0.4', name="result.json")


@wrong(100, "result_no_json")
def a_result_a_hundred_thousand_lists_deep(folder):
    put(folder, "[" * 100_000, name="result.json")


@wrong(100, "result_no_accuracy")
def a_result_without_accuracy(folder):
    put(folder, '{"accuracy": "very good"}', name="result.json")


@wrong(100, "result_no_json")
def an_accuracy_that_is_not_a_number(folder):
    put(folder, '{"accuracy": NaN}', name="result.json")


@wrong(100, "result_too_large")
def a_result_of_a_gigabyte(folder):
    with (folder / "tiny" / "result.json").open("wb") as file:
        file.truncate(2**30)


@wrong(80, "claimed_labels", "two_predictions")
def a_run_that_says_what_the_images_show(folder):
    # as predictions.csv of a run: filename, label (which is not read), predicted, score
    lines = [(name, "ant", "bee" if name[:3] == "ant" else "ant", "1.0") for name in NAMES]
    put(folder, table(lines, ("filename", "label", "predicted", "score")), name="predictions.csv")
    put(folder, json.dumps({"accuracy": 0.0}), name="result.json")


# ----------------------------------------------------------------------------------------------------- models


@wrong(90)
def no_model_file(folder):
    (folder / "cnn" / "model.pt").unlink()


@wrong(90)
def a_model_of_81_megabytes(folder):
    with (folder / "cnn" / "model.pt").open("wb") as file:
        file.truncate(81_000_000)


@wrong(90, "several_models")
def a_model_in_two_halves(folder):
    for half in ("first.bin", "second.bin"):
        with (folder / "cnn" / half).open("wb") as file:
            file.truncate(40_000_000)  # together, with the 24 bytes beside them, too large


@wrong(90)
def a_large_model_with_a_name_of_its_own(folder):
    (folder / "cnn" / "model.pt").unlink()
    with (folder / "cnn" / "brain.secret").open("wb") as file:
        file.truncate(80_000_001)


@wrong(90, "several_models")
def a_large_model_in_a_folder_of_the_part(folder):
    (folder / "cnn" / "w").mkdir()
    with (folder / "cnn" / "w" / "big.pt").open("wb") as file:
        file.truncate(80_000_001)


@wrong(90, "several_models")
def a_large_model_without_a_suffix(folder):
    with (folder / "cnn" / "weights").open("wb") as file:
        file.truncate(80_000_001)


@wrong(90, "several_models")
def a_large_model_that_is_hidden(folder):
    with (folder / "cnn" / ".model.pt").open("wb") as file:
        file.truncate(80_000_001)


@wrong(100, "large_file")
def a_picture_of_half_a_gigabyte(folder):
    with (folder / "cnn" / "model.png").open("wb") as file:
        file.truncate(500_000_000)


@wrong(100)
def a_safetensors_header_with_more_numbers_than_there_are(folder):
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**39] * 400, "data_offsets": [0, 0]}}).encode()
    (folder / "cnn" / "model.pt").unlink()
    (folder / "cnn" / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)


@wrong(90)
def a_model_that_is_called_a_picture(folder):
    (folder / "cnn" / "model.pt").rename(folder / "cnn" / "model.png")


@wrong(90, "model_is_no_file")
def a_model_that_is_a_link(folder):
    (folder / "cnn" / "model.pt").rename(folder.parent / "model.pt")
    (folder / "cnn" / "model.pt").symlink_to(folder.parent / "model.pt")


@wrong(100)
def a_safetensors_header_that_lies_about_its_length(folder):
    (folder / "cnn" / "model.pt").unlink()
    (folder / "cnn" / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")


@wrong(100)
def a_safetensors_header_with_tensors_of_negative_size(folder):
    header = json.dumps({"w": {"dtype": "F32", "shape": [-1, 10], "data_offsets": [0, 0]}}).encode()
    (folder / "cnn" / "model.pt").unlink()
    (folder / "cnn" / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)


@wrong(90, "several_models")
def a_large_model_many_folders_down(folder):
    deep = folder / "cnn" / "a" / "b" / "c" / "d" / "e"
    deep.mkdir(parents=True)
    with (deep / "big.pt").open("wb") as file:
        file.truncate(80_000_001)


@wrong(90, "not_all_seen")
def folders_deeper_than_anybody_looks(folder):
    deep = folder / "cnn" / "/".join("abcdefghijklmnopqrstuvw")
    deep.mkdir(parents=True)
    with (deep / "big.pt").open("wb") as file:
        file.truncate(80_000_001)


@wrong(90, "several_models", "nested")
def a_large_model_beside_the_folder_that_is_read(folder):
    (folder / "cnn" / "run").mkdir()
    (folder / "cnn" / "pred.csv").rename(folder / "cnn" / "run" / "pred.csv")
    with (folder / "cnn" / "big.pt").open("wb") as file:
        file.truncate(500_000_000)


@wrong(100, "nested")
def a_model_beside_the_folder_with_the_predictions(folder):
    (folder / "cnn" / "run").mkdir()
    (folder / "cnn" / "pred.csv").rename(folder / "cnn" / "run" / "pred.csv")


@wrong(90, "model_outside_parts")
def the_model_lies_outside_the_parts(folder):
    (folder / "cnn" / "model.pt").unlink()
    (folder / "weights").mkdir()
    with (folder / "weights" / "model.pt").open("wb") as file:
        file.truncate(80_000_001)


@wrong(90)
def an_empty_model_file(folder):
    (folder / "cnn" / "model.pt").write_bytes(b"")


@wrong(90)
def nothing_but_hidden_files_of_tools(folder):
    (folder / "cnn" / "model.pt").unlink()
    (folder / "cnn" / ".gitignore").write_text("*.pt\n")


@wrong(90, "several_models")
def a_large_model_in_many_small_hidden_pieces(folder):
    (folder / "cnn" / ".pieces").mkdir()
    for i in range(10):
        with (folder / "cnn" / ".pieces" / f"{i}.bin").open("wb") as file:
            file.truncate(9_000_000)


@wrong(90, "several_models")
def a_large_model_in_pieces_called_locks(folder):
    for i in range(10):
        with (folder / "cnn" / f"{i}.lock").open("wb") as file:
            file.truncate(9_000_000)


@wrong(100, "model_outside_parts")
def a_large_model_in_a_second_spelling_of_the_part(folder):
    (folder / "CNN").mkdir()
    with (folder / "CNN" / "big.pt").open("wb") as file:
        file.truncate(500_000_000)


@wrong(90)
def nothing_but_compiled_code(folder):
    (folder / "cnn" / "model.pt").unlink()
    (folder / "cnn" / "__pycache__").mkdir()
    (folder / "cnn" / "__pycache__" / "train.cpython-311.pyc").write_bytes(b"\xa7\r\r\n")


@wrong(90, "model_is_no_file")
def thousands_of_links_for_a_model(folder):
    (folder / "cnn" / "model.pt").unlink()
    for i in range(2000):
        (folder / "cnn" / f"{i}.pt").symlink_to("/etc/passwd")


# --------------------------------------------------------------------------------------------- the comparison


@wrong(90, "equal_parts")
def one_network_handed_in_three_times(folder):
    put(folder, table(rows("cnn")), "tiny")
    put(folder, table(rows("cnn")), "bow")


@wrong(90, "equal_parts")
def a_network_that_says_what_the_baseline_says(folder):
    put(folder, table(rows("bow", 84)), "bow")
    put(folder, table(rows("cnn", 84)), "cnn")


@wrong(60)
def a_network_worse_than_the_baseline(folder):
    put(folder, table(rows("cnn", 20)), "cnn")


@wrong(82)
def a_baseline_between_weak_and_strong(folder):
    # 0.57 is two fifths of the way from 0.55 to 0.60: 12 of 30 points
    put(folder, table(rows("bow", 57)), "bow")
