"""How a map shows its model: what was put into a made map is found again."""

from dataclasses import replace

import pytest
import torch
from training_data import made_structure

import compare_simulation
from simulation.atoms_to_density import structure_density
from simulation.box import Box
from simulation.experiment import Experiment, simulate
from simulation.likeness import MODEL_B, likeness
from simulation.settings import Settings

BOX = Box((64, 64, 64))
ATOMS = made_structure(2000)
ATOMS = replace(ATOMS, positions=ATOMS.positions + 20).chosen(torch.arange(len(ATOMS)) < 1000)
# Main chain (its last atom a carbonyl oxygen), C beta, gamma and two beyond, of which one an acid's oxygen.
CLASSES = torch.arange(1000) % 8
ATOMS = replace(
    ATOMS,
    depths=torch.tensor([0, 0, 0, 0, 1, 2, 3, 3]).byte()[CLASSES],
    charges=torch.tensor([0, 0, 0, 1, 0, 0, 0, 2]).byte()[CLASSES],
)


def shown(weights: torch.Tensor, noise: float = 0.0) -> Experiment:
    """A map of the atoms at such strengths, with white noise of so many times its own deviation."""
    b = torch.full((len(ATOMS),), MODEL_B)
    density = BOX.real(structure_density(ATOMS.positions, ATOMS.atomic_numbers, b, BOX, weights))
    rng = torch.Generator().manual_seed(0)
    density = density + noise * density.std() * torch.randn(BOX.shape, generator=rng)
    return Experiment(density, density, 3.0, "", ATOMS)


def test_a_perfect_map_shows_all_of_its_model():
    found = likeness(shown(torch.ones(len(ATOMS))))
    assert found["correlation 10 A"] == pytest.approx(1, abs=1e-3)
    assert found["correlation 4 A"] == pytest.approx(1, abs=1e-3)
    assert found["CB 7-4.5 A"] == pytest.approx(1, abs=0.05)
    assert found["acid O 4.5-3.2 A"] == pytest.approx(1, abs=0.05)
    assert max(value for name, value in found.items() if name.startswith("left over")) < 0.05


def test_weak_atoms_are_found_weak():
    weights = torch.ones(len(ATOMS))
    weights[ATOMS.charges == 1] = 0.3
    weights[ATOMS.depths == 1] = 0.6
    found = likeness(shown(weights))
    chosen = {name: value for name, value in found.items() if name.endswith((" 7-4.5 A", " 4.5-3.2 A"))}
    assert chosen["carbonyl O 7-4.5 A"] == pytest.approx(0.3, abs=0.1)
    assert chosen["carbonyl O 4.5-3.2 A"] == pytest.approx(0.3, abs=0.1)
    assert chosen["gamma 4.5-3.2 A"] == pytest.approx(1, abs=0.1)


def test_noise_is_left_over_and_lowers_the_correlation():
    """White noise of the signal's own deviation, over what the model explains at its atoms."""
    weights = torch.ones(len(ATOMS))
    clean, noisy = likeness(shown(weights)), likeness(shown(weights, noise=1.0))
    assert noisy["correlation 4 A"] < clean["correlation 4 A"] - 0.02
    assert noisy["left over 4-7 A"] > 10 * clean["left over 4-7 A"]
    assert noisy["kurtosis"] == pytest.approx(0, abs=0.15)


def test_simulated_maps_give_figures_and_real_ones_outside_get_a_star():
    made = [
        likeness(simulate([made_structure()], Settings(box=48), torch.Generator().manual_seed(i)))
        for i in range(3)
    ]
    outside = {key: value + 100 for key, value in made[0].items()}
    lines = compare_simulation.table(made, {"EMD-1": made[0], "EMD-2": outside})
    assert lines[0].split()[-2:] == ["EMD-1", "EMD-2"]
    assert len(lines) == 1 + len(set().union(*made))
    assert all(line.endswith("*") for line in lines[1:] if not line.rstrip().endswith("-"))
