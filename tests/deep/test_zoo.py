"""The zoo: every count, options that change none, input sizes, real images through each family."""

import pytest
import torch
from torch import nn

from deep import MODELS, build_model
from deep.complexity import complexity, count_parameters, file_bytes, layer_table
from deep.weights import SavedModel, save_model
from deep.zoo import _pretrained, image_shape
from deep.zoo._pretrained import copy_matching
from deep.zoo._shapes import meta_copy, output_shape
from deep.zoo.small import WhiteningConv2d


def on_meta(name: str, **options) -> nn.Module:
    with torch.device("meta"):
        return build_model(name, **options)


def shapes(name: str, **options) -> dict[str, tuple[int, ...]]:
    """Output shape of each module at its last call."""
    size = image_shape(name, options.get("in_channels"), options.get("input_size"))
    return {row.name: row.output_shape for row in layer_table(on_meta(name, **options), size)}


# ------------------------------------------------------------------------------------------------- the counts

# name, place, input, trainable, with batch-norm statistics, MACs, fp32 MB, over 80 MB
ZOO = """
mynet              R1 3.1  3x32x32    6158538  6174346 1521756160  24.697 no
resnet18           R1 3.2  3x32x32   11173962 11183562  742801408  44.734 no
lenet_baseline     R2 4.2  1x32x32      82826    82826     579240   0.331 no
lenet_modern       R2 4.2  1x32x32      82826    82826     579240   0.331 no
lenet_window9      R2 4.2  1x32x32      44762    44762     632640   0.179 no
lenet_window7      R2 4.2  1x32x32      61850    61850     613920   0.247 no
lenet_channels8    R2 4.2  1x32x32      83678    83678     745640   0.335 no
lenet_channels16   R2 4.2  1x32x32      87086    87086    1411240   0.348 no
lenet_channels24   R2 4.2  1x32x32      90494    90494    2076840   0.362 no
lenet_channels32   R2 4.2  1x32x32      93902    93902    2742440   0.376 no
lenet_channels64   R2 4.2  1x32x32     107534   107534    5404840   0.430 no
lenet_convs4       R2 4.2  1x32x32      85482    85482    1439400   0.342 no
lenet_fc5          R2 4.2  1x32x32      86669    86669     583020   0.347 no
alexnet_128        R2 4.3  1x128x128 26412938 26412938   35119104 105.652 yes
alexnet_28         R2 4.3  1x28x28   29125386 29125386  197706752 116.502 yes
alexnet_28_small   R2 4.3  1x28x28   18113514 18113514   31369728  72.454 no
alexnet_227        R5 7    3x227x227 58323018 58323722 1131201056 233.295 yes
alexnet_227_conv4  R5 7    3x227x227 56995530 56996234  906920480 227.985 yes
alexnet_227_conv3  R5 7    3x227x227 55815498 55816202  707559968 223.265 yes
alexnet_227_fc2    R5 7    3x227x227 41541706 41542410 1114423840 166.170 yes
alexnet_227_fc1    R5 7    3x227x227  3840074  3840778 1076726304  15.363 no
alexnet_227_fc4    R5 7    3x227x227 75104330 75105034 1147978272 300.420 yes
alexnet_227_leaky  R5 7    3x227x227 58323018 58323722 1131201056 233.295 yes
alexnet_227_lrn    R5 7    3x227x227 58322314 58322314 1131201056 233.289 yes
cifar_plain        R3 5.1  3x32x32     703114   704842   12035328   2.819 no
cifar_separable    R3 5.1  3x32x32     102378   104106    1650944   0.416 no
cifar_residual     R3 5.2  3x32x32     705226   706954   12166400   2.828 no
cifar_50k          R3 5.3  3x32x32      48756    49936     937984   0.200 no
mnist_conv3        R4 6.1  1x28x28       6270     6270    1362664   0.025 no
vgg16              R1 3.7  3x32x32   33646666 33655114  332111872 134.620 yes
vgg19              R1 3.7  3x32x32   38958922 38969930  417046528 155.880 yes
vgg16_wide         R1 3.7  3x32x32   33730666 33739242  389619712 134.957 yes
densenet           R1 3.7  3x32x32     769162   793150  287929692   3.173 no
lenet_32           R1 3.7  3x32x32      62006    62006     651720   0.248 no
alexnet_32         R1 3.7  3x32x32   23272266 23272266   62742528  93.089 yes
googlenet          R1 3.7  3x32x32    5983402  5997962 1561143296  23.992 no
resnet18_plain     R1 3.7  3x32x32   11181642 11191242   37016576  44.765 no
densenet121        R1 3.7  3x32x32    6956426  7040074  888350720  28.160 no
alexnet_224        R2 4.3  1x224x224 46764746 46764746  938146176 187.059 yes
"""
ROWS = [line.split() for line in ZOO.strip().splitlines()]


def test_the_zoo_holds_the_reports_networks_and_two_of_its_own():
    assert set(MODELS) == {row[0] for row in ROWS} | {"fastnet", "tiny50k"}
    assert all(name == row.name for name, row in MODELS.items())


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_counts_are_the_references(row):
    name, report, section, size, trainable, parameters, macs, megabytes, over = row
    network = MODELS[name]
    assert network.place == f"{report} {section}"
    assert "x".join(map(str, network.input_size)) == size
    model = on_meta(name)
    found = complexity(model, network.input_size)
    assert (found.trainable, found.parameters, found.macs) == (int(trainable), int(parameters), int(macs))
    assert f"{found.file_bytes / 1e6:.3f}" == megabytes and found.over_limit == (over == "yes")
    # counted from the layers that are called, and from the weights that are there
    assert count_parameters(model) == (found.trainable, found.non_trainable)
    assert file_bytes(model) == found.file_bytes


def test_mnist_with_four_merged_classes():
    found = complexity(on_meta("mnist_conv3", num_classes=4), (1, 28, 28))
    assert (found.trainable, found.non_trainable, found.macs) == (5088, 0, 1361488)


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("mnist_conv3", {"conv3_stride": 2}, 4670),
        ("mnist_conv3", {"conv3_stride": 2, "num_classes": 4}, 4448),
        ("alexnet_227_conv3", {"conv3_out": 384}, 74984906 + 2 * 352),
        ("vgg16", {"batch_norm": False}, 33638218),
        ("cifar_residual", {"skips": False}, 704842),
        ("cifar_50k", {"projection": False}, 47824),
        ("cifar_50k", {"projection": False, "last": 128}, 51370),
        ("cifar_50k", {"last": 111}, 50133),
        ("cifar_50k", {"last": 128}, 53482),
    ],
)
def test_other_readings_of_the_reports(name, options, parameters):
    assert count_parameters(on_meta(name, **options)).total == parameters


def test_with_c_channels_a_lenet_has_80270_plus_426_c_parameters():
    for channels in (8, 16, 24, 32, 64):
        found = complexity(on_meta(f"lenet_channels{channels}"), (1, 32, 32))
        assert found.trainable == 80_270 + 426 * channels
        assert found.macs_r2 == 87_370 + 86_272 * channels


def test_own_networks():
    # stem 288, convolutions, a bias a channel, linear layer; no scales in the norms
    fast = complexity(on_meta("fastnet"), (3, 32, 32))
    convs = 9 * (24 * 32 + 32 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 256 * 256)
    biases = 32 + 64 + 128 + 128 + 256 + 256
    assert fast.trainable == convs + biases + 2560 == 1_134_688
    assert fast.non_trainable == 288 + 2 * biases
    assert complexity(on_meta("fastnet", width="wide"), (3, 32, 32)).trainable == 1_898_208
    tiny = complexity(on_meta("tiny50k"), (3, 32, 32))
    assert tiny.trainable + 288 == 44_608  # all weights; the statistics of seven norms of 32 come on top
    assert tiny.parameters == 44_608 + 2 * 7 * 32 < 50_000


# --------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize("name", MODELS)
def test_dropout_changes_no_count(name):
    size = MODELS[name].input_size
    for rate in (0, 0.3):
        found = complexity(on_meta(name, dropout=rate), size)
        own = complexity(on_meta(name), size)
        assert (found.parameters, found.macs, found.macs_r2) == (own.parameters, own.macs, own.macs_r2)


def dropouts(model: nn.Module) -> list[float]:
    return [module.p for module in model.modules() if isinstance(module, nn.Dropout)]


@pytest.mark.parametrize(
    ("name", "own", "places"),
    [
        ("mynet", [0.2], 1),
        ("googlenet", [], 1),
        ("resnet18", [], 1),
        ("resnet18_plain", [], 1),
        ("vgg16", [], 2),
        ("vgg16_wide", [0.5, 0.5], 2),
        ("lenet_channels8", [], 4),
        ("lenet_fc5", [], 6),
        ("alexnet_128", [0.5, 0.5], 2),
        ("alexnet_28", [0.1, 0.1], 2),
        ("alexnet_32", [0.5, 0.5], 2),
        ("alexnet_227", [0.5, 0.5], 2),
        ("alexnet_227_fc1", [], 1),
        ("alexnet_227_fc2", [0.5], 1),
        ("alexnet_227_fc4", [0.5, 0.5], 2),
        ("cifar_plain", [], 6),
        ("cifar_residual", [0.2] * 5 + [0.3], 6),
        ("cifar_50k", [0.2] * 5 + [0.3], 6),
        ("mnist_conv3", [], 3),
        ("fastnet", [], 1),
    ],
)
def test_where_dropout_is(name, own, places):
    assert dropouts(on_meta(name)) == own
    assert dropouts(on_meta(name, dropout=0.7)) == [0.7] * places
    assert dropouts(on_meta(name, dropout=None)) == own


def test_dropout_of_lenet_follows_each_activation_but_not_the_logits():
    kinds = [type(layer).__name__ for layer in on_meta("lenet_channels8", dropout=0.1)]
    expected = "Conv2d ReLU Dropout MaxPool2d Conv2d ReLU Dropout MaxPool2d Flatten "
    assert kinds == (expected + "Linear ReLU Dropout Linear ReLU Dropout Linear").split()


@pytest.mark.parametrize("name", ["mynet", "googlenet", "densenet", "densenet121", "resnet18", "fastnet"])
def test_dropout_is_off_in_evaluation_and_on_in_training(name):
    torch.manual_seed(0)
    model = build_model(name, dropout=0.5, input_size=16).eval()
    image = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(model(image), model(image))
        model.train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        assert not torch.equal(model(image), model(image))


@pytest.mark.parametrize("name", ["mynet", "googlenet", "resnet18", "fastnet", "tiny50k"])
def test_training_in_phases_shows_smaller_images_to_the_same_network(name):
    torch.manual_seed(0)
    model = build_model(name).train()
    for pixels in (20, 26, 32):
        assert model(torch.randn(2, 3, pixels, pixels)).shape == (2, 10)


def test_a_map_smaller_than_the_pool_is_averaged_whole():
    torch.manual_seed(0)
    model = build_model("mynet").eval()
    small = build_model("mynet", input_size=20).eval()
    small.load_state_dict(model.state_dict())
    image = torch.randn(2, 3, 20, 20)
    with torch.no_grad():
        assert torch.allclose(model(image), small(image), atol=1e-6)


def test_batch_norm_stands_between_convolution_and_activation():
    kinds = [type(layer).__name__ for layer in on_meta("lenet_modern", batch_norm=True)]
    assert kinds[:4] == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    assert kinds.count("BatchNorm2d") == 2
    extra = count_parameters(on_meta("alexnet_28", batch_norm=True)).total - 29125386
    assert extra == 4 * (64 + 128 + 384 + 384 + 256)


def test_what_makes_the_variants():
    kinds = {name: [type(layer).__name__ for layer in on_meta(name)] for name in MODELS if "net_" in name}
    assert kinds["lenet_baseline"].count("Sigmoid") == 4 and kinds["lenet_baseline"].count("AvgPool2d") == 2
    assert kinds["alexnet_227"][:5] == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d", "Conv2d"]
    assert kinds["alexnet_227_leaky"].count("LeakyReLU") == 7 and "ReLU" not in kinds["alexnet_227_leaky"]
    assert kinds["alexnet_227_lrn"].count("LocalResponseNorm") == 2
    assert kinds["alexnet_227_fc1"][-2:] == ["Linear", "Sigmoid"]
    assert type(on_meta("alexnet_227_fc1", sigmoid=False)[-1]) is nn.Linear
    assert kinds["alexnet_32"][-7:] == ["Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear"]
    assert kinds["alexnet_128"][2:4] == ["MaxPool2d", "MaxPool2d"]
    norm = on_meta("alexnet_227_lrn")[1]
    assert (norm.size, norm.alpha, norm.beta, norm.k) == (5, 1e-4, 0.75, 2)
    assert {m.negative_slope for m in on_meta("alexnet_227_leaky") if isinstance(m, nn.LeakyReLU)} == {0.01}


def test_norms_have_the_reports_constants():
    def constants(name):
        norms = [m for m in on_meta(name).modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
        return {(norm.eps, norm.momentum) for norm in norms}

    assert constants("mynet") == {(1e-5, 0.1), (1e-3, 0.1)}
    assert constants("resnet18") == {(1e-5, 0.1)}
    assert constants("cifar_plain") == {(1e-3, 0.01)}
    assert constants("fastnet") == {(1e-12, 0.1)}


# ------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resnet81", {}, "unknown network 'resnet81': choose resnet18"),
        ("zzz", {}, "choose one of mynet, googlenet"),
        ("mynet", {"drop_out": 0.1}, "mynet has no option 'drop_out': it has dropout"),
        ("resnet18", {"stride": 1}, "resnet18 has no option 'stride': it has dropout, padding"),
        ("alexnet_227", {"batch_norm": True}, "has no option 'batch_norm'"),
        ("mynet", {"dropout": 1.0}, "dropout is 1.0: give a rate"),
        ("mynet", {"num_classes": 0}, "num_classes is 0"),
        ("mynet", {"input_size": 30}, "30x30 images: both sides must be divisible by 4"),
        ("vgg16", {"input_size": 31}, "vgg16 cannot take 31x31 images: both sides must be at least 32"),
        ("lenet_32", {"input_size": (15, 40)}, "15x40 images: both sides must be at least 16"),
        ("mnist_conv3", {"input_size": 14}, "at least 16"),
        ("fastnet", {"input_size": 8}, "at least 9"),
        ("densenet", {"input_size": 3}, "at least 4"),
        ("mynet", {"input_size": 0}, "no image size"),
        ("mynet", {"input_size": (32,)}, "no image size"),
        ("mynet", {"input_size": "32"}, "no image size"),
        ("mynet", {"input_size": (1, 32, 32), "in_channels": 3}, "make them agree"),
        ("vgg16", {"pretrained": True}, "vgg16 has no trained weights"),
        ("fastnet", {"width": "slim"}, "choose from standard, wide"),
    ],
)
def test_what_is_wrong_is_said(name, arguments, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        on_meta(name, **arguments)


# ------------------------------------------------------------------------------------- input sizes and shapes


def test_resnet18_has_maps_of_36_18_9_and_5():
    found = shapes("resnet18")
    stages = ["conv1", "layer1.1", "layer2.1", "layer3.1", "layer4.1"]
    assert [found[f"resnet.{stage}"] for stage in stages] == [
        (64, 36, 36),
        (64, 36, 36),
        (128, 18, 18),
        (256, 9, 9),
        (512, 5, 5),
    ]


def test_resnet18_with_padding_1_keeps_the_parameters():
    assert shapes("resnet18", padding=1)["resnet.layer4.1"] == (512, 4, 4)
    found = complexity(on_meta("resnet18", padding=1), (3, 32, 32))
    assert (found.trainable, found.macs) == (11173962, 555422720)


def test_alexnet_227_has_maps_of_55_27_13_and_6():
    sides = [shape[1] for shape in shapes("alexnet_227").values() if len(shape) == 3]
    assert list(dict.fromkeys(sides)) == [55, 27, 13, 6]
    assert shapes("alexnet_227")["15"] == (9216,)


def test_alexnet_128_has_maps_of_32_15_7_and_3():
    sides = [shape[1] for shape in shapes("alexnet_128").values() if len(shape) == 3]
    assert list(dict.fromkeys(sides)) == [32, 15, 7, 3]


def test_mynets_shapes():
    found = shapes("mynet")
    assert (found["inception_3b"], found["maxpool_3"]) == ((480, 32, 32), (480, 16, 16))
    assert (found["inception_4e"], found["maxpool_4"]) == ((832, 16, 16), (832, 8, 8))
    assert (found["inception_5b"], found["avgpool"], found["fc"]) == ((1024, 8, 8), (1024, 1, 1), (10,))


@pytest.mark.parametrize(
    ("block", "parameters"),
    [
        ("inception_3a", 165152),
        ("inception_3b", 423360),
        ("inception_4a", 385344),
        ("inception_4b", 462224),
        ("inception_4c", 523184),
        ("inception_4d", 610304),
        ("inception_4e", 951552),
        ("inception_5a", 1126656),
        ("inception_5b", 1494752),
        ("conv", 5760),
        ("fc", 10250),
    ],
)
def test_mynets_blocks(block, parameters):
    assert count_parameters(on_meta("mynet").get_submodule(block)).trainable == parameters


@pytest.mark.parametrize(
    ("block", "parameters"),
    [("layer1", 147968), ("layer2", 525568), ("layer3", 2099712), ("layer4", 8393728), ("fc", 5130)],
)
def test_resnet18s_blocks(block, parameters):
    assert count_parameters(on_meta("resnet18").resnet.get_submodule(block)).trainable == parameters


def test_names_of_submodules_are_r1s():
    mynet = on_meta("mynet")
    names = [name for name, _ in mynet.named_children()]
    assert names[:4] == ["conv", "inception_3a", "inception_3b", "maxpool_3"]
    assert names[-5:] == ["inception_5a", "inception_5b", "avgpool", "dropout", "fc"]
    assert names[9] == "maxpool_4" and len(names) == 15
    assert [name for name, _ in mynet.inception_3a.named_children()] == [f"branch{i}" for i in range(1, 5)]
    assert [name for name, _ in mynet.inception_3a.branch1.named_children()] == ["conv", "bn"]
    block = on_meta("resnet18").resnet.layer2[0]
    assert [name for name, _ in block.named_children()] == [
        "conv1",
        "bn1",
        "relu",
        "conv2",
        "bn2",
        "downsample",
    ]


def test_densenets_widths_are_the_papers():
    found = shapes("densenet")
    stages = ["0", "1.15", "2.3", "3.15", "4.3", "5.15"]
    assert [found[stage][0] for stage in stages] == [24, 216, 108, 300, 150, 342]


# The size and channels each can take beside its own; one of every family that has linear widths to find.
@pytest.mark.parametrize(
    ("name", "channels", "size"),
    [
        ("mynet", 1, (16, 24)),
        ("googlenet", 3, 8),
        ("resnet18", 1, 15),
        ("resnet18_plain", 1, 33),
        ("densenet121", 4, 17),
        ("densenet", 1, (9, 12)),
        ("vgg16_wide", 1, (33, 70)),
        ("lenet_window9", 3, 40),
        ("alexnet_28_small", 3, (30, 41)),
        ("alexnet_32", 1, 35),
        ("cifar_residual", 1, 28),
        ("cifar_50k", 1, (41, 26)),
        ("mnist_conv3", 3, (17, 33)),
        ("fastnet", 1, (16, 21)),
        ("tiny50k", 1, 28),
    ],
)
def test_other_sizes_and_channels_give_the_same_as_real_images(name, channels, size):
    model = build_model(name, in_channels=channels, input_size=size, num_classes=7).eval()
    shape = image_shape(name, channels, size)
    with torch.no_grad():
        assert model(torch.randn(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize("name", [name for name in MODELS if max(MODELS[name].input_size) <= 32])
def test_the_least_size_that_a_message_names_is_the_least(name):
    def refused(size):
        try:
            model = build_model(name, input_size=size)
        except ValueError as error:
            return str(error)
        with torch.no_grad():
            model.eval()(torch.zeros(1, MODELS[name].input_size[0], size, size))
        return ""

    message = refused(1)
    if "divisible" in message:
        assert not refused(4)
    elif message:
        least = int(message.split("at least ")[1].split(",")[0])
        assert not refused(least) and refused(least - 1) == message.replace("1x1", f"{least - 1}x{least - 1}")


def test_sizes_may_come_with_channels():
    assert image_shape("mynet") == (3, 32, 32)
    assert image_shape("mynet", None, (1, 16, 20)) == (1, 16, 20)
    assert image_shape("mynet", 1, [16, 20]) == (1, 16, 20)
    assert on_meta("mynet", input_size=(1, 16, 16)).conv[0].in_channels == 1


# -------------------------------------------------------------------------------------------------- real runs


@pytest.mark.parametrize(
    "name",
    [
        "mynet",
        "resnet18",
        "resnet18_plain",
        "densenet",
        "densenet121",
        "lenet_baseline",
        "alexnet_28_small",
        "cifar_residual",
        "cifar_50k",
        "cifar_separable",
        "mnist_conv3",
        "fastnet",
        "tiny50k",
    ],
)
def test_a_step_of_training_moves_every_trainable_weight(name):
    torch.manual_seed(0)
    model = build_model(name, num_classes=4)
    logits = model(torch.randn(4, *MODELS[name].input_size))
    assert logits.shape == (4, 4) and logits.dtype == torch.float32
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3])).backward()
    for key, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, key
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", MODELS)
def test_every_network_gives_logits_in_evaluation(name):
    assert output_shape(on_meta(name, num_classes=3), MODELS[name].input_size) == (3,)


def test_the_same_seed_builds_the_same_network_whatever_the_size_check():
    def weights(**arguments):
        torch.manual_seed(1)
        return build_model("fastnet", **arguments).state_dict()

    first, second, other = weights(), weights(), weights(input_size=20)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(torch.equal(first[key], other[key]) for key in first)


def test_a_copy_on_the_meta_device_leaves_the_network_alone():
    model = build_model("lenet_modern")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    copied = meta_copy(model)
    assert all(parameter.is_meta for parameter in copied.parameters())
    assert model.training and not copied.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_residual_adds_its_input():
    model = build_model("cifar_residual", dropout=0).eval()
    add = model.add45
    x = torch.randn(1, 128, 4, 4)
    with torch.no_grad():
        assert torch.allclose(add(x), add.body(x) + x)
        y = torch.randn(1, 32, 16, 16)
        assert torch.allclose(model.add2(y), model.add2.body(y) + model.add2.projection(y))


# ------------------------------------------------------------------------------------------------ whitening


def test_whitened_patches_are_uncorrelated_with_variance_one():
    torch.manual_seed(3)
    mixing = torch.eye(3) + 0.5
    images = torch.einsum("ij,njyx->niyx", mixing, torch.randn(60, 3, 9, 11)).cumsum(3) * 3
    layer = WhiteningConv2d(3)
    layer.fit(images)
    out = layer(images).double().permute(1, 0, 2, 3).reshape(24, -1)
    assert torch.allclose(out[12:], -out[:12])
    moments = out[:12] @ out[:12].T / out.shape[1]
    # eigenvalues here are far above the 5e-4 that is added to them
    assert torch.allclose(moments, torch.eye(12, dtype=torch.float64), atol=5e-3)
    assert not layer.weight.requires_grad


def test_whitening_is_the_same_for_images_in_another_order():
    images = torch.randn(50, 1, 6, 6)
    first, second = WhiteningConv2d(1), WhiteningConv2d(1)
    first.fit(images)
    second.fit(images.flip(0))
    assert torch.allclose(first.weight, second.weight, atol=1e-5)


def test_a_flat_set_of_images_whitens_to_finite_filters():
    layer = WhiteningConv2d(3)
    layer.fit(torch.zeros(4, 3, 5, 5))
    assert torch.isfinite(layer.weight).all()


def test_before_fitting_the_stem_shows_pixels_and_their_negatives():
    image = torch.randn(1, 3, 4, 4)
    out = build_model("tiny50k").whiten(image)
    assert out.shape == (1, 24, 3, 3)
    assert torch.equal(out[:, 0], image[:, 0, :3, :3]) and torch.equal(out[:, 12], -image[:, 0, :3, :3])


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 1, 8, 8), (0, 3, 8, 8), (2, 3, 1, 8)])
def test_images_that_cannot_whiten_are_refused(shape):
    with pytest.raises(ValueError, match="images to whiten by"):
        build_model("fastnet").set_whitening(torch.zeros(shape))


# ------------------------------------------------------------------------------------------ published weights


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """weights(name, **options): a file of that network's random weights as if it came with the project."""
    monkeypatch.setattr(_pretrained, "WEIGHTS", tmp_path)

    def write(name: str, classes=tuple("abcdefghij"), **options) -> nn.Module:
        torch.manual_seed(5)
        network = build_model(name, num_classes=len(classes), **options).eval()
        saved = SavedModel(network, name, options, classes, (3, 32, 32), (0.5,) * 3, (0.2,) * 3, "squash", {})
        save_model(tmp_path / f"{name}.safetensors", saved, half=True)
        return network

    return write


def test_trained_weights_are_loaded_with_the_options_they_were_trained_with(weights):
    stored = weights("fastnet", width="wide").state_dict()
    found = build_model("fastnet", pretrained=True).state_dict()
    assert set(found) == set(stored)
    assert all(torch.equal(found[key], stored[key].half().float()) for key in stored if "num_b" not in key)
    assert build_model("fastnet", pretrained=True).training


def test_with_other_classes_the_last_layer_is_fresh(weights):
    stored = weights("tiny50k").state_dict()
    found = build_model("tiny50k", num_classes=3, pretrained=True).state_dict()
    assert found["head.weight"].shape == (3, 32)
    assert torch.equal(found["whiten.weight"], stored["whiten.weight"].half().float())


def test_weights_that_do_not_fit_or_are_not_there_are_refused(weights, tmp_path):
    with pytest.raises(ValueError, match="mynet has no trained weights in .*: there are none"):
        build_model("mynet", pretrained=True)
    weights("fastnet", width="wide")
    with pytest.raises(ValueError, match="do not fit the network"):
        build_model("fastnet", pretrained=True, width="standard")
    with pytest.raises(ValueError, match="do not fit the network"):
        build_model("fastnet", pretrained=True, in_channels=1)
    (tmp_path / "fastnet.safetensors").rename(tmp_path / "tiny50k.safetensors")
    with pytest.raises(ValueError, match="holds fastnet, not tiny50k"):
        build_model("tiny50k", pretrained=True)


def test_weights_of_another_network_are_refused():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    stored = {key: value + 1 for key, value in model.state_dict().items()}
    stored["1.weight"] = torch.zeros(9, 9)
    with pytest.raises(ValueError, match="1.weight is missing or has another shape"):
        copy_matching(model, stored, may_differ=("0",))
    assert copy_matching(model, stored, may_differ=("1",)) == ["1.weight"]
    assert torch.equal(model[0].weight, stored["0.weight"])
