"""Weak side chains in simulated maps."""

import pytest
import torch
from torch import Generator

from simulation.atoms_to_density import structure_density
from simulation.box import Box
from simulation.side_chains import (
    CARBONYL,
    CARBOXYLATE,
    NEUTRAL,
    PHOSPHATE,
    motion,
    occupancies,
    side_chains_of,
    strengths,
)


@pytest.mark.parametrize(
    ("name", "residue", "kind", "depth", "charge"),
    [
        ("CA", "LYS", "protein", 0, NEUTRAL),
        ("CB", "LYS", "protein", 1, NEUTRAL),
        ("NZ", "LYS", "protein", 5, NEUTRAL),
        ("NH2", "ARG", "protein", 6, NEUTRAL),
        ("O", "GLY", "protein", 0, CARBONYL),
        ("OXT", "GLY", "protein", 0, CARBONYL),
        ("OD2", "ASP", "protein", 3, CARBOXYLATE),
        ("OE1", "GLU", "protein", 4, CARBOXYLATE),
        ("OE1", "GLN", "protein", 4, NEUTRAL),
        ("OP1", "DG", "nucleic", 0, PHOSPHATE),
        ("C5'", "DG", "nucleic", 0, NEUTRAL),
        ("CHA", "HEM", "ligand", 0, NEUTRAL),
    ],
)
def test_depth_and_charge_by_name(name, residue, kind, depth, charge):
    assert side_chains_of([name], [residue], [kind])[:, 0].tolist() == [depth, charge]


def test_motion_grows_outward_and_is_each_residues_own():
    depths = torch.tensor([0, 1, 2, 6, 0, 1, 2, 6]).byte()
    residues = torch.tensor([0] * 4 + [1] * 4).int()
    b = motion(depths, residues, torch.full((8,), 0.5), 100.0, Generator().manual_seed(1))
    assert b[0] == b[4] == 0
    assert (b[1:4].diff() > 0).all() and (b[5:].diff() > 0).all()
    # One factor a residue.
    assert torch.allclose(b[5:] / b[1:4], (b[5] / b[1]).expand(3))
    assert abs(float(b[5] / b[1]) - 1) > 0.01


def test_mobile_residues_move_more():
    many = torch.arange(2000).int()
    ranks = (many % 2).float()
    b = motion(torch.full((2000,), 3).byte(), many, ranks, 100.0, Generator().manual_seed(2))
    assert float(b[ranks == 1].mean() / b[ranks == 0].mean()) == pytest.approx(3, rel=0.15)


def test_charged_oxygens_show_least_and_the_main_chain_in_full():
    depths = torch.tensor([0, 0, 4, 0, 1]).byte()
    charges = torch.tensor([NEUTRAL, CARBONYL, CARBOXYLATE, PHOSPHATE, NEUTRAL]).byte()
    residues = torch.zeros(5).int()
    drawn = torch.stack(
        [occupancies(depths, charges, residues, Generator().manual_seed(i)) for i in range(200)]
    )
    assert (drawn[:, 0] == 1).all()
    assert drawn.min() >= 0 and drawn.max() <= 1
    main, carbonyl, acid, phosphate, beta = drawn.mean(dim=0)
    assert 0.1 < min(acid, carbonyl) < max(acid, carbonyl) < 0.27 < 0.5 < min(beta, phosphate) < 0.85 < main


def test_strengths_are_each_residues_own_and_alike_along_the_chain():
    residues = torch.arange(3000).repeat_interleave(2)
    drawn = torch.stack([strengths(residues, Generator().manual_seed(i)).log() for i in range(60)])
    assert torch.equal(drawn[:, ::2], drawn[:, 1::2])
    by_residue = drawn[:, ::2]
    assert float(by_residue.std(dim=1).max()) == pytest.approx(0.24, abs=0.02)
    variance, neighbours, far = (
        float((by_residue[:, n:] * by_residue[:, : 3000 - n]).mean()) for n in (0, 1, 9)
    )
    # A share that is a mean over nine residues has eight of them in common with the next one's.
    assert neighbours == pytest.approx(8 / 9 * 0.12**2 / 3, rel=0.25)
    assert variance == pytest.approx((0.22**2 + 0.12**2) / 3, rel=0.25)
    assert far == pytest.approx(0, abs=0.0005)


def test_an_atom_of_no_occupancy_is_not_there():
    box = Box((24, 24, 24))
    positions, numbers = torch.tensor([[8.0, 9, 10], [14, 13, 12]]), torch.tensor([6, 8]).byte()
    b = torch.full((2,), 40.0)
    both = structure_density(positions, numbers, b, box, torch.tensor([1.0, 0.0]))
    one = structure_density(positions[:1], numbers[:1], b[:1], box)
    assert torch.allclose(both, one, atol=1e-4)
