"""The one import of torchvision: what it mends, and that it mends nothing else."""

from types import ModuleType

import pytest

from deep._torchvision import load_models, models

MISSING = "operator torchvision::nms does not exist"


def failing(error: Exception, times: int):
    """An import that fails so often before it gives a module."""
    calls: list[str] = []

    def import_module(name: str) -> ModuleType:
        calls.append(name)
        if len(calls) <= times:
            raise error
        return ModuleType(name)

    return import_module, calls


def test_models_are_torchvisions():
    assert models.__name__ == "torchvision.models" and callable(models.resnet18)


def test_a_plain_import_declares_nothing():
    import_module, calls = failing(RuntimeError(MISSING), times=0)
    defined: list = []
    assert load_models(import_module, lambda *given: defined.append(given)).__name__ == "torchvision.models"
    assert (len(calls), defined) == (1, [])


def test_missing_operators_are_declared_and_the_import_tried_again():
    import_module, calls = failing(RuntimeError(MISSING), times=1)
    defined: list = []
    assert load_models(import_module, lambda *given: defined.append(given)).__name__ == "torchvision.models"
    assert calls == ["torchvision.models"] * 2
    assert [name for name, _ in defined] == ["torchvision::nms", "torchvision::qnms"]


@pytest.mark.parametrize(
    "error", [RuntimeError("out of memory"), ImportError(MISSING), ModuleNotFoundError("no torchvision")]
)
def test_other_errors_pass_through(error):
    import_module, calls = failing(error, times=1)
    with pytest.raises(type(error), match=str(error)):
        load_models(import_module, lambda *given: pytest.fail("declared something"))
    assert len(calls) == 1


def test_a_second_failure_passes_through():
    import_module, calls = failing(RuntimeError(MISSING), times=2)
    with pytest.raises(RuntimeError, match="nms"):
        load_models(import_module, lambda *given: None)
    assert len(calls) == 2
