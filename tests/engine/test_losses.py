"""The parts of the training loss, on numbers one can add up by hand."""

import pytest
import torch

from training.losses import adversarial_loss, correlation_loss, inner_correlation_loss, sum_of_squares


def test_losses_by_hand():
    target = torch.zeros(1, 1, 2, 2, 2)
    target[0, 0, 0] = 1
    assert float(sum_of_squares(target + 0.5, target)) == pytest.approx(8 * 0.25)
    assert float(correlation_loss(3 * target - 1, target)) == pytest.approx(0, abs=1e-4)
    assert float(correlation_loss(-target, target)) == pytest.approx(2, abs=1e-4)
    assert float(correlation_loss(target, torch.zeros_like(target))) == 0
    inside = torch.zeros(1, 1, 2, 2, 3)
    inside[0, 0, :, :, 1:] = torch.rand(2, 2, 2) + 0.1
    noisy = inside + torch.tensor([9.0, 0, 0])  # wrong outside only
    assert float(correlation_loss(noisy, inside)) > 1
    assert float(inner_correlation_loss(noisy, inside)) == pytest.approx(0, abs=1e-4)
    assert float(adversarial_loss(torch.tensor([[0.0, 0.0]]))) == pytest.approx(-0.5)
