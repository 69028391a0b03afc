"""Training settings: named, frozen rows, separate from the networks they train.

A recipe says everything about a training but the network, the data and the device. `RECIPES` holds the
reports' own settings (R1 to R5, where these are silent the choice of the project) and those of the two
networks of the project's own. `recipe_for` finds the row that belongs to a network and a data set.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

SIZE_LIMIT = 80_000_000  # bytes of the float32 file; R1 asks for at most 80 MB

Optimizer = Literal["sgd", "adam", "adamw", "muon"]
Schedule = Literal["constant", "step", "cosine", "one_cycle", "triangular"]
Loss = Literal["cross_entropy", "bce"]
Initialization = Literal["default", "fan_in_fan_out_uniform", "fan_in_normal", "identity"]
Flip = Literal["none", "random", "alternating"]
Views = Literal[1, 2, 6]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Parameters
    ----------
    name : str
    optimizer : "sgd" (momentum, Nesterov), "adam", "adamw" or "muon"
        Muon: convolutions by orthogonalised momentum, all else by SGD with Nesterov momentum
        `momentum_rest` and the rates `lr_bias` and `lr_head`, for a loss summed over the batch.
    lr : float
        Peak learning rate.
    momentum : float
        Of SGD and Muon; beta1 of Adam.
    beta2 : float
        Of Adam.
    weight_decay : float
        On weights, not on norms and biases. L2 for SGD and Adam, decoupled for AdamW; 0 for Muon.
    schedule : "constant", "step", "cosine", "one_cycle" or "triangular"
        Of the learning rate over all steps. step: times `step_factor` every `step_epochs` epochs. cosine:
        down to 0. one_cycle: cosine up over `warmup`, cosine down to 0. triangular: straight up over
        `warmup`, straight down to 0 (with `warmup` 0: straight down).
    epochs : float
        Passes over the fitted images.
    batch_size : int
    loss : "cross_entropy" or "bce"
        bce: binary cross-entropy of one-hot targets, mean over the outputs.
    label_smoothing : float
    initialization : str
        "default" (torch's), "fan_in_fan_out_uniform" (Glorot), "fan_in_normal" (He: std sqrt(2 / fan in)),
        "identity" (convolutions begin as the identity on their first channels; whitens the stem).
    flip : "none", "random" or "alternating" (every second visit of an image)
    translate : int
        Shift by up to so many pixels, the border reflected.
    crop : int
        Pad with so many black pixels and cut the old size out at random.
    rotate : float
        Turn by up to so many degrees.
    scale : float
        Enlarge or shrink by up to this share.
    cutout : int
        Side of a square set to the mean.
    dropout : float or None
        Rate of the network's dropout; None leaves the network's own.
    batch_norm : bool or None
        Batch norm after the convolutions of networks that have none.
    ema : float
        Decay a step of the averaged weights that are evaluated and kept; 0: none.
    resolutions : tuple of (pixels, epochs, share)
        Phases that replace `epochs`: so many passes at so many pixels over the share of images with the
        highest last loss. Empty: full size throughout.
    views : 1, 2 or 6
        Test-time views: the image; and its mirror; and both shifted by one pixel each way.
    patience : int
        Stop when the loss on *select* has not fallen for so many epochs; 0: never.
    keep : "best" (by accuracy on *select*) or "last"
    fit_all : bool
        Fit on *select* too (it is then empty), for a recipe and a number of epochs that are settled.
    heldout_curve : bool
        Draw the held-out curve as well, marked "not used for choosing": the reports' own recipes.
    merge : tuple of tuples of class indices
        Classes taken as one, as R4's (0, 6), (1, 7), (2, 3, 5, 8), (4, 9).
    size_limit : int or None
        Bytes the float32 file may have; None takes the default of the network.
    seed : int
    """

    name: str
    optimizer: Optimizer = "sgd"
    lr: float = 0.05
    momentum: float = 0.9
    momentum_rest: float = 0.85
    lr_bias: float = 0.15
    lr_head: float = 0.67
    beta2: float = 0.999
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    warmup: float = 0.0
    step_epochs: int = 10
    step_factor: float = 0.1
    epochs: float = 10
    batch_size: int = 128
    loss: Loss = "cross_entropy"
    label_smoothing: float = 0.0
    initialization: Initialization = "default"
    flip: Flip = "none"
    translate: int = 0
    crop: int = 0
    rotate: float = 0.0
    scale: float = 0.0
    cutout: int = 0
    dropout: float | None = None
    batch_norm: bool | None = None
    ema: float = 0.0
    resolutions: tuple[tuple[int, float, float], ...] = ()
    views: Views = 1
    patience: int = 0
    keep: Literal["best", "last"] = "best"
    fit_all: bool = False
    heldout_curve: bool = False
    merge: tuple[tuple[int, ...], ...] = ()
    size_limit: int | None = None
    seed: int = 0

    def __post_init__(self):
        for field, low, high in _RANGES:
            value = getattr(self, field)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{field} is {value}: give {low} to {high}")
        if self.fit_all and (self.patience or self.keep == "best"):
            raise ValueError(
                "fit_all leaves no images to choose an epoch on: set keep=last and patience=0 with it, or "
                "fit_all=false"
            )
        if self.optimizer == "muon" and self.weight_decay:
            raise ValueError("weight_decay has no meaning with muon, which sets the length of weights: set 0")
        for pixels, epochs, share in self.resolutions:
            if not (8 <= pixels <= 4096 and 0 < epochs <= 1e6 and 0 < share <= 1):
                raise ValueError(
                    f"resolutions has {pixels}:{epochs:g}@{share:g}: give 8 to 4096 pixels, epochs above 0 "
                    "and a share above 0 and at most 1"
                )

    def changed(self, **fields) -> "Recipe":
        """This recipe with other values in some fields."""
        return dataclasses.replace(self, **fields)

    def lasting(self, epochs: float) -> "Recipe":
        """This recipe for so many epochs, phases shortened or lengthened alike."""
        factor = epochs / self.total_epochs
        phases = tuple((pixels, part * factor, share) for pixels, part, share in self.resolutions)
        return self.changed(epochs=epochs, resolutions=phases)

    def ending_at(self, pixels: int) -> "Recipe":
        """This recipe with its phases in proportion, the last one at so many pixels."""
        if not self.resolutions or self.resolutions[-1][0] == pixels:
            return self
        factor = pixels / self.resolutions[-1][0]
        phases = tuple((max(8, round(side * factor)), part, share) for side, part, share in self.resolutions)
        return self.changed(resolutions=phases)

    @property
    def total_epochs(self) -> float:
        """Passes over the images, those of all phases together."""
        return sum(phase[1] for phase in self.resolutions) if self.resolutions else self.epochs

    @property
    def network_options(self) -> dict:
        """What it changes in the network: dropout and batch norm, where given."""
        given = {"dropout": self.dropout, "batch_norm": self.batch_norm}
        return {name: value for name, value in given.items() if value is not None}

    def as_json(self) -> dict:
        """All fields as JSON knows them."""
        return dataclasses.asdict(self)


_BIG = 1e9
_RANGES: tuple[tuple[str, float, float], ...] = (
    ("lr", 0, _BIG), ("momentum", 0, 0.9999), ("momentum_rest", 0, 0.9999), ("lr_bias", 0, _BIG),
    ("lr_head", 0, _BIG), ("beta2", 0, 0.999999), ("weight_decay", 0, _BIG), ("warmup", 0, 1),
    ("step_epochs", 1, _BIG), ("step_factor", 0, 1), ("epochs", 0.01, 1e6), ("batch_size", 1, 1e6),
    ("label_smoothing", 0, 0.9), ("translate", 0, 512), ("crop", 0, 512), ("rotate", 0, 180),
    ("scale", 0, 0.9), ("cutout", 0, 512), ("dropout", 0, 0.99), ("ema", 0, 0.99999), ("patience", 0, 1e6),
    ("size_limit", 1, 1e12), ("seed", 0, 2**31 - 1),
)  # fmt: skip

R1 = Recipe("r1", lr=0.05, momentum=0.9, weight_decay=5e-4, schedule="cosine", epochs=40, batch_size=128,
            flip="random", rotate=15)  # fmt: skip
# Reports 2 to 5 keep no images back to choose an epoch on, and draw their test curves: here a fixed number of
# epochs, fitted on all training images.
_SETTLED: dict[str, Any] = {"keep": "last", "fit_all": True, "heldout_curve": True}
R2 = Recipe("r2-lenet", lr=0.1, momentum=0, epochs=10, batch_size=128, **_SETTLED,
            initialization="fan_in_fan_out_uniform")  # fmt: skip
R3 = Recipe("r3", optimizer="adam", lr=1e-3, epochs=30, batch_size=256, **_SETTLED)
R4 = Recipe("r4", optimizer="adam", lr=1e-3, epochs=10, batch_size=20, **_SETTLED)
R5 = Recipe("r5", optimizer="adam", lr=1e-4, momentum=0.95, weight_decay=5e-4, epochs=10, batch_size=128,
            initialization="fan_in_normal", **_SETTLED)  # fmt: skip

# The two networks of the project's own: measured choices, see results/.
FASTNET = Recipe(
    "fastnet", optimizer="muon", lr=0.13, momentum=0.6, schedule="triangular", batch_size=500,
    label_smoothing=0.2, initialization="identity", flip="alternating", translate=2,
    resolutions=((20, 3, 1.0), (24, 3, 0.85), (28, 2, 0.7), (32, 6.5, 0.6)), views=6, keep="last",
    size_limit=SIZE_LIMIT,
)  # fmt: skip

# For deep networks on few images of 32x32: beside R1's flip shifts, cutout and smoothed labels, a rate that
# rises and falls, and smaller images first, which cost less (a step's time goes with the area).
CIFAR = Recipe(
    "cifar", lr=0.08, nesterov=True, weight_decay=5e-4, schedule="one_cycle", warmup=0.15, batch_size=128,
    label_smoothing=0.1, flip="alternating", translate=3, cutout=6,
    resolutions=((20, 8, 1.0), (26, 12, 1.0), (32, 10, 1.0)), views=6, keep="last", fit_all=True,
)  # fmt: skip

TINY50K = FASTNET.changed(
    name="tiny50k", label_smoothing=0.05, lr_bias=0.015, lr_head=0.067,
    resolutions=((20, 4, 1.0), (24, 8, 1.0), (32, 16, 1.0)),
)  # fmt: skip
# Folders hold a hundred times fewer images: smaller batches, for as many steps.
_FEW: dict[str, Any] = {"batch_size": 50, "resolutions": (), "epochs": 60}

RECIPES: dict[str, Recipe] = {
    row.name: row
    for row in (
        R1,
        R1.changed(name="r1-no-batch-norm", lr=0.01),
        R1.changed(name="r1-plain", flip="none", rotate=0),
        R1.changed(name="r1-flip", rotate=0),
        R1.changed(name="r1-rotation", flip="none"),
        R2,
        R2.changed(name="r2-alexnet", lr=0.01),
        R3,
        R4,
        R4.changed(name="r4-merged", merge=((0, 6), (1, 7), (2, 3, 5, 8), (4, 9))),
        R5,
        R5.changed(name="r5-bce", loss="bce"),
        CIFAR,
        FASTNET,
        TINY50K,
        FASTNET.changed(name="fastnet-folder", **_FEW),
        TINY50K.changed(name="tiny50k-folder", **_FEW),
        Recipe(
            "folder",
            lr=0.02,
            nesterov=True,
            weight_decay=5e-4,
            schedule="one_cycle",
            warmup=0.2,
            epochs=30,
            batch_size=64,
            flip="random",
            translate=2,
        ),  # fmt: skip
    )
}

# The recipe that belongs to a network, by the longest beginning of its name.
_OF_MODEL = {
    "fastnet": "fastnet", "tiny50k": "tiny50k", "lenet_32": "r1-no-batch-norm", "lenet_": "r2-lenet",
    "alexnet_32": "r1-no-batch-norm", "alexnet_227": "r5", "alexnet_": "r2-alexnet", "cifar_": "r3",
    "mnist_": "r4",
}  # fmt: skip

# Networks whose file R1 wants under the limit, and the project's own; others get a printed verdict.
LIMITED = ("mynet", "resnet18", "googlenet", "densenet", "lenet_32", "fastnet", "tiny50k")


def recipe_for(model: str, dataset: str) -> Recipe:
    """The recipe that belongs to a network and a data set, with the network's size limit."""
    found = max((start for start in _OF_MODEL if model.startswith(start)), key=len, default="")
    name = _OF_MODEL.get(found, "r1")
    if dataset == "scene15" or dataset not in ("cifar10", "mnist", "fashion_mnist"):
        name = {"r1": "folder", "fastnet": "fastnet-folder", "tiny50k": "tiny50k-folder"}.get(name, name)
    recipe = RECIPES[name]
    if dataset == "mnist" and (recipe.flip != "none" or recipe.views > 1):
        recipe = recipe.changed(flip="none", views=1)  # a mirrored digit is another sign
    return limited(recipe, model)


def limited(recipe: Recipe, model: str) -> Recipe:
    """The recipe with the size limit of a network, where it names none."""
    if recipe.size_limit is None and model in LIMITED:
        return recipe.changed(size_limit=SIZE_LIMIT)
    return recipe


def find_recipe(name: str) -> Recipe:
    """The recipe of this name; ValueError with the nearest names."""
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, n=3, cutoff=0.4) or sorted(RECIPES)
    raise ValueError(f"no recipe {name!r}: did you mean {', '.join(near)}?")


def with_settings(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """A recipe with ``field=value`` settings applied.

    Tuples are written as on paper: ``resolutions=20:3,24:3@0.85`` and ``merge=0+6,1+7,2+3+5+8,4+9``. `epochs`
    shortens or lengthens the phases of a recipe that has some.

    Raises
    ------
    ValueError
        An unknown field (the nearest are named), a value of another kind or out of range.
    """
    hints = typing.get_type_hints(Recipe)
    changes = {}
    for setting in settings:
        field, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"--set {setting}: write field=value")
        if field not in hints or field == "name":
            near = difflib.get_close_matches(field, hints, n=3, cutoff=0.4) or [
                h for h in hints if h != "name"
            ]
            raise ValueError(f"--set {setting}: a recipe has no {field!r}: did you mean {', '.join(near)}?")
        try:
            changes[field] = _parse(field, hints[field], text)
        except ValueError as error:
            raise ValueError(f"--set {setting}: {error}") from None
    epochs = None if "resolutions" in changes else changes.pop("epochs", None)
    recipe = recipe.changed(**changes)
    return recipe if epochs is None else recipe.lasting(epochs)


def _parse(field: str, hint, text: str):
    if field == "resolutions":
        return tuple(_phase(part) for part in text.split(",") if part)
    if field == "merge":
        try:
            return tuple(tuple(int(index) for index in part.split("+")) for part in text.split(",") if part)
        except ValueError:
            raise ValueError("write the indices of each class as 0+6,1+7") from None
    if get_origin(hint) is types.UnionType:
        if text.lower() == "none":
            return None
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is Literal:
        known = get_args(hint)
        for value in known:
            if str(value) == text:
                return value
        raise ValueError(f"known are {', '.join(map(str, known))}")
    if hint is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError("give true or false")
        return text.lower() == "true"
    try:
        value = hint(text)
    except ValueError:
        raise ValueError(f"give {'a whole number' if hint is int else 'a number'}") from None
    if value != value:
        raise ValueError("give a number")
    return value


def _phase(text: str) -> tuple[int, float, float]:
    """``24:3@0.85``: pixels, epochs and the share of the images with the highest loss."""
    try:
        pixels, _, rest = text.partition(":")
        epochs, _, share = rest.partition("@")
        return int(pixels), float(epochs), float(share or 1)
    except ValueError:
        raise ValueError(f"{text!r} is no phase: write pixels:epochs or pixels:epochs@share") from None
