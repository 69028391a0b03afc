"""The tables of network experiments: every row can be trained, and the reports' figures are theirs."""

import subprocess
import sys

import pytest

from experiments.network_tables import (
    FAMILIES,
    GROUPS,
    NETWORK_EXPERIMENTS,
    R1_EPOCHS,
    R1_MODELS,
    R1_TABLE_EPOCHS,
    expanded,
    measured_accuracies,
)
from experiments.tables import EXPERIMENTS, Row, write_rows

SETTINGS = [(each, setting) for each in NETWORK_EXPERIMENTS.values() for setting in each.settings]


def reported(experiment: str) -> dict[str, dict]:
    return {s.label: dict(s.reported) for s in NETWORK_EXPERIMENTS[experiment].settings if s.reported}


def test_tables_are_read_without_torch():
    code = "import experiments.network_tables, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(("experiment", "setting"), SETTINGS, ids=lambda each: getattr(each, "label", ""))
def test_a_setting_names_a_network_its_options_a_recipe_and_its_fields(experiment, setting):
    import torch

    from deep.zoo import MODELS, build_model
    from experiments.network_data import set_of
    from experiments.network_runs import chosen_recipe

    recipe = chosen_recipe(setting)
    assert recipe.name == setting.recipe
    assert {name: getattr(recipe, name) for name in setting.changes} == dict(setting.changes)
    assert set(setting.options) <= set(MODELS[setting.model].options)
    with torch.device("meta"):
        build_model(setting.model, **setting.options)
    assert experiment.dataset in (set_of(setting.model), "scene15")
    assert set(setting.reported) <= set(experiment.metrics)
    assert chosen_recipe(setting, lite=True).total_epochs == 1


def test_labels_and_file_names_are_unique_in_an_experiment():
    for experiment in NETWORK_EXPERIMENTS.values():
        for names in ([s.label for s in experiment.settings], [s.slug for s in experiment.settings]):
            assert len(set(names)) == len(names), experiment.name


def test_groups_hold_known_experiments_and_all_holds_each_once():
    for names in GROUPS.values():
        assert set(names) <= {*EXPERIMENTS, *NETWORK_EXPERIMENTS, *FAMILIES}
    assert list(GROUPS) == ["r1-tiny", "r1-bow", "r1-cnn", "r2", "r3", "r4", "r5", "own", "compare", "all"]
    assert expanded(["all"]) == [*EXPERIMENTS, *NETWORK_EXPERIMENTS, *FAMILIES]
    assert expanded(["r4", "r4-digits", "r1-tiny"]) == [
        "r1-tiny-k", "r1-tiny-norms", "r1-tiny-tune", "r4-digits", "r4-merged", "r4-options",
    ]  # fmt: skip


def test_r1_figures_are_those_of_its_table():
    names = ("train accuracy", "select accuracy", "train loss", "select loss", "accuracy")
    assert reported("r1-cnn-final") == {
        "mynet, own recipe": dict(zip(names, (0.97840, 0.88980, 0.06605, 0.39247, 0.8898), strict=True)),
        "resnet18, 30 epochs": dict(zip(names, (0.98415, 0.89860, 0.05136, 0.40423, 0.8918), strict=True)),
        "resnet18, own recipe": dict(zip(names, (0.98415, 0.89860, 0.05136, 0.40423, 0.8918), strict=True)),
        "resnet18, own recipe, longer, on all 20,000": {"train accuracy": 0.98415, "accuracy": 0.8918},
    }
    found = {label: figures["accuracy"] for label, figures in reported("r1-cnn-table").items()}
    assert found["vgg16, rotation"] == 0.825 and found["vgg16_wide, rotation"] == 0.8316
    assert found["googlenet, both"] == 0.8898 and found["densenet, both"] == 0.876
    assert not any(label.startswith(("vgg19", "lenet", "alexnet")) for label in found)


def test_r1_compares_eleven_networks_and_four_augmentations_at_equal_epochs():
    from deep.recipes import RECIPES
    from experiments.network_runs import chosen_recipe

    settings = NETWORK_EXPERIMENTS["r1-cnn-table"].settings
    assert len(settings) == 44 and {s.model for s in settings} == set(R1_MODELS)
    recipes = [chosen_recipe(s) for s in settings]
    assert {recipe.total_epochs for recipe in recipes} == {R1_TABLE_EPOCHS}
    kinds = [(recipe.flip, recipe.rotate) for recipe in recipes[:4]]
    assert kinds == [("none", 0), ("none", 15), ("random", 0), ("random", 15)]
    final = NETWORK_EXPERIMENTS["r1-cnn-final"]
    assert final.course_split
    recipes = {setting.label: chosen_recipe(setting) for setting in final.settings}
    r1 = RECIPES["r1"].changed(epochs=R1_EPOCHS, size_limit=80_000_000)
    assert recipes["resnet18, 30 epochs"] == r1
    assert recipes["resnet18, own recipe"].total_epochs == 30
    assert recipes["resnet18, own recipe, longer, on all 20,000"].total_epochs == 36
    assert recipes["mynet, own recipe"].total_epochs == 16


def test_r2_varies_what_it_varied():
    changes = {n: [dict(s.changes) for s in NETWORK_EXPERIMENTS[n].settings] for n in ("r2-lr", "r2-dropout")}
    assert changes["r2-lr"] == [{"lr": 1.0}, {"lr": 0.01}, {"lr": 0.001}]
    assert changes["r2-dropout"] == [{"dropout": rate} for rate in (0.1, 0.3, 0.5, 0.7)]
    assert reported("r2-lenet") == reported("r2-lr") == reported("r2-dropout") == {}


def test_r3_figures_are_those_of_its_table():
    names = ("train accuracy", "accuracy", "epoch seconds", "parameters")
    assert reported("r3-networks") == {
        "plain": dict(zip(names, (1.0, 0.6622, 1.15, 704_842), strict=True)),
        "separable": dict(zip(names, (0.9622, 0.5301, 1.12, 104_106), strict=True)),
        "residual": dict(zip(names, (0.8014, 0.7197, 1.15, 706_954), strict=True)),
    }
    left_out = [dict(s.options) for s in NETWORK_EXPERIMENTS["r3-ablation"].settings]
    assert left_out == [{}, {"dropout": 0.0}, {"skips": False}, {"dropout": 0.0, "skips": False}]


def test_the_projects_own_networks_have_three_seeds_and_fit_on_all_their_images():
    from experiments.network_runs import chosen_recipe

    for name in ("own-fastnet", "own-tiny50k"):
        for each in NETWORK_EXPERIMENTS[name].settings:
            # of the weights that come with the project there is one training
            seeds = (0,) if each.label == "fastnet, wide, longer" else (0, 1, 2)
            assert each.seeds == seeds and chosen_recipe(each).fit_all and not each.reported


def test_what_whole_trainings_of_a_network_reached_on_the_same_images(tmp_path):
    from dataclasses import replace

    row = Row("r3-networks", "R3", "plain", "cifar10", "print", "0", "accuracy", "", "0.6622", "5000", "1",
              *[""] * 6)  # fmt: skip
    others = [replace(row, seeds="1", measured="0.7"), replace(row, seeds="0 1", n_seeds="2"),
              replace(row, fingerprint="other"), replace(row, metric="train accuracy"),
              replace(row, setting="50k"), replace(row, seeds="2", status="failed")]  # fmt: skip
    write_rows(tmp_path / "r3-networks.csv", [row, *others, replace(row, measured="0.6")])
    # of a part of the training images
    write_rows(tmp_path / "r1-cnn-table.csv", [replace(row, setting="mynet, both")])
    write_rows(tmp_path / "r3-ablation.csv", [replace(row, setting="without skips", measured="0.4")])
    (tmp_path / "r3-own.csv").write_text("damaged")
    # options that a recipe brings are options too, and merged classes are another task
    write_rows(tmp_path / "r4-options.csv", [replace(row, setting="batch norm", measured="0.5")])
    write_rows(tmp_path / "r4-merged.csv", [replace(row, setting="4 classes", measured="0.8")])

    def found(model, options=None, course_split=False, merge=()):
        options, where = options or {}, {"course_split": course_split, "results": tmp_path, "merge": merge}
        return sorted(measured_accuracies(model, options, "print", **where))

    assert found("mnist_conv3") == [] and found("mnist_conv3", {"batch_norm": True}) == [0.5]
    assert found("mnist_conv3", merge=((0, 6), (1, 7), (2, 3, 5, 8), (4, 9))) == [0.8]
    assert found("cifar_plain") == [0.6, 0.7] and found("cifar_plain", course_split=True) == []
    assert found("cifar_residual") == [] and found("cifar_residual", {"skips": False}) == [0.4]
    assert found("mynet") == [] == found("mynet", course_split=True)


def test_r4_reports_no_figure_and_r5_those_of_its_variants():
    assert reported("r4-digits") == reported("r4-merged") == {}
    found = {label: figures["accuracy"] for label, figures in reported("r5-variants").items()}
    assert found == {
        "alexnet_227": 0.70, "alexnet_227_conv4": 0.73, "alexnet_227_conv3": 0.67,
        "alexnet_227_conv3, conv3_out=384": 0.67, "alexnet_227_fc2": 0.6173, "alexnet_227_fc1": 0.5659,
        "alexnet_227_leaky": 0.6282,
    }  # fmt: skip
    best = {label: figures["accuracy"] for label, figures in reported("r5-bce").items()}
    assert best == {"alexnet_227, BCE": 0.80, "alexnet_227_conv3, BCE": 0.8136}
