"""Muon for convolutions against torch's own for matrices, and that its checkpoints work."""

import torch
from torch import nn

from training.muon import Muon, orthogonal


def test_singular_values_come_near_one_and_directions_stay():
    matrix = torch.randn(6, 40, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    for given, wanted in ((matrix, u @ v), (matrix.T, (u @ v).T)):
        found = orthogonal(given)
        values = torch.linalg.svdvals(found)
        assert values.min() > 0.6 and values.max() < 1.25
        assert torch.corrcoef(torch.stack([found.ravel(), wanted.ravel()]))[0, 1] > 0.97


def test_a_kernel_moves_as_torch_moves_the_same_matrix():
    rng = torch.Generator().manual_seed(2)
    start = 0.1 * torch.randn(4, 3, 2, 2, 2, generator=rng)
    kernel, matrix = nn.Parameter(start.clone()), nn.Parameter(start.flatten(1).clone())
    mine = Muon([kernel], 1e-2, weight_decay=0.1)
    theirs = torch.optim.Muon([matrix], 1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        gradient = torch.randn(start.shape, generator=rng)
        kernel.grad, matrix.grad = gradient.clone(), gradient.flatten(1).clone()
        mine.step()
        theirs.step()
    moved = [(p.detach().flatten() - start.flatten()) for p in (kernel, matrix)]
    assert torch.allclose(*moved, atol=0.02 * float(moved[1].abs().max()))  # torch rounds to bfloat16


def test_what_is_no_matrix_moves_as_adamw_moves_it():
    rng = torch.Generator().manual_seed(3)
    biases = [nn.Parameter(torch.ones(5)) for _ in range(2)]
    pair = Muon([biases[0]], 1e-2), torch.optim.AdamW([biases[1]], 1e-2)
    for _ in range(3):
        gradient = torch.randn(5, generator=rng)
        for bias, optimiser in zip(biases, pair, strict=True):
            bias.grad = gradient.clone()
            optimiser.step()
    assert torch.equal(*biases)


def test_it_goes_on_from_a_checkpoint():
    gradients = torch.randn(4, 2, 12, generator=torch.Generator().manual_seed(4))

    def steps(weight: nn.Parameter, optimiser: Muon, which: slice) -> None:
        for gradient in gradients[which]:
            weight.grad = gradient.clone()
            optimiser.step()

    whole = nn.Parameter(torch.zeros(2, 12))
    steps(whole, Muon([whole], 1e-2), slice(4))
    parted = nn.Parameter(torch.zeros(2, 12))
    first = Muon([parted], 1e-2)
    steps(parted, first, slice(2))
    second = Muon([parted], 1e-2)
    second.load_state_dict(first.state_dict())
    steps(parted, second, slice(2, 4))
    assert torch.equal(whole, parted)
