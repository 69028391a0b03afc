"""Block diagrams: well-formed, the same every time, and true to where branches part and join."""

import re
import sys
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from torch import nn

from deep import diagram, listings
from deep.diagram import network_svg, write_diagram
from deep.zoo import MODELS, build_model

SVG = "{http://www.w3.org/2000/svg}"


def drawing(name: str, **options) -> str:
    with torch.device("meta"):
        model = build_model(name, **options)
    return network_svg(model, MODELS[name].input_size, name)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def paths(svg: str, style: str) -> list[str]:
    return [p.get("d") for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if p.get("class") == style]


@pytest.mark.parametrize("name", MODELS)
def test_every_network_can_be_drawn_inside_its_page(name):
    svg = drawing(name)
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    for rectangle in root.iter(f"{SVG}rect"):
        if rectangle.get("x"):
            x, y = float(rectangle.get("x")), float(rectangle.get("y"))
            assert x >= 0 and x + float(rectangle.get("width")) <= width
            assert y >= 0 and y + float(rectangle.get("height")) <= height
    assert drawing(name) == svg


def test_every_class_that_is_named_exists():
    modules = [sys.modules[name] for name in sys.modules if name.startswith("deep.zoo.")]
    classes = {name for module in (nn, *modules) for name in vars(module)}
    named = {name for name in (*diagram._NAMES, *diagram._ATTACHED, *listings._UNLISTED) if name[0].isupper()}
    assert named and named <= classes


def test_norm_and_activation_of_the_projects_networks_stand_in_their_convolutions_box():
    lines = texts(drawing("fastnet"))
    assert "max pool 2" in lines and lines.count("batch norm, no scale, SiLU") == 6
    assert "times 1.702, SiLU" in lines and "divided by 435.712" in lines


def test_a_plain_network_has_no_fork():
    svg = drawing("lenet_modern")
    assert paths(svg, "line skip") == [] and "+" not in texts(svg)
    assert "5x5 conv, 6" in texts(svg) and "max pool 2" in texts(svg) and "linear, 10" in texts(svg)


def test_mynet_shows_nine_inceptions_with_four_branches():
    svg = drawing("mynet")
    found = texts(svg)
    assert sum("Inception" in text for text in found) == 9
    assert sum(text.startswith("concat") for text in found) == 9
    assert "concat 256x32x32" in found and "concat 1024x8x8" in found
    assert svg.count('class="box"') >= 9 * 9


def test_resnet18_shows_eight_sums_and_three_projections():
    svg = drawing("resnet18")
    found = texts(svg)
    assert found.count("+") == 8
    assert sum("BasicBlock" in text for text in found) == 8
    assert sum("1x1 conv" in text for text in found) == 3
    assert svg.count('fill="#fde0c0"') == 3 + 1  # and the key
    # a bare line past five blocks; two pieces, to and from the box, past three
    assert len(paths(svg, "line skip")) == 5 + 2 * 3


def test_r3s_residual_network_shows_its_skips():
    svg = drawing("cifar_residual")
    assert texts(svg).count("+") == 3 and svg.count('fill="#fde0c0"') == 1 + 1
    assert texts(drawing("cifar_residual", skips=False)).count("+") == 0
    assert texts(drawing("cifar_50k", projection=False)).count("+") == 2


def test_a_layer_that_is_used_twice_is_drawn_twice():
    found = texts(drawing("tiny50k"))
    assert found.count("+") == 4 and found.count("3x3 conv, 32") == 7


def test_lines_end_where_boxes_begin():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

        def forward(self, x):
            y = self.a(x)
            return torch.cat([self.b(y), y], dim=1)

    svg = network_svg(Net(), (1, 4, 4))
    tops = {float(r.get("y")) for r in ElementTree.fromstring(svg).iter(f"{SVG}rect") if r.get("y")}
    ends = [float(re.findall(r"V([\d.]+)$", d)[0]) for d in paths(svg, "line") if re.search(r"V[\d.]+$", d)]
    arrows = [end for end, d in zip(ends, paths(svg, "line"), strict=True) if end in tops]
    assert len(arrows) == 3 and "concat 2x4x4" in texts(svg)


def test_branches_that_do_not_nest_are_refused():
    class Crossed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Conv2d(1, 1, 1) for _ in range(3))

        def forward(self, x):
            x = self.a(x)
            y = self.b(x)
            z = self.c(y) + x
            return z + y

    with pytest.raises(ValueError, match="no drawing"):
        network_svg(Crossed(), (1, 4, 4))


def test_dense_blocks_are_one_box_each():
    for name, layers in (("densenet", (16, 16, 16)), ("densenet121", (6, 12, 24, 16))):
        blocks = [text for text in texts(drawing(name)) if text.startswith("dense block")]
        assert [int(text.split()[2]) for text in blocks] == list(layers)


def test_the_title_and_names_are_escaped():
    svg = network_svg(nn.Sequential(nn.ReLU()), (1, 2, 2), title="<a & b>")
    assert "&lt;a &amp; b&gt;" in svg and ElementTree.fromstring(svg) is not None


def test_a_diagram_is_written_whole(tmp_path):
    model = build_model("cifar_50k")
    path = write_diagram(model, (3, 32, 32), tmp_path / "network.svg", "cifar_50k")
    assert path.read_text("utf-8") == network_svg(model, (3, 32, 32), "cifar_50k")
    assert model.training and not next(model.parameters()).is_meta
