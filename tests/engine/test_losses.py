"""The parts of the training loss, on numbers one can add up by hand."""

import pytest
import torch

from training.losses import (
    CONTENT,
    adversarial_loss,
    correlation_loss,
    inner_correlation_loss,
    sum_of_squares,
)


def test_losses_by_hand():
    target = torch.zeros(1, 1, 2, 2, 2)
    target[0, 0, 0] = 1
    known = torch.ones_like(target)
    assert float(sum_of_squares(target + 0.5, target, known)) == pytest.approx(8 * 0.25)
    assert float(correlation_loss(3 * target - 1, target, known)) == pytest.approx(0, abs=1e-4)
    assert float(correlation_loss(-target, target, known)) == pytest.approx(2, abs=1e-4)
    assert float(correlation_loss(target, torch.zeros_like(target), known)) == 0
    inside = torch.zeros(1, 1, 2, 2, 3)
    inside[0, 0, :, :, 1:] = torch.rand(2, 2, 2) + 0.1
    noisy = inside + torch.tensor([9.0, 0, 0])  # wrong outside only
    assert float(correlation_loss(noisy, inside, torch.ones_like(inside))) > 1
    assert float(inner_correlation_loss(noisy, inside, torch.ones_like(inside))) == pytest.approx(0, abs=1e-4)
    assert float(adversarial_loss(torch.tensor([[0.0, 0.0]]))) == pytest.approx(-0.5)


@pytest.mark.parametrize("name", [*CONTENT, "correlation", "inner_correlation"])
def test_what_is_not_known_changes_no_loss_and_batches_add_up(name):
    loss = {**CONTENT, "correlation": correlation_loss, "inner_correlation": inner_correlation_loss}[name]
    output, target = torch.rand(4, 1, 4, 4, 4), torch.rand(4, 1, 4, 4, 4)
    known = (torch.rand(4, 1, 4, 4, 4) > 0.3).float()
    target[3] = 0  # nothing in it
    whole = float(loss(output, target, known))
    other = torch.where(known > 0, output, 99.0)
    assert float(loss(other, target, known)) == pytest.approx(whole, rel=1e-4)
    halves = [float(loss(output[i : i + 2], target[i : i + 2], known[i : i + 2])) for i in (0, 2)]
    assert sum(halves) / 2 == pytest.approx(whole, rel=1e-5)
