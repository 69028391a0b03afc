"""Counts by hand, R2's and R3's printed values layer by layer, and the file of layers."""

import csv

import pytest
import torch
from torch import nn

from deep.complexity import (
    LayerRow,
    complexity,
    count_parameters,
    file_bytes,
    layer_table,
    totals,
    write_layers_csv,
)
from deep.zoo import MODELS, build_model


def table(name: str, **options) -> list[LayerRow]:
    with torch.device("meta"):
        model = build_model(name, **options)
    return layer_table(model, MODELS[name].input_size)


def leaves(name: str) -> list[LayerRow]:
    """Rows of a network that is one flat Sequential."""
    return [row for row in table(name) if row.name.isdigit()]


# ----------------------------------------------------------------------------------------------- by hand


def test_a_small_network_by_hand():
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),  # 3 * 2 * 9 = 54 weights, 3 biases, 4 * 6 = 24 positions
        nn.BatchNorm2d(3),  # 3 scales, 3 shifts, 6 statistics
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(18, 5, bias=False),
        nn.Sigmoid(),
    )
    rows = layer_table(model, (2, 4, 6))
    assert [row.type for row in rows] == [
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
        "MaxPool2d",
        "Flatten",
        "Linear",
        "Sigmoid",
    ]
    assert [row.output_shape for row in rows] == [(3, 4, 6)] * 3 + [(3, 2, 3), (18,), (5,), (5,)]
    assert [row.trainable for row in rows] == [57, 6, 0, 0, 0, 90, 0]
    assert [row.non_trainable for row in rows] == [0, 6, 0, 0, 0, 0, 0]
    assert [row.macs for row in rows] == [54 * 24, 0, 0, 0, 0, 90, 0]
    # biases count; the norm two an element; ReLU its output, the pool its input
    assert [row.macs_r2 for row in rows] == [57 * 24, 2 * 72, 72, 72, 0, 90, 0]
    assert [row.output_elements for row in rows] == [72, 72, 72, 18, 18, 5, 5]
    sums = totals(rows)
    assert (sums.trainable, sums.non_trainable, sums.parameters) == (153, 6, 159)
    assert sums.file_bytes == 4 * 159 and not sums.over_limit


def test_rows_come_in_the_order_in_which_calls_finish():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Linear(4, 4)
            self.act = nn.ReLU()
            self.inner = nn.Sequential(nn.Linear(4, 4), self.act)

        def forward(self, x):
            return self.act(self.inner(x))

    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.twice = Twice()

        def forward(self, x):
            return self.twice(torch.flatten(x, 1))

    rows = layer_table(Root(), (1, 2, 2))
    assert [(row.name, row.call) for row in rows] == [
        ("twice.inner.0", 1),
        ("twice.act", 1),
        ("twice.act", 2),
        ("twice", 1),
    ]
    # what is never called costs a file its bytes, but is no layer
    assert totals(rows).parameters == 20 and count_parameters(Root()).total == 40


def test_parameters_of_a_layer_that_is_used_twice_count_once():
    rows = table("tiny50k")
    convs = [row for row in rows if row.type == "Conv2d" and row.name.startswith("blocks.1.")]
    assert [row.call for row in convs] == [1, 2] and convs[0].trainable == convs[1].trainable == 9216
    with torch.device("meta"):
        assert totals(rows).parameters == count_parameters(build_model("tiny50k")).total
    assert totals(rows).macs >= sum(row.macs for row in convs) == 2 * 9216 * 15**2


def test_frozen_weights_and_statistics_are_not_trainable():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    model[0].weight.requires_grad_(False)
    assert count_parameters(model) == (2 + 4, 2 + 4)
    assert count_parameters(model).total == 12 and file_bytes(model) == 48
    rows = layer_table(model, (1, 3, 3))
    assert [(row.trainable, row.non_trainable) for row in rows] == [(2, 2), (4, 4)]


def test_a_norm_without_statistics_counts_none():
    assert count_parameters(nn.BatchNorm2d(4, track_running_stats=False)) == (8, 0)
    assert count_parameters(nn.BatchNorm2d(4, affine=False)) == (0, 8)


def test_grouped_convolutions_count_the_products_they_make():
    (row,) = layer_table(nn.Conv2d(8, 16, 3, groups=4, bias=False), (8, 5, 5))
    assert (row.trainable, row.macs) == (16 * 2 * 9, 16 * 2 * 9 * 9)


def test_a_network_of_a_single_layer_is_its_own_row():
    (row,) = layer_table(nn.Linear(4, 3), (2, 5, 4))
    assert (row.name, row.output_shape, row.macs) == ("", (2, 5, 3), 2 * 5 * 12)


def test_the_network_is_left_as_it_is():
    model = build_model("cifar_plain").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    layer_table(model, (3, 32, 32))
    assert model.training and all(not module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_an_image_that_does_not_fit_is_refused():
    with pytest.raises(RuntimeError):
        layer_table(build_model("lenet_modern"), (3, 32, 32))


# -------------------------------------------------------------------------------- R2's tables, zeros left out

R2 = {
    "lenet_modern": (
        "156 2416 69240 10164 850",
        "159744 6144 6144 347904 2304 2304 69240 120 10164 84 850",
        (82826, 605002),
    ),
    "lenet_window9": (
        "492 2416 30840 10164 850",
        "442800 5400 5400 154624 1024 1024 30840 120 10164 84 850",
        (44762, 652330),
    ),
    "lenet_channels8": (
        "208 3216 69240 10164 850",
        "212992 8192 8192 463104 2304 2304 69240 120 10164 84 850",
        (83678, 777546),
    ),
    "lenet_convs4": (
        "156 2416 12832 51264 7800 10164 850",
        "159744 6144 6144 347904 2304 2304 461952 1152 1152 461376 576 576 7800 120 10164 84 850",
        (85482, 1470346),
    ),
    "lenet_fc5": (
        "156 2416 69240 10164 3570 903 220",
        "159744 6144 6144 347904 2304 2304 69240 120 10164 84 3570 42 903 21 220",
        (86669, 608908),
    ),
    "alexnet_128": (
        "1664 147712 9441280 16781312 40970",
        "1703936 65536 65536 14400 7237888 12544 12544 9441280 4096 16781312 4096 40970",
        (26412938, 35384138),
    ),
    "alexnet_28": (
        "1664 204928 442752 1327488 884992 9441280 16781312 40970",
        "1304576 50176 50176 40165888 25088 25088 21694848 18816 65046912 18816 43364608 12544 12544 9441280 "
        "4096 16781312 4096 40970",
        (29125386, 198061834),
    ),
    "alexnet_28_small": (
        "832 51264 36928 18464 1183744 16781312 40970",
        "652288 25088 25088 10047744 12544 12544 1809472 3136 904736 1568 1568 1183744 4096 16781312 4096 "
        "40970",
        (18113514, 31509994),
    ),
}


@pytest.mark.parametrize("name", R2)
def test_r2s_tables_layer_by_layer(name):
    parameters, macs, sums = R2[name]
    rows = leaves(name)
    assert [row.trainable for row in rows if row.trainable] == [int(n) for n in parameters.split()]
    assert [row.macs_r2 for row in rows if row.macs_r2] == [int(n) for n in macs.split()]
    assert (totals(rows).trainable, totals(rows).macs_r2) == sums


@pytest.mark.parametrize(
    ("name", "macs"),
    [("lenet_baseline", 596350), ("lenet_window7", 636346), ("lenet_channels64", 5608778)],
)
def test_r2s_other_totals(name, macs):
    assert totals(leaves(name)).macs_r2 == macs


# --------------------------------------------------------------------------------------------- R3, R4 and R5


def parameters_and_macs(rows: list[LayerRow]) -> list[tuple[int, int]]:
    """Of convolutions, norms and linear layers, in order."""
    kept = ("Conv2d", "BatchNorm2d", "BatchNorm1d", "Linear")
    return [(row.trainable + row.non_trainable, row.macs) for row in rows if row.type in kept]


def test_r3s_plain_network():
    rows = table("cifar_plain")
    assert parameters_and_macs(rows) == [
        *[(896, 221184), (128, 0), (18496, 1179648), (256, 0), (73856, 1179648), (512, 0)],
        *[(147584, 2359296), (512, 0)] * 4,
        *[(16512, 16384), (512, 0), (1290, 1280)],
    ]
    assert totals(rows).macs == totals(rows).macs_r3 == 12_035_328
    shapes = [row.output_shape for row in rows if row.type == "Conv2d"]
    assert shapes[:3] == [(32, 16, 16), (64, 8, 8), (128, 4, 4)] and set(shapes[2:]) == {(128, 4, 4)}


def test_r3s_separable_network_under_both_rules():
    rows = table("cifar_separable")
    parts = [row for row in rows if row.type == "Conv2d"][1:]
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    assert [a.trainable + b.trainable for a, b in pairs] == [2400, 8896] + [17664] * 4
    assert [a.macs_r3 + b.macs_r3 for a, b in pairs] == [167936] + [149504] + [280576] * 4
    assert [a.macs + b.macs for a, b in pairs] == [149504, 140288] + [280576] * 4
    assert (totals(rows).macs, totals(rows).macs_r3) == (1_650_944, 1_678_592)
    assert totals(rows).parameters == 104_106


def test_r3s_network_below_50000():
    rows = table("cifar_50k")
    separable = [sum(r.trainable for r in rows if r.name.startswith(f"{row.name}."))
                 for row in rows if row.type == "SeparableConv2d"]  # fmt: skip
    assert separable == [2400, 4736, 4736, 4736, 4736, 7726]
    assert [row.trainable for row in rows if row.name == "add2.projection"] == [2112]
    sums = totals(rows)
    assert (sums.parameters, sums.trainable, sums.macs) == (49_936, 48_756, 937_984)


def test_r3s_residual_network():
    rows = table("cifar_residual")
    assert [row.name for row in rows if row.type == "Residual"] == ["add2", "add45", "add67"]
    sums = totals(rows)
    assert (sums.parameters, sums.trainable, sums.macs) == (706_954, 705_226, 12_166_400)


def test_r4s_table():
    rows = leaves("mnist_conv3")
    assert [row.trainable for row in rows if row.trainable] == [800, 3208, 292, 1970]
    assert sum(row.non_trainable for row in rows) == 0
    assert [row.output_shape for row in rows if row.type != "ReLU"] == [
        *[(16, 22, 22), (16, 21, 21), (8, 17, 17), (8, 16, 16), (4, 14, 14), (4, 7, 7), (196,), (10,)]
    ]


def test_r5s_table():
    rows = [(row.trainable, row.output_shape) for row in leaves("alexnet_227") if row.trainable]
    assert rows == [
        (34_944, (96, 55, 55)),
        (192, (96, 55, 55)),
        (614_656, (256, 27, 27)),
        (512, (256, 27, 27)),
        (885_120, (384, 13, 13)),
        (1_327_488, (384, 13, 13)),
        (884_992, (256, 13, 13)),
        (37_752_832, (4096,)),
        (16_781_312, (4096,)),
        (40_970, (10,)),
    ]


# --------------------------------------------------------------------------------------------------- the file


def test_layers_csv_holds_every_row(tmp_path):
    rows = table("cifar_50k")
    path = write_layers_csv(rows, tmp_path / "layers.csv")
    with open(path, newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == (
        [
            "name",
            "type",
            "call",
            "output_shape",
            "trainable",
            "non_trainable",
            "macs",
            "macs_r2",
            "macs_r3",
            "output_elements",
        ]
    )
    assert len(read) == len(rows) and read[0]["output_shape"] == "32x16x16"
    assert sum(int(row["trainable"]) for row in read) == 48_756
    assert b"\r" not in path.read_bytes()


def test_totals_of_a_run_are_those_of_the_table():
    with torch.device("meta"):
        model = build_model("mynet")
    assert complexity(model, (3, 32, 32)) == totals(layer_table(model, (3, 32, 32)))
