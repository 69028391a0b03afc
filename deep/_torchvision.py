"""torchvision.models, imported in one place because it may refuse to be imported.

A torchvision whose compiled operators do not match the installed torch (a CPU torch beside a CUDA
torchvision, say) stops with "operator torchvision::nms does not exist" while it registers shapes for
operators that it could not load. No network here uses them, so their names are declared and the import is
tried once more. Any other failure is passed on.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import torch

_MISSING = "operator torchvision::nms does not exist"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def load_models(
    import_module: Callable[[str], ModuleType] = importlib.import_module,
    define: Callable[[str, str], object] = torch.library.define,
) -> ModuleType:
    """Return ``torchvision.models``, declaring the operators that a mismatched build misses.

    Parameters
    ----------
    import_module, define : callable
        Taken as they are; a test gives others.

    Raises
    ------
    ImportError, RuntimeError
        torchvision is missing, or is broken in another way than the one described above.
    """
    try:
        return import_module("torchvision.models")
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise
    for name in ("torchvision::nms", "torchvision::qnms"):
        define(name, _SCHEMA)
    return import_module("torchvision.models")


models = load_models()
