"""Recipes: what a setting may be, how one is written on the shell, which belongs to which network."""

import dataclasses
import json

import pytest
import torch

from deep import MODELS, build_model
from deep.recipes import (
    LIMITED,
    RECIPES,
    SIZE_LIMIT,
    Recipe,
    find_recipe,
    recipe_for,
    with_settings,
)

PLAIN = Recipe("plain")


@pytest.mark.parametrize("name", RECIPES)
def test_every_row_goes_by_its_name_and_is_json(name):
    recipe = find_recipe(name)
    assert recipe.name == name
    assert set(json.loads(json.dumps(recipe.as_json()))) == {f.name for f in dataclasses.fields(recipe)}
    assert recipe.total_epochs > 0


def test_the_reports_own_settings():
    expected = {
        "r1": ("sgd", 0.05, 0.9, 5e-4, "cosine", 40, 128, "best"),
        "r2-lenet": ("sgd", 0.1, 0, 0, "constant", 10, 128, "last"),
        "r2-alexnet": ("sgd", 0.01, 0, 0, "constant", 10, 128, "last"),
        "r3": ("adam", 1e-3, 0.9, 0, "constant", 30, 256, "last"),
        "r4": ("adam", 1e-3, 0.9, 0, "constant", 10, 20, "last"),
        "r5": ("adam", 1e-4, 0.95, 5e-4, "constant", 10, 128, "last"),
    }
    fields = ("optimizer", "lr", "momentum", "weight_decay", "schedule", "epochs", "batch_size", "keep")
    found = {name: tuple(getattr(RECIPES[name], field) for field in fields) for name in expected}
    assert found == expected


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("lr=0.2", "lr", 0.2),
        ("batch_size=7", "batch_size", 7),
        ("optimizer=adamw", "optimizer", "adamw"),
        ("heldout_curve=true", "heldout_curve", True),
        ("nesterov=False", "nesterov", False),
        ("dropout=0.3", "dropout", 0.3),
        ("dropout=none", "dropout", None),
        ("batch_norm=true", "batch_norm", True),
        ("size_limit=none", "size_limit", None),
        ("size_limit=1000", "size_limit", 1000),
        ("views=6", "views", 6),
        ("resolutions=20:3,24:0.5@0.85", "resolutions", ((20, 3.0, 1.0), (24, 0.5, 0.85))),
        ("resolutions=", "resolutions", ()),
        ("merge=0+6,1+7,2+3+5+8,4+9", "merge", ((0, 6), (1, 7), (2, 3, 5, 8), (4, 9))),
    ],
)
def test_a_setting_is_read_as_its_field_is_meant(setting, field, value):
    changed = with_settings(PLAIN, [setting])
    assert getattr(changed, field) == value and type(getattr(changed, field)) is type(value)
    assert dataclasses.replace(changed, **{field: getattr(PLAIN, field)}) == PLAIN


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("momentun=0.5", "momentum"),
        ("weightdecay=1", "weight_decay"),
        ("name=x", "has no 'name'"),
        ("lr", "field=value"),
        ("lr=fast", "give a number"),
        ("lr=nan", "give a number"),
        ("lr=inf", "lr is inf"),
        ("lr=-1", "lr is -1"),
        ("batch_size=1.5", "whole number"),
        ("batch_size=0", "batch_size is 0"),
        ("dropout=1", "dropout is 1"),
        ("optimizer=lbfgs", "sgd, adam, adamw, muon"),
        ("views=3", "1, 2, 6"),
        ("fit_all=1", "true or false"),
        ("merge=0+x", "0+6,1+7"),
        ("resolutions=20", "pixels:epochs"),
        ("resolutions=4:1", "8 to 4096 pixels"),
        ("resolutions=20:nan", "epochs above 0"),
        ("resolutions=20:inf", "epochs above 0"),
        ("resolutions=20:1@0", "share above 0"),
        ("seed=-1", "seed is -1"),
        ("epochs=0", "epochs is 0"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(setting, says):
    with pytest.raises(ValueError, match=".") as refusal:
        with_settings(PLAIN, [setting])
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_decay_that_would_do_nothing_is_refused():
    with pytest.raises(ValueError, match="weight_decay has no meaning with muon"):
        with_settings(find_recipe("fastnet"), ["weight_decay=0.1"])


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean .*r2-lenet"):
        find_recipe("r2-lenett")
    with pytest.raises(ValueError, match=f"did you mean {', '.join(sorted(RECIPES))}"):
        find_recipe("?")


@pytest.mark.parametrize("setting", ["patience=1", "keep=best"])
def test_choosing_where_nothing_is_left_to_choose_on_is_refused(setting):
    with pytest.raises(ValueError, match="fit_all leaves no images to choose an epoch on"):
        with_settings(find_recipe("r3"), [setting])
    assert with_settings(find_recipe("r3"), [setting, "fit_all=false"]).fit_all is False


def test_epochs_stretch_phases():
    fastnet = find_recipe("fastnet")
    twice = with_settings(fastnet, ["epochs=29"])
    assert twice.total_epochs == 29 and twice.resolutions[0] == (20, 6, 1.0)
    assert with_settings(fastnet, ["epochs=9", "resolutions=32:2"]).total_epochs == 2
    assert with_settings(PLAIN, ["epochs=3"]) == PLAIN.changed(epochs=3)


def test_digits_are_mirrored_neither_in_training_nor_in_the_test():
    for model in ("fastnet", "tiny50k", "resnet18"):
        recipe = recipe_for(model, "mnist")
        assert (recipe.flip, recipe.views) == ("none", 1)


@pytest.mark.parametrize(
    ("model", "dataset", "name"),
    [
        ("mynet", "cifar10", "r1"),
        ("resnet18", "cifar10", "r1"),
        ("lenet_32", "cifar10", "r1-no-batch-norm"),
        ("alexnet_32", "cifar10", "r1-no-batch-norm"),
        ("lenet_modern", "fashion_mnist", "r2-lenet"),
        ("lenet_channels64", "fashion_mnist", "r2-lenet"),
        ("alexnet_28_small", "fashion_mnist", "r2-alexnet"),
        ("alexnet_224", "fashion_mnist", "r2-alexnet"),
        ("cifar_50k", "cifar10", "r3"),
        ("mnist_conv3", "mnist", "r4"),
        ("alexnet_227_lrn", "cifar10", "r5"),
        ("fastnet", "cifar10", "fastnet"),
        ("tiny50k", "cifar10", "tiny50k"),
        ("mynet", "scene15", "folder"),
        ("fastnet", "folders", "fastnet-folder"),
        ("tiny50k", "scene15", "tiny50k-folder"),
        ("lenet_modern", "synthetic", "r2-lenet"),
    ],
)
def test_the_recipe_of_a_network_is_its_reports(model, dataset, name):
    assert recipe_for(model, dataset).name == name


def test_every_network_has_a_recipe_and_the_limited_ones_their_limit():
    for model in MODELS:
        assert recipe_for(model, "cifar10").size_limit == (SIZE_LIMIT if model in LIMITED else None) or (
            model not in LIMITED and recipe_for(model, "cifar10").name in ("fastnet", "tiny50k")
        )


def test_a_digit_is_never_mirrored():
    assert recipe_for("mynet", "mnist").flip == "none"
    assert recipe_for("fastnet", "mnist").flip == "none"
    assert recipe_for("mynet", "fashion_mnist").flip == "random"


@pytest.mark.parametrize("model", ["mynet", "resnet18", "lenet_modern", "cifar_plain", "mnist_conv3"])
def test_dropout_loss_and_rate_change_no_count(model):
    def count(recipe):
        with torch.device("meta"):
            network = build_model(model, **recipe.network_options)
        return [tuple(weight.shape) for weight in network.parameters()]

    own = recipe_for(model, "cifar10")
    for setting in ("dropout=0.4", "loss=bce", "lr=0.7", "optimizer=adam"):
        assert count(with_settings(own, [setting])) == count(own)
