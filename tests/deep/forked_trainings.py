"""Trainings in child processes of one that has only imported torch: killed and resumed, or several together.

Run as a script by test_training.py: ``forked_trainings.py killed|together FOLDER SEED``; prints JSON. A fork
before torch has started its threads costs milliseconds where a new interpreter costs seconds.
"""

import copy
import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # what optimisers import when first used, here once for all children
from torch import nn

from deep import training
from deep.checkpoints import FILE_NAME
from deep.data import Images, Normalizer, pixel_statistics
from deep.recipes import Recipe
from deep.training import Setup, Trainer

CPU = torch.device("cpu")
KILLS = 5

COMMON = {"epochs": 3, "batch_size": 8, "flip": "random", "translate": 1, "seed": 3}
KILLED = {
    "momentum and dropout": Recipe("r", lr=0.05, nesterov=True, schedule="cosine", dropout=0.3, **COMMON),
    "adam, averaged": Recipe("r", optimizer="adam", lr=0.01, ema=0.9, rotate=10.0, **COMMON),
    "adamw, early stop": Recipe("r", optimizer="adamw", lr=0.05, patience=1, **COMMON | {"epochs": 6}),
    "muon, skipping": Recipe(
        "r",
        optimizer="muon",
        lr=0.1,
        schedule="triangular",
        keep="last",
        resolutions=((8, 1, 1.0), (8, 2, 0.5), (10, 1.5, 0.7)),
        **COMMON | {"flip": "alternating"},
    ),
}
# Without batch norm and dropout, so that one process must see what two see.
TOGETHER = {
    "momentum": Recipe("r", lr=0.05, schedule="cosine", **COMMON),
    "muon, skipping": Recipe(
        "r", optimizer="muon", lr=0.05, resolutions=((10, 1, 1.0), (10, 2, 0.5)), **COMMON
    ),
    "early stop": Recipe("r", optimizer="adam", lr=0.2, patience=1, **COMMON | {"epochs": 8}),
}


def images(n: int, seed: int) -> Images:
    """Noise with a bright half, upper or lower, that tells the class."""
    rng = np.random.default_rng([5, seed])
    pixels, labels = rng.integers(0, 200, (n, 10, 10, 1), np.uint8), np.arange(n) % 2
    for image, label in zip(pixels, labels, strict=True):
        image[5 * label : 5 * label + 5] += 40
    return Images.of(pixels, labels)


def network(*, batch_norm: bool, dropout: float) -> nn.Module:
    norm = nn.BatchNorm2d(6) if batch_norm else nn.Identity()
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), norm, nn.ReLU(), nn.Dropout(dropout),
                         nn.Conv2d(6, 4, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(2), nn.Flatten(),
                         nn.Linear(16, 2))  # fmt: skip


def trainer(recipe: Recipe, folder: Path | None, *, batch_norm=True, rank=0, world=1) -> Trainer:
    torch.manual_seed(recipe.seed)
    fit, select = images(70, 0), images(30, 1)
    return Trainer(
        network(batch_norm=batch_norm, dropout=recipe.dropout or 0.0), recipe, fit, select,
        Normalizer(*pixel_statistics(fit.pixels), (10, 10), CPU), Setup(CPU, "fp32", rank, world),
        folder=folder, checkpoint_seconds=0.0, show_progress=False,
    )  # fmt: skip


def in_child(work) -> int:
    """The id of a child process that does this work and ends."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        torch.set_num_threads(1)
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def train(recipe: Recipe, folder: Path, result: Path, **kwargs) -> None:
    training.LOOK_STEPS = 2  # checkpoints within an epoch of 9 steps
    done = trainer(recipe, folder, **kwargs).run(resume=True)
    digest = hashlib.sha256()
    for name, value in done.model.state_dict().items():
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    history = copy.deepcopy(done.history)
    for row in history:
        del row["seconds"]
    result.write_text(json.dumps([digest.hexdigest(), history, done.epoch, done.reason, done.images]))


def stamp(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def killed(recipe: Recipe, folder: Path, rng: random.Random) -> dict:
    """What a training gives undisturbed, and killed at random moments after a checkpoint each time."""
    calm, hit = folder / "calm.json", folder / "hit.json"
    assert os.waitpid(in_child(lambda: train(recipe, folder / "calm", calm)), 0)[1] == 0
    kills = 0
    while not hit.exists():
        before = stamp(folder / "hit" / FILE_NAME)
        pid = in_child(lambda: train(recipe, folder / "hit", hit))
        if kills < KILLS:
            deadline = time.monotonic() + 10
            while stamp(folder / "hit" / FILE_NAME) == before and time.monotonic() < deadline:
                if hit.exists():
                    break
                time.sleep(0.0005)
            time.sleep(rng.uniform(0, 0.02))
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        assert status in (0, signal.SIGKILL), status
        kills += status == signal.SIGKILL
    return {"calm": json.loads(calm.read_text()), "hit": json.loads(hit.read_text()), "kills": kills}


def member(recipe: Recipe, folder: Path, rank: int, **kwargs) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    train(recipe, folder / "pair", folder / f"pair{rank}.json", rank=rank, world=2, **kwargs)


def together(recipe: Recipe, folder: Path, *, batch_norm: bool) -> dict:
    """What one process gives, and each of two that share every batch."""
    folder.mkdir()
    kwargs = {"batch_norm": batch_norm}
    workers = [in_child(lambda: train(recipe, folder / "one", folder / "one.json", **kwargs))]
    for rank in range(2):
        workers.append(in_child(lambda rank=rank: member(recipe, folder, rank, **kwargs)))
    assert [os.waitpid(pid, 0)[1] for pid in workers] == [0, 0, 0]
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in ("one", "pair0", "pair1")}


if __name__ == "__main__":
    what, where, rng = sys.argv[1], Path(sys.argv[2]), random.Random(int(sys.argv[3]))
    if what == "killed":
        for number in range(len(KILLED)):
            (where / str(number)).mkdir()
        found = {
            name: killed(recipe, where / str(number), rng)
            for number, (name, recipe) in enumerate(KILLED.items())
        }
    else:
        found = {name: together(recipe, where / name, batch_norm=False) for name, recipe in TOGETHER.items()}
        # with batch norm each process has its own statistics: they must still agree when to stop
        found["batch norm"] = together(TOGETHER["early stop"], where / "norm", batch_norm=True)
    print(json.dumps(found))
