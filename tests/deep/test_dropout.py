"""Dropout on the CPU: the rate, the mean, the seed, the layout, and what is left to torch."""

import numpy as np
import pytest
import torch
from torch import nn

from deep.zoo._dropout import Dropout, dropout


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_share_of_the_values_is_0_and_the_mean_stays(rate, layout):
    torch.manual_seed(1)
    values = torch.ones(64, 16, 20, 20).contiguous(memory_format=layout)
    out = dropout(values, rate, training=True)
    n = values.numel()
    spread = (rate * (1 - rate) / n) ** 0.5
    assert abs(float((out == 0).double().mean()) - rate) < 5 * spread + 2**-16
    assert torch.allclose(out[out != 0], torch.tensor(1 / (1 - rate)), rtol=1e-4)
    assert out.stride() == values.stride()


def test_values_fall_out_independently_of_each_other():
    torch.manual_seed(2)
    kept = (dropout(torch.ones(400, 1000), 0.3, training=True) != 0).double().numpy()
    for other in (np.roll(kept, 1, axis=1), np.roll(kept, 4, axis=1), np.roll(kept, 1, axis=0)):
        assert abs(np.corrcoef(kept.ravel(), other.ravel())[0, 1]) < 0.01
    assert abs(kept.mean(axis=0) - 0.7).max() < 0.15 and abs(kept.mean(axis=1) - 0.7).max() < 0.1


def test_it_follows_torchs_seed():
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([dropout(torch.ones(100), 0.5, training=True) for _ in range(2)])

    assert torch.equal(drawn(3), drawn(3)) and not torch.equal(drawn(3), drawn(4))
    first, second = drawn(3).split(100)
    assert not torch.equal(first, second)


def test_gradients_pass_where_values_do():
    torch.manual_seed(0)
    values = torch.randn(50, 7, requires_grad=True)
    out = dropout(values, 0.4, training=True)
    out.sum().backward()
    assert torch.equal(values.grad == 0, out == 0)


@pytest.mark.parametrize("shape", [(0, 3), (1,), (3,), (5, 7), (2, 3, 4, 5)])
def test_any_shape_and_values_that_are_not_dense(shape):
    whole = torch.ones(*shape, 2)
    assert dropout(whole[..., 0], 0.5, training=True).shape == shape


def test_in_evaluation_and_at_rate_0_nothing_changes():
    values = torch.randn(9)
    assert dropout(values, 0.5, training=False) is values and dropout(values, 0.0, training=True) is values
    assert Dropout(0.5).eval()(values) is values


def test_the_module_is_torchs_by_name():
    assert repr(Dropout(0.25)) == repr(nn.Dropout(0.25))
