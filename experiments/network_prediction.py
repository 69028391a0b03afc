"""A saved network put to use on pictures, in the way its training read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed

from deep.data import Images, at_stored_size
from deep.export import load_onnx
from deep.weights import SavedModel, load_saved
from experiments.answers import SHOWN_CLASSES, Answer, check_any_left, skip_or_raise
from experiments.cnn import class_scores, pick_device
from experiments.network_data import read_picture
from scenes.dataset import progress
from scenes.reading import UnreadableImage

# Pictures of the network's size that are in memory at a time.
_CHUNK_BYTES = 2**27


@dataclass(frozen=True)
class NetworkModel:
    """A network of a saved run, and the device it computes on."""

    saved: SavedModel
    device: torch.device

    def predict(
        self,
        images: Mapping[str, Path] | Mapping[str, Path | np.ndarray],
        *,
        skip_unreadable: bool = False,
        n_jobs: int | None = None,
    ) -> list[Answer]:
        """An answer for each image, in order. Unreadable ones raise, or are skipped and said so.

        Images are paths or pixels. They get the network's size as in training: larger ones are shrunk,
        smaller ones enlarged, on the device if all have one size, else rounded to whole grey levels. A
        picture smaller than the network's input may therefore get slightly other probabilities beside
        pictures of other sizes.
        """
        found: dict[str, Answer] = {}
        small: dict[str, np.ndarray] = {}  # what becomes of them depends on the others
        names, size = list(images), self.saved.input_size[1:]
        step = max(1, _CHUNK_BYTES // int(np.prod(self.saved.input_size)))
        bar = progress((), total=len(names), description="predicting")
        with bar, Parallel(n_jobs=n_jobs or -1, prefer="threads") as parallel:
            for chunk in _chunks(names, step):
                whole: dict[str, np.ndarray] = {}
                looks = parallel(delayed(self._read)(images[name]) for name in chunk)
                for name, pixels in zip(chunk, looks, strict=True):
                    if isinstance(pixels, UnreadableImage):
                        skip_or_raise(pixels, skip_unreadable)
                    else:
                        (whole if pixels.shape[:2] == size else small)[name] = pixels
                found |= self._answers(whole)
                bar.update(len(chunk))
        check_any_left([*found, *small])
        alike = not found and len({pixels.shape for pixels in small.values()}) == 1
        for chunk in _chunks(list(small), step):
            pictures = {name: small[name] for name in chunk}
            if not alike:
                rule = self.saved.resize
                pictures = {
                    name: at_stored_size(pixels, size, rule, enlarge=True)
                    for name, pixels in pictures.items()
                }
            found |= self._answers(pictures)
        return [found[name] for name in names if name in found]

    def _read(self, path: Path | np.ndarray) -> np.ndarray | UnreadableImage:
        try:
            return read_picture(path, self.saved.input_size, self.saved.resize)
        except UnreadableImage as error:
            return error

    def _answers(self, pictures: Mapping[str, np.ndarray]) -> dict[str, Answer]:
        if not pictures:
            return {}
        images = Images.of(np.stack(list(pictures.values())), np.zeros(len(pictures), np.int64))
        scores = class_scores(self.saved, images, self.device, self.saved.recipe.get("views", 1))
        if not np.isfinite(scores).all():
            raise ValueError("the network's outputs are no numbers: train it again")
        # stable: among equal probabilities the first class, as in the run
        best = np.argsort(-scores, axis=1, kind="stable")[:, :SHOWN_CLASSES]
        classes = self.saved.classes
        return {
            name: Answer(name, tuple((classes[c], float(row[c])) for c in order))
            for name, row, order in zip(pictures, scores, best, strict=True)
        }


def load_network(path: Path, device: str | None = None) -> NetworkModel:
    """The network in a ``model.safetensors`` or an ``.onnx`` file, on a device (the GPU where there is one).

    ONNX runs on the processor.

    Raises
    ------
    FileNotFoundError, ValueError
        What `load_saved`, `load_onnx` and `pick_device` refuse; a network for images of neither one channel
        nor three.
    """
    is_onnx = path.suffix.lower() == ".onnx"
    if is_onnx and device not in (None, "cpu"):
        raise ValueError(f"{path}: an ONNX file runs on the processor: leave --device out")
    chosen = torch.device("cpu") if is_onnx else pick_device(device)
    saved = load_onnx(path) if is_onnx else load_saved(path)
    if saved.input_size[0] not in (1, 3):
        channels = saved.input_size[0]
        raise ValueError(f"{path}: takes {channels} channels, pictures have 1 or 3: give another model")
    return NetworkModel(saved, chosen)


def _chunks(names: list[str], step: int) -> list[list[str]]:
    return [names[start : start + step] for start in range(0, len(names), step)]
