"""What --describe and --list print: R1's table row by row, R2's to the digit, formulas of R3 to R5."""

import pytest
import torch
from torch import nn

from deep.listings import (
    describe,
    formula_table,
    macs_text,
    parameters_text,
    share_listing,
    summary,
    zoo_table,
)
from deep.zoo import MODELS, build_model


def lines_of(name: str, **options) -> list[str]:
    return describe(name, **options).splitlines()


# --------------------------------------------------------------------------------------------------------- R1


def summary_rows(name: str) -> list[tuple[str, list[int], int]]:
    """Type-n, shape and parameters of each row between the double lines."""
    with torch.device("meta"):
        text = summary(build_model(name), MODELS[name].input_size)
    rows = []
    for line in text.split("=" * 64)[1].strip().splitlines():
        label, rest = line.split(maxsplit=1)
        shape, parameters = rest.rsplit(maxsplit=1)
        rows.append(
            (label, [int(side) for side in shape.strip("[]").split(",")], int(parameters.replace(",", "")))
        )
    return rows


def test_mynets_214_rows():
    rows = summary_rows("mynet")
    assert len(rows) == 214
    expected = {
        1: ("Conv2d-1", [-1, 192, 32, 32], 5376),
        2: ("BatchNorm2d-2", [-1, 192, 32, 32], 384),
        3: ("ReLU-3", [-1, 192, 32, 32], 0),
        10: ("Conv2d-10", [-1, 128, 32, 32], 110592),
        26: ("Inception-26", [-1, 256, 32, 32], 0),
        50: ("MaxPool2d-50", [-1, 480, 16, 16], 0),
        149: ("Conv2d-149", [-1, 320, 16, 16], 460800),
        196: ("Conv2d-196", [-1, 384, 8, 8], 663552),
        212: ("Inception-212", [-1, 1024, 8, 8], 0),
        213: ("AvgPool2d-213", [-1, 1024, 1, 1], 0),
        214: ("Linear-214", [-1, 10], 10250),
    }
    assert {number: rows[number - 1] for number in expected} == expected
    assert not any(label.startswith(("Dropout", "Sequential")) for label, _, _ in rows)
    assert sum(parameters for _, _, parameters in rows) == 6_158_538


def test_resnet18s_69_rows():
    rows = summary_rows("resnet18")
    assert len(rows) == 69
    assert [rows[i - 1] for i in (1, 4, 11, 24, 51, 67, 68, 69)] == [
        ("Conv2d-1", [-1, 64, 36, 36], 1728),
        ("Identity-4", [-1, 64, 36, 36], 0),
        ("BasicBlock-11", [-1, 64, 36, 36], 0),
        ("Conv2d-24", [-1, 128, 18, 18], 8192),
        ("Conv2d-51", [-1, 512, 5, 5], 1179648),
        ("AdaptiveAvgPool2d-67", [-1, 512, 1, 1], 0),
        ("Linear-68", [-1, 10], 5130),
        ("ResNet-69", [-1, 10], 0),
    ]
    # a block with a projection: the shortcut after the second norm, then the ReLU again, then the block
    kinds = [label.split("-")[0] for label, _, _ in rows[18:27]]
    assert kinds == [
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
        "Conv2d",
        "BatchNorm2d",
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
        "BasicBlock",
    ]


@pytest.mark.parametrize(
    ("name", "elements", "total", "footer"),
    [
        ("mynet", 10_672_138, "6,158,538", ["0.01", "81.42", "23.49", "104.93"]),
        ("resnet18", 2_693_652, "11,173,962", ["0.01", "20.55", "42.63", "63.19"]),
    ],
)
def test_r1s_footers(name, elements, total, footer):
    lines = lines_of(name)
    start = lines.index(f"Total params: {total}")
    assert lines[start + 1 : start + 3] == [f"Trainable params: {total}", "Non-trainable params: 0"]
    assert [line.split(": ")[1] for line in lines[start + 4 : start + 8]] == footer
    products = [1] * len(summary_rows(name))
    for i, (_, shape, _) in enumerate(summary_rows(name)):
        for side in shape[1:]:
            products[i] *= side
    assert sum(products) == elements


def test_r1s_listing_stands_before_the_table():
    text = describe("mynet")
    for line in (
        "  (avgpool): AvgPool2d(kernel_size=8, stride=1, padding=0)",
        "  (dropout): Dropout(p=0.2, inplace=False)",
        "  (fc): Linear(in_features=1024, out_features=10, bias=True)",
        "      (bn): BatchNorm2d(64, eps=0.001, momentum=0.1, affine=True",
    ):
        assert line in text
    assert text.index("(dropout)") < text.index("Total params")


def test_frozen_weights_are_not_trainable_in_a_summary():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    text = summary(model, (1, 1, 3))
    assert "Total params: 14\nTrainable params: 6\nNon-trainable params: 8\n" in text


# --------------------------------------------------------------------------------------------------------- R2


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("lenet_modern", "82.83 k", "605.0 KMac"),
        ("lenet_window9", "44.76 k", "652.33 KMac"),
        ("lenet_channels8", "83.68 k", "777.55 KMac"),
        ("lenet_convs4", "85.48 k", "1.47 MMac"),
        ("alexnet_128", "26.41 M", "35.38 MMac"),
        ("alexnet_28", "29.13 M", "198.06 MMac"),
        ("alexnet_28_small", "18.11 M", "31.51 MMac"),
    ],
)
def test_r2s_first_and_last_lines(name, parameters, macs):
    lines = lines_of(name)
    assert lines[0] == f"{parameters}, 100.000% Params, {macs}, 100.000% MACs,"
    assert lines[-2:] == [f"Computational complexity: {macs}", f"Number of parameters: {parameters}"]


def test_r2s_rows_to_the_digit():
    assert lines_of("lenet_modern")[1:-2] == [
        "(0): Conv2d(156, 0.188% Params, 159.74 KMac, 26.404% MACs, 1, 6, kernel_size=(5, 5), stride=(1, 1), "
        "padding=(2, 2))",
        "(1): ReLU(0, 0.000% Params, 6.14 KMac, 1.016% MACs, )",
        "(2): MaxPool2d(0, 0.000% Params, 6.14 KMac, 1.016% MACs, kernel_size=2, stride=2, padding=0, "
        "dilation=1, ceil_mode=False)",
        "(3): Conv2d(2.42 k, 2.917% Params, 347.9 KMac, 57.505% MACs, 6, 16, kernel_size=(5, 5), "
        "stride=(1, 1))",
        "(4): ReLU(0, 0.000% Params, 2.3 KMac, 0.381% MACs, )",
        "(5): MaxPool2d(0, 0.000% Params, 2.3 KMac, 0.381% MACs, kernel_size=2, stride=2, padding=0, "
        "dilation=1, ceil_mode=False)",
        "(6): Flatten(0, 0.000% Params, 0.0 Mac, 0.000% MACs, start_dim=1, end_dim=-1)",
        "(7): Linear(69.24 k, 83.597% Params, 69.24 KMac, 11.445% MACs, in_features=576, out_features=120, "
        "bias=True)",
        "(8): ReLU(0, 0.000% Params, 120.0 Mac, 0.020% MACs, )",
        "(9): Linear(10.16 k, 12.272% Params, 10.16 KMac, 1.680% MACs, in_features=120, out_features=84, "
        "bias=True)",
        "(10): ReLU(0, 0.000% Params, 84.0 Mac, 0.014% MACs, )",
        "(11): Linear(850, 1.026% Params, 850.0 Mac, 0.140% MACs, in_features=84, out_features=10, "
        "bias=True)",
    ]


@pytest.mark.parametrize(
    ("name", "start"),
    [
        (
            "lenet_window9",
            "(0): Conv2d(492, 1.099% Params, 442.8 KMac, 67.880% MACs, 1, 6, kernel_size=(9, 9)",
        ),
        ("lenet_window9", "(2): MaxPool2d(0, 0.000% Params, 5.4 KMac, 0.828% MACs, kernel_size=7, stride=2"),
        ("lenet_window9", "(7): Linear(30.84 k, 68.898% Params, 30.84 KMac, 4.728% MACs, in_features=256"),
        (
            "alexnet_28_small",
            "(15): Linear(16.78 M, 92.645% Params, 16.78 MMac, 53.257% MACs, in_features=4096",
        ),
        ("alexnet_28_small", "(14): Dropout(0, 0.000% Params, 0.0 Mac, 0.000% MACs, p=0.1, inplace=False)"),
    ],
)
def test_r2s_percentages(name, start):
    assert any(line.startswith(start) for line in lines_of(name)), "\n".join(lines_of(name))


@pytest.mark.parametrize(
    ("count", "parameters", "macs"),
    [
        (0, "0", "0.0 Mac"),
        (850, "850", "850.0 Mac"),
        (999, "999", "999.0 Mac"),
        (1000, "1.0 k", "1.0 KMac"),
        (605002, "605.0 k", "605.0 KMac"),
        (442800, "442.8 k", "442.8 KMac"),
        (10**6, "1.0 M", "1.0 MMac"),
        (2_500_000_000, "2500.0 M", "2.5 GMac"),
    ],
)
def test_how_r2_prints_numbers(count, parameters, macs):
    assert (parameters_text(count), macs_text(count)) == (parameters, macs)


def test_a_nested_network_is_listed_by_its_paths():
    with torch.device("meta"):
        lines = share_listing(build_model("mynet"), (3, 32, 32)).splitlines()
    assert lines[1].startswith("(conv.0): Conv2d(5.38 k, 0.087% Params")
    assert not any("Inception(" in line for line in lines)


# --------------------------------------------------------------------------------------------------- R3 to R5


def table_rows(name: str, **options) -> dict[str, list[str]]:
    """Cells of the table by layer, split at two spaces or more."""
    rows = {}
    for line in lines_of(name, **options)[1:]:
        cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
        if len(cells) > 1:
            rows[cells[0]] = cells[1:]
    return rows


def test_r3s_plain_table():
    rows = table_rows("cifar_plain")
    assert rows["conv1.conv"] == ["Conv2d", "16, 16, 32", "3 x 3^2 x 32 + 32", "896", "0", "221,184"]
    assert rows["conv1.bn"] == ["BatchNorm2d", "16, 16, 32", "4 x 32", "128", "64", "0"]
    assert rows["conv7.conv"] == ["Conv2d", "4, 4, 128", "128 x 3^2 x 128 + 128", "147,584", "0", "2,359,296"]
    assert rows["hidden"] == ["Linear", "128", "128 x 128 + 128", "16,512", "0", "16,384"]
    assert rows["hidden_bn"][2:4] == ["4 x 128", "512"]
    assert rows["logits"][-3:] == ["1,290", "0", "1,280"]
    assert rows["pool"][1] == "1, 1, 128"
    assert lines_of("cifar_plain")[-4:] == [
        "Total parameters: 704,842",
        "Trainable: 703,114",
        "Non-trainable: 1,728",
        "MACs (products): 12,035,328",
    ]


def test_r3s_separable_table_shows_both_rules():
    rows = table_rows("cifar_separable")
    assert rows["conv2.conv"] == [
        *["SeparableConv2d", "8, 8, 64", "3^2 x 32 + 32 x 1^2 x 64 + 64", "2,400", "0", "149,504"]
    ]
    assert "conv2.conv.depthwise" not in rows
    lines = lines_of("cifar_separable")
    assert "MACs (products): 1,650,944" in lines
    assert lines[-1].startswith("MACs (R3's rule") and lines[-1].endswith(": 1,678,592")


def test_sums_and_projections_stand_in_the_residual_table():
    rows = table_rows("cifar_residual")
    assert rows["add2.projection"][2:] == ["32 x 1^2 x 64 + 64", "2,112", "0", "131,072"]
    assert rows["add2"][0] == "Residual"


def test_r4s_table_with_its_formulas():
    rows = table_rows("mnist_conv3", num_classes=4)
    assert [row[2:4] for row in rows.values() if row[0] in ("Conv2d", "Linear")] == [
        ["1 x 7^2 x 16 + 16", "800"],
        ["16 x 5^2 x 8 + 8", "3,208"],
        ["8 x 3^2 x 4 + 4", "292"],
        ["196 x 4 + 4", "788"],
    ]
    assert "Total parameters: 5,088" in describe("mnist_conv3", num_classes=4)
    assert "Non-trainable: 0" in describe("mnist_conv3")


def test_r5s_table_writes_channels_first():
    assert table_rows("alexnet_227")["0"][:4] == ["Conv2d", "96x55x55", "3 x 11^2 x 96 + 96", "34,944"]


def test_a_norm_without_scale_has_three_numbers_a_channel():
    with torch.device("meta"):
        text = formula_table(build_model("tiny50k"), (3, 32, 32))
    assert "3 x 32" in text and "(call 2)" in text


@pytest.mark.parametrize("name", MODELS)
def test_every_network_can_be_described(name):
    assert len(lines_of(name)) > 8


def test_a_description_follows_the_options():
    assert "[-1, 64, 32, 32]" in describe("resnet18", padding=1)
    with pytest.raises(ValueError, match="no option"):
        describe("resnet18", paddings=1)


# -------------------------------------------------------------------------------------------------- the table


def test_the_table_of_the_zoo():
    head, mynet, vgg = zoo_table(["mynet", "vgg16"])
    assert head.split()[0] == "name" and head.endswith("over 80 MB")
    assert mynet.split() == [
        "mynet",
        "R1",
        "3.1",
        "3x32x32",
        "6,158,538",
        "6,174,346",
        "1,521,756,160",
        "24.697",
        "no",
    ]
    assert vgg.split()[-2:] == ["134.620", "yes"]
    assert len({len(line) for line in (head, mynet, vgg)}) == 1


def test_the_table_lists_every_network():
    lines = zoo_table()
    assert [line.split()[0] for line in lines[1:]] == list(MODELS)
