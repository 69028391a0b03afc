"""The training loop: passes over the fitted images, checkpoints that survive a kill, a row an epoch.

Time is counted from the first step to the last, augmentation included; evaluation and checkpoints are
outside. With ``torchrun`` each process takes its share of every batch and gradients are added up, so that
the loss is that of one process with the whole batch. Batch norm then normalises over the share of one
process, as is usual; everything else is the same.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from deep.checkpoints import (
    FILE_NAME,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizers,
    save_checkpoint,
)
from deep.data import Images, Normalizer, augmented, resized, step_generator, views_of
from deep.initialization import initialize
from deep.optimizers import lr_factor, make_optimizers, set_rates
from deep.recipes import Recipe

PRECISIONS = ("fp32", "bf16", "fp16")
EVALUATION_BATCH = 500
MEASURED_ROUNDS, MEASURED_SECONDS = (3, 20), 1.0
LOOK_STEPS = 20  # steps between looks at the loss: each waits for the device
BEFORE = 10**9  # stands for an epoch or step before the first

# What a skipped image's last loss is multiplied by, so that it comes back; and the random factor of the rest.
SKIPPED_GROWTH, LOSS_JITTER = 2.0, 0.2


class DivergedError(ValueError):
    """The loss is no longer a number; `row` is that of the epoch it happened in, as far as it came."""

    def __init__(self, message: str, row: dict):
        super().__init__(message)
        self.row = row


@dataclass
class Setup:
    """Where and how exactly a training computes.

    Attributes
    ----------
    device : torch.device
    precision : "fp32", "bf16" or "fp16"
    rank, world : int
        This process and their number, under torchrun.
    """

    device: torch.device
    precision: str = "fp32"
    rank: int = 0
    world: int = 1

    def autocast(self):
        """The context in which the network computes."""
        if self.precision == "fp32":
            return nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype)


@dataclass
class Trained:
    """What a training gave; `model` holds the weights that were kept."""

    model: nn.Module
    history: list[dict]
    epoch: int
    seconds: float
    images: int
    precision: str
    reason: str = "all epochs"
    resumed: bool = False
    diverged_epoch: int | None = None

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class _Pass:
    """One row of the table: at which size, over which share of the images, how much of them."""

    pixels: int | None
    share: float
    part: float


@dataclass
class _State:
    """Where a training stands; saved and restored whole."""

    epoch: int = 0
    step: int = 0
    done_steps: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    images: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    best_epoch: int = 0
    best_score: float = -math.inf
    lowest_loss: float = math.inf
    waited: int = 0
    history: list[dict] = field(default_factory=list)


class Trainer:
    """Trains one network by one recipe.

    Parameters
    ----------
    model : nn.Module, on the CPU
    recipe : Recipe
    fit, select : Images
        Select may be None or empty.
    normalizer : Normalizer
    setup : Setup
    folder : Path or None
        Where checkpoints go; None: nowhere.
    heldout : Images, optional
        Only drawn, never used (`Recipe.heldout_curve`).
    checkpoint_seconds : float
        Between checkpoints within an epoch; one is written after every epoch anyway.
    on_epoch : callables that are given each row of the history
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        fit: Images,
        select: Images | None,
        normalizer: Normalizer,
        setup: Setup,
        *,
        folder: Path | None = None,
        heldout: Images | None = None,
        checkpoint_seconds: float = 120.0,
        on_epoch: Sequence[Callable[[dict], object]] = (),
        show_progress: bool | None = None,
    ):
        check_recipe(model, recipe, len(fit), (fit.pixels.shape[1], *normalizer.size))
        self.recipe, self.setup, self.normalizer, self.folder = recipe, setup, normalizer, folder
        self.fit, self.heldout = fit.on(setup.device), heldout
        self.select = select if select is not None and len(select) else None
        self.checkpoint_seconds, self.on_epoch, self.show_progress = (
            checkpoint_seconds,
            on_epoch,
            show_progress,
        )
        # only a stem that whitens looks at images
        sample = normalizer(fit.pixels[: 1500 if recipe.initialization == "identity" else 1])
        initialize(model, recipe, sample)
        self.model = on_device(model, setup.device)
        self.optimizers = make_optimizers(self.model, recipe)
        self.averaged = copy.deepcopy(self.model).eval() if recipe.ema else None
        self.best: dict[str, torch.Tensor] | None = None
        self.scaler = torch.amp.GradScaler(setup.device.type, enabled=setup.precision == "fp16")
        self.state = _State()
        n = len(fit)
        self.last_loss = torch.full((n,), math.inf)
        # every image's first flip is its own; the largest epoch number stands for "before the first"
        self.visits = torch.randint(0, 2, (n,), generator=step_generator(recipe.seed, BEFORE, 0))
        self.order = self.skipped = torch.arange(0)
        self.passes = _passes(recipe)
        self.steps = [self._steps_of(each) for each in self.passes]
        self._sized: tuple[int | None, torch.Tensor] | None = None

    def run(self, resume: bool = False) -> Trained:
        """Train to the end and return what was kept.

        Raises
        ------
        DivergedError
            The loss is no longer a number; the last checkpoint is kept.
        ValueError
            A damaged checkpoint.
        """
        resumed = resume and self._restore()
        reason = "all epochs"
        with torch.random.fork_rng(devices=self._cuda_devices()):
            while self.state.epoch < len(self.passes):
                # before a pass: a training that had ended so may have been killed before its run was written
                if self.recipe.patience and self.state.waited >= self.recipe.patience:
                    reason = f"no lower select loss for {self.recipe.patience} epochs"
                    break
                self._train_one_pass()
                self._finish_epoch()
        state = self.state
        model = self.averaged if self.averaged is not None else self.model
        epoch = len(state.history)
        if self.recipe.keep == "best" and self.select is not None:
            assert self.best is not None
            model.load_state_dict(self.best)
            epoch = state.best_epoch
        return Trained(model.eval(), state.history, epoch, state.seconds, state.images,
                       self.setup.precision, reason, bool(resumed))  # fmt: skip

    def last_good(self, error: DivergedError) -> Trained:
        """What is left after `error`, asked of a new trainer: the last checkpoint, or the untrained network.

        The history ends with the row of the epoch that diverged; `epoch` counts those before it.
        """
        resumed = self._restore()
        state = self.state
        model = self.averaged if self.averaged is not None else self.model
        before = [row for row in state.history if row["epoch"] < error.row["epoch"]]
        epoch = error.row["epoch"]
        return Trained(model.eval(), [*before, error.row], len(before), state.seconds, state.images,
                       self.setup.precision, f"diverged in epoch {epoch}", bool(resumed), epoch)  # fmt: skip

    # one pass

    def _train_one_pass(self) -> None:
        state, recipe, setup = self.state, self.recipe, self.setup
        each, steps = self.passes[state.epoch], self.steps[state.epoch]
        started = time.perf_counter()
        if state.step == 0:
            self.order, self.skipped = self._draw_order(each)
        whole = self._whole_set(each.pixels)
        total_steps, saved = sum(self.steps), time.monotonic()
        self.model.train()
        bar = tqdm(total=steps * recipe.batch_size, initial=state.step * recipe.batch_size,
                   unit=" images", unit_scale=True, leave=False, disable=self._quiet(),
                   desc=f"epoch {state.epoch + 1}/{len(self.passes)}")  # fmt: skip
        exact = torch.float32 if setup.device.type == "mps" else torch.float64  # which has no float64
        sums = torch.zeros(2, dtype=exact, device=setup.device)
        with bar:
            while state.step < steps:
                rows = self.order[state.step * recipe.batch_size : (state.step + 1) * recipe.batch_size]
                set_rates(self.optimizers, lr_factor(recipe, state.done_steps / total_steps))
                own = self._one_step(rows, whole, sums)
                if self._keeps_losses():
                    self.last_loss[rows] = own
                self.visits[rows] += 1
                state.step += 1
                state.done_steps += 1
                state.seen += len(rows)
                state.images += len(rows)
                bar.update(len(rows))
                if state.step % LOOK_STEPS and state.step < steps:
                    continue
                # only here, so that sums are grouped the same with and without checkpoints
                self._take_sums(sums)
                bar.set_postfix(loss=f"{state.loss_sum / state.seen:.3f}")
                if self._is_due(saved) and state.step < steps:
                    spent = time.perf_counter() - started
                    state.seconds, state.epoch_seconds = state.seconds + spent, state.epoch_seconds + spent
                    self._save()
                    started, saved = time.perf_counter(), time.monotonic()
        spent = time.perf_counter() - started
        state.seconds, state.epoch_seconds = state.seconds + spent, state.epoch_seconds + spent

    def _one_step(self, rows: torch.Tensor, whole: torch.Tensor | None, sums: torch.Tensor) -> torch.Tensor:
        """One update; adds loss and hits of this process to `sums` and returns the losses of the batch."""
        recipe, setup, state = self.recipe, self.setup, self.state
        generator = step_generator(recipe.seed, state.epoch, state.step)
        # dropout draws from torch's own generator
        torch.manual_seed(int(torch.randint(0, 2**31, (1,), generator=generator)) + setup.rank)
        where = rows.to(self.fit.pixels.device)
        if whole is None:
            values = self.normalizer(self.fit.pixels[where])
        else:
            values = whole[where.to(whole.device)].to(setup.device)
        # a shift of 2 of 32 pixels is one of 1 of 20, and still 2 of 24
        reach = round(recipe.translate * max(values.shape[-2:]) / max(self.normalizer.size) + 0.1)
        values = augmented(values, recipe, generator, self.visits[rows], translate=reach)
        labels = self.fit.labels[where].to(setup.device)
        mine = slice(setup.rank, None, setup.world)
        values, labels = values[mine].contiguous(memory_format=torch.channels_last), labels[mine]
        with setup.autocast():
            outputs = self.model(values)
        each = losses_of(outputs.float(), labels, recipe)
        loss = each.sum() if recipe.optimizer == "muon" else each.sum() / len(rows)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if setup.world > 1:
            _add_up_gradients(self.model)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
        if self.averaged is not None:
            _average(self.averaged, self.model, recipe.ema)
        with torch.no_grad():
            sums += torch.stack([each.sum().to(sums), (outputs.argmax(1) == labels).sum().to(sums)])
        if not self._keeps_losses():
            return each.detach()
        losses = each.new_zeros(len(rows), dtype=torch.float32)
        losses[mine] = each.detach().float()
        if setup.world > 1:
            torch.distributed.all_reduce(losses)
        return losses.cpu()

    def _take_sums(self, sums: torch.Tensor) -> None:
        """Move sums from the device to the state; a loss or weight that is no number ends the training."""
        if self.setup.world > 1:
            torch.distributed.all_reduce(sums)
        loss, correct = sums.tolist()
        sums.zero_()
        self.state.loss_sum += loss
        self.state.correct += int(correct)
        # the weights too: a checkpoint comes next, and must not put broken ones in place of good ones
        finite = torch.stack([torch.isfinite(weight).all() for weight in self.model.parameters()]).all()
        if not (math.isfinite(self.state.loss_sum) and finite):
            kept = self.folder if self.folder and (self.folder / FILE_NAME).is_file() else None
            row = {**self._row(), "train_loss": math.nan}
            raise DivergedError(
                f"the loss diverged in epoch {row['epoch']}: try a lower --lr "
                f"(now {self.recipe.lr:g})"
                + (f"; the last good checkpoint is {kept / FILE_NAME}" if kept else ""), row
            )  # fmt: skip

    def _is_due(self, saved: float) -> bool:
        # processes look at different clocks: several save only after an epoch
        late = time.monotonic() - saved > self.checkpoint_seconds
        return late and self.folder is not None and self.setup.world == 1

    def _draw_order(self, each: _Pass) -> tuple[torch.Tensor, torch.Tensor]:
        """Which images this pass shows, in order, and which it leaves out: the easiest, if so asked."""
        generator = step_generator(self.recipe.seed, self.state.epoch, BEFORE)
        n = len(self.fit)
        if each.share < 1:
            count = max(self.recipe.batch_size, round(n * each.share))
            jitter = 1 + LOSS_JITTER * torch.rand(n, generator=generator)
            # images without a loss yet come first, in any order
            ranked = (self.last_loss.clamp(max=1e30) * jitter).argsort(descending=True, stable=True)
            chosen, skipped = ranked[:count], ranked[count:]
        else:
            chosen, skipped = torch.arange(n), torch.arange(0)
        order = chosen[torch.randperm(len(chosen), generator=generator)]
        return order[: max(self.recipe.batch_size, round(len(order) * each.part))], skipped

    def _whole_set(self, pixels: int | None) -> torch.Tensor | None:
        """All fitted images, normalised at this size, resized once a phase; None: batch by batch."""
        if pixels is None:
            return None
        if self._sized is None or self._sized[0] != pixels:
            self._sized = None
            size = _at_size(self.normalizer.size, pixels)
            half = torch.float32 if self.setup.precision == "fp32" else torch.bfloat16
            parts = [
                resized(self.normalizer(self.fit.pixels[start : start + 2000]), size).to(half)
                for start in range(0, len(self.fit), 2000)
            ]
            self._sized = (pixels, torch.cat(parts).contiguous(memory_format=torch.channels_last))
        return self._sized[1]

    def _steps_of(self, each: _Pass) -> int:
        batch, n = self.recipe.batch_size, len(self.fit)
        count = n if each.share == 1 else max(batch, round(n * each.share))
        count = max(batch, round(count * each.part))
        full, rest = divmod(count, batch)
        # an incomplete batch would get too large a step under a summed loss, and one image has no variance
        return full + (rest >= 2 * self.setup.world and self.recipe.optimizer != "muon")

    def _keeps_losses(self) -> bool:
        return any(each.share < 1 for each in self.passes)

    # after a pass

    def _finish_epoch(self) -> None:
        state = self.state
        if self._keeps_losses():
            self.last_loss[self.skipped] *= SKIPPED_GROWTH
        row = self._row()
        model = self.averaged if self.averaged is not None else self.model
        for name, images in (("select", self.select), ("heldout", self.heldout)):
            if images is not None and len(images):
                outputs = predict_logits(model, images, self.normalizer, self.setup)
                row[f"{name}_loss"] = mean_loss(outputs, images.labels, self.recipe)
                row[f"{name}_accuracy"] = float((outputs.argmax(1) == images.labels.cpu()).double().mean())
        if self.setup.world > 1:
            # batch norm's statistics are each process's own: all go by the first one's figures
            names = [name for name in row if "select" in name or "heldout" in name]
            names = [name for name in names if row[name] is not None]
            figures = torch.tensor([row[name] for name in names], device=self.setup.device)
            torch.distributed.broadcast(figures, src=0)
            row |= dict(zip(names, figures.tolist(), strict=True))
        state.history.append(row)
        if self.select is not None:
            self._note_select(row, model)
        for listener in self.on_epoch if self.setup.rank == 0 else ():
            listener(row)
        state.epoch, state.step = state.epoch + 1, 0
        state.loss_sum, state.correct, state.seen, state.epoch_seconds = 0.0, 0, 0, 0.0
        self._save()

    def _row(self) -> dict:
        """The row of the history that the pass gives so far, parts that are only looked at left out."""
        state = self.state
        looked = ("select_loss", "select_accuracy", "heldout_loss", "heldout_accuracy")
        return {
            "epoch": state.epoch + 1,
            "train_loss": state.loss_sum / state.seen,
            "train_accuracy": state.correct / state.seen,
            **dict.fromkeys(looked),
            "lr": self.optimizers[0].param_groups[0]["lr"],
            "seconds": round(state.epoch_seconds, 3),
        }

    def _note_select(self, row: dict, model: nn.Module) -> None:
        state = self.state
        if row["select_accuracy"] > state.best_score:
            state.best_score, state.best_epoch = row["select_accuracy"], row["epoch"]
            if self.recipe.keep == "best":
                self.best = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        state.waited = 0 if row["select_loss"] < state.lowest_loss else state.waited + 1
        state.lowest_loss = min(state.lowest_loss, row["select_loss"])

    def _save(self) -> None:
        if self.folder is None or self.setup.rank:
            return
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        if self.averaged is not None:
            tensors |= {f"averaged.{name}": value for name, value in self.averaged.state_dict().items()}
        if self.best is not None:
            tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= optimizer_tensors(self.optimizers)
        # within a pass the order is kept too: the losses it was drawn by have changed since
        tensors |= {name: getattr(self, name) for name in ("last_loss", "visits", "order", "skipped")}
        state = {**vars(self.state), "precision": self.setup.precision, "threads": torch.get_num_threads()}
        state["scaler"] = self.scaler.state_dict()
        save_checkpoint(self.folder, tensors, state)

    def _restore(self) -> bool:
        found = load_checkpoint(self.folder) if self.folder else None
        if found is None:
            return False
        tensors, state = found

        def part(name: str) -> dict[str, torch.Tensor]:
            return {
                key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(name + ".")
            }

        try:
            self.model.load_state_dict(part("model"))
            if self.averaged is not None:
                self.averaged.load_state_dict(part("averaged"))
            self.best = part("best") or None
            restore_optimizers(self.optimizers, tensors)
            if state["scaler"]:
                self.scaler.load_state_dict(state["scaler"])
            if not len(tensors["last_loss"]) == len(tensors["visits"]) == len(self.fit):
                raise ValueError("another number of images")
            self.last_loss, self.visits = tensors["last_loss"], tensors["visits"]
            self.order, self.skipped = tensors["order"], tensors["skipped"]
            self.state = _State(**{name: state[name] for name in vars(_State())})
            threads = int(state["threads"])
        except (RuntimeError, ValueError, KeyError, TypeError):
            raise ValueError(
                f"the checkpoint in {self.folder} is of another model: remove it or start without --resume"
            ) from None
        # sums are grouped by threads: the same number gives the same weights
        if threads > 0 and threads != torch.get_num_threads():
            torch.set_num_threads(threads)
        return True

    def _quiet(self) -> bool | None:
        if self.setup.rank:
            return True
        return None if self.show_progress is None else not self.show_progress

    def _cuda_devices(self) -> list[int]:
        device = self.setup.device
        return [device.index or 0] if device.type == "cuda" else []


def on_device(model: nn.Module, device: torch.device) -> nn.Module:
    """The network there, its weights laid out channels last, which convolutions are fastest in."""
    model.to(device)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def losses_of(outputs: torch.Tensor, labels: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """The loss of each image, float32 (n,)."""
    if recipe.loss == "bce":
        targets = F.one_hot(labels, outputs.shape[1]).to(outputs.dtype)
        targets = targets * (1 - recipe.label_smoothing) + recipe.label_smoothing / outputs.shape[1]
        return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(1)
    return F.cross_entropy(outputs, labels, reduction="none", label_smoothing=recipe.label_smoothing)


def mean_loss(outputs: torch.Tensor, labels: torch.Tensor, recipe: Recipe) -> float:
    """The mean loss of a part, without label smoothing."""
    return float(losses_of(outputs, labels.cpu(), recipe.changed(label_smoothing=0.0)).double().mean())


@torch.no_grad()
def predict_logits(
    model: nn.Module, images: Images, normalizer: Normalizer, setup: Setup, views: int = 1
) -> torch.Tensor:
    """Outputs of a network, float32 (n, classes) on the CPU; of several views the weighted mean."""
    was_training = model.training
    model.eval()
    # few large images at a time, many small ones
    batch = max(
        1, min(EVALUATION_BATCH, EVALUATION_BATCH * 32 * 32 * 4 // (normalizer.size[0] * normalizer.size[1]))
    )
    parts = []
    for start in range(0, len(images), batch):
        values = normalizer(images.pixels[start : start + batch])
        total: torch.Tensor | float = 0.0
        for weight, view in views_of(values, views):
            with setup.autocast():
                outputs = model(view.contiguous(memory_format=torch.channels_last))
            total = total + weight * outputs.float()
        parts.append(torch.as_tensor(total).cpu())
    model.train(was_training)
    return torch.cat(parts) if parts else torch.empty(0, 0)


def faster_precision(model: nn.Module, values: torch.Tensor, recipe: Recipe, device: torch.device) -> str:
    """The precision in which a step of this network is fastest on this device, by a short measurement.

    Half precision must win by a tenth. Both are timed in turn, and the best of each counts, so that other
    work on the machine meets both. `values` is a normalised batch; the network is left as it was.
    """
    half = "fp16" if device.type == "cuda" and not torch.cuda.is_bf16_supported() else "bf16"
    if device.type == "mps":
        return "fp32"
    best = {"fp32": math.inf, half: math.inf}
    steps = {precision: _step(model, values, recipe, Setup(device, precision)) for precision in best}
    started, rounds = time.perf_counter(), 0
    with torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else []):
        while rounds < MEASURED_ROUNDS[0] or (
            rounds < MEASURED_ROUNDS[1] and time.perf_counter() - started < MEASURED_SECONDS
        ):
            for precision, step in steps.items():
                try:
                    best[precision] = min(best[precision], step())
                except RuntimeError:  # an operation this processor has not in half precision
                    if precision == "fp32":
                        raise
                    return "fp32"
            rounds += 1
    return half if best[half] < 0.9 * best["fp32"] else "fp32"


def _step(model: nn.Module, values: torch.Tensor, recipe: Recipe, setup: Setup) -> Callable[[], float]:
    """A function that takes one step forward and back with a copy of the network and returns its seconds."""
    trial = on_device(copy.deepcopy(model), setup.device).train()
    labels = torch.zeros(len(values), dtype=torch.int64, device=setup.device)
    values = values.to(setup.device).contiguous(memory_format=torch.channels_last)

    def step() -> float:
        started = time.perf_counter()
        with setup.autocast():
            outputs = trial(values)
        losses_of(outputs.float(), labels, recipe).mean().backward()
        if setup.device.type == "cuda":
            torch.cuda.synchronize(setup.device)
        return time.perf_counter() - started

    return step


def _passes(recipe: Recipe) -> list[_Pass]:
    phases: Sequence[tuple[int | None, float, float]] = recipe.resolutions or ((None, recipe.epochs, 1.0),)
    passes = []
    for pixels, epochs, share in phases:
        # a phase that was stretched to 1.9999999 or 2.0000001 epochs has two passes
        whole = int(epochs + 1e-6)
        passes += [_Pass(pixels, share, 1.0)] * whole
        if epochs - whole > 1e-6:
            passes.append(_Pass(pixels, share, epochs - whole))
    return passes


@torch.no_grad()
def check_recipe(model: nn.Module, recipe: Recipe, n_images: int, input_size: tuple[int, int, int]) -> None:
    """ValueError, before any step, for a batch above the number of images or a phase of a wrong size."""
    if recipe.batch_size > n_images:
        raise ValueError(
            f"a batch of {recipe.batch_size} is larger than the {n_images} images to fit: give --batch-size "
            f"{n_images} or less"
        )
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    for pixels in sorted({phase[0] for phase in recipe.resolutions}):
        height, width = _at_size(input_size[1:], pixels)
        try:
            model(torch.zeros(1, input_size[0], height, width, device=device))
        except RuntimeError:
            raise ValueError(
                f"this network cannot take images of {height}x{width}: leave out that phase of `resolutions`"
            ) from None
    model.train(was_training)


def _at_size(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    """The network's size with its longer side brought to `pixels`."""
    longest = max(size)
    return (round(size[0] * pixels / longest), round(size[1] * pixels / longest))


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    for old, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


def _add_up_gradients(model: nn.Module) -> None:
    """The sum of all processes' gradients, in one message."""
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    torch.distributed.all_reduce(flat)
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].reshape(gradient.shape))
        start += gradient.numel()
