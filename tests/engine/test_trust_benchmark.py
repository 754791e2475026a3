"""The benchmark's truth: what a result made on purpose keeps is what it is said to keep."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_models import model_at
from scipy import ndimage

import benchmark_q
from cryomap.atoms import Residue
from cryomap.density import DensityMap
from cryomap.enhancement.sharpen import sharpened
from cryomap.grid import Grid
from cryomap.metrics.changes import MoleculeChange, MoleculeChanges
from cryomap.trust.judgement import Trust
from cryomap.trust.lost import Region
from trust_benchmark.complexes import Complex, signal_of, target_of, without
from trust_benchmark.figures import summary
from trust_benchmark.tally import Truth, count, lost_atoms
from trust_benchmark.truth import Change, atoms_of, change, components, kept_shares, ordinary_residues

SHAPE = (48, 36, 36)
COUNT = 36  # a lattice of carbons, and after it the one atom in question
LIGAND = np.array([COUNT])
ORDINARY = [np.array([0]), np.array([35])]


def made(element: int, b_factor: float, resolution: float) -> Complex:
    """A lattice with an atom of an element beside it, and its noiseless map at a resolution."""
    lattice = 10 + 3.0 * np.argwhere(np.ones((3, 3, 4)))
    model = model_at(np.vstack([lattice, [[22.0, 13.0, 16.0]]]), z=np.array([6] * COUNT + [element]))
    z, y, x = (np.fft.fftfreq(n) for n in SHAPE)
    squares = z[:, None, None] ** 2 + y[:, None] ** 2 + np.abs(x[: SHAPE[2] // 2 + 1]) ** 2
    passes = (np.sqrt(squares) < 1 / resolution).astype(np.float32)
    empty = DensityMap(np.zeros(SHAPE, np.float32), Grid(SHAPE))
    b_factors = np.full(len(model), b_factor, np.float32)
    complex_ = Complex(model, SHAPE, b_factors, passes, resolution, empty, None, "made")
    empty.values[...] = signal_of(complex_, np.ones(len(model), bool))
    return complex_


def drawn(complex_: Complex, without_parts=(), share: float = 1.0, blur: float = 0.0, shift: int = 0):
    """What a network gives that keeps a share of the atom in question, blurred and shifted (voxels): all much sharper
    than the input."""
    sharp = replace(complex_, b_factors=0 * complex_.b_factors + 25, transfer=np.ones_like(complex_.transfer))
    ligand = signal_of(sharp, atoms_of(complex_.model, [LIGAND]))
    ligand = np.roll(ndimage.gaussian_filter(ligand, blur), shift, axis=2)
    present = not any(LIGAND[0] in part for part in without_parts)
    rest = signal_of(sharp, ~atoms_of(complex_.model, [LIGAND, *without_parts]))
    return (rest + share * present * ligand).clip(0)


def measured(complex_: Complex, first: np.ndarray, second: np.ndarray) -> float:
    """The share of the atom in question that is said to be kept."""
    results = tuple(DensityMap(values, Grid(SHAPE)) for values in (first, second))
    return float(kept_shares(complex_, change(complex_, results, [LIGAND], ORDINARY), [LIGAND])[0])


@pytest.mark.parametrize("share", [1.0, 0.7, 0.3, 0.0])
@pytest.mark.parametrize("resolution", [3.0, 6.0])
def test_a_share_is_what_it_was_made_to_be(share, resolution):
    complex_ = made(8, 8 * resolution**2, resolution)
    first, second = drawn(complex_, share=share), drawn(complex_, [LIGAND, *ORDINARY])
    kept = measured(complex_, first, second)
    assert kept == pytest.approx(share, abs=0.1)
    sharp = [sharpened(values, 25, 3.0) for values in (first, second)]
    assert measured(complex_, *sharp) == pytest.approx(share, abs=0.1)
    assert measured(complex_, first, 0.5 * second) == pytest.approx(kept, abs=0.05)


def test_a_heavy_ion_at_the_end_of_what_a_result_can_show_is_kept():
    """A result ends at 1, which the iodide alone would pass twofold."""
    complex_ = made(53, 100, 3.5)
    everything = target_of(complex_, ~atoms_of(complex_.model, []))
    second = target_of(complex_, ~atoms_of(complex_.model, [LIGAND, *ORDINARY]))
    assert everything.max() > 1.5
    assert measured(complex_, everything.clip(0, 1), second.clip(0, 1)) > 0.7


def test_what_is_drawn_of_another_shape_is_kept():
    """At 6 A a network knows no atoms' places: a blob an A and a half away is the ligand's density."""
    complex_ = made(16, 300, 6.0)
    first = drawn(complex_, blur=1.2, shift=1)
    assert measured(complex_, first, drawn(complex_, [LIGAND, *ORDINARY])) > 0.7


def test_what_is_there_without_the_input_is_not_kept():
    """Density that the result has at the place anyway comes from elsewhere."""
    complex_ = made(8, 100, 3.5)
    first, second = drawn(complex_), drawn(complex_, ORDINARY)
    assert measured(complex_, first, second) == pytest.approx(0, abs=0.1)


def test_without_leaves_all_else_of_a_masked_map():
    complex_ = made(8, 100, 3.5)
    mask = np.zeros(SHAPE, np.float32)
    mask[:, :, :24] = 1
    masked = replace(complex_.observed, values=complex_.observed.values * mask)
    ligand = atoms_of(complex_.model, [LIGAND])
    left = without(replace(complex_, observed=masked, mask=mask), ligand).values
    assert left == pytest.approx(signal_of(complex_, ~ligand) * mask, abs=1e-5)
    positive = replace(masked, values=masked.values.clip(0))
    assert without(replace(complex_, observed=positive, mask=mask), ligand).values.min() == 0


def test_a_region_keeps_what_the_signal_in_it_keeps():
    of_input = np.full((4, 4, 4), 2.0, np.float32)
    of_result = of_input * np.linspace(0, 0.9, 4, dtype=np.float32)
    region = np.array([[0, 0, 0], [3, 3, 1]])
    assert Change(of_input, of_result, 0.5).share_in(region) == pytest.approx((0 + 0.3) / 2 / 0.5)
    assert Change(0 * of_input, of_result).share_in(region) == 1


def test_ordinary_residues_are_polymers_and_apart():
    positions = np.array([[0.0, 0, 0], [3, 0, 0], [20, 0, 0], [24, 0, 0], [28.5, 0, 0]])
    kinds = ("protein", "ligand", "protein", "nucleic", "water")
    residues = tuple(Residue("A", n, "", "X", kind) for n, kind in enumerate(kinds))
    model = model_at(positions, residues=residues, owners=list(range(5)))
    found = ordinary_residues(model, components(model), torch.Generator().manual_seed(0))
    assert [part.tolist() for part in components(model)] == [[1], [4]]
    assert len(found) == 1 and found[0].tolist() in ([2], [3])


def test_what_is_found_missed_and_made_up_is_counted():
    complex_ = made(16, 60, 3.5)
    kinds = [*["protein"] * COUNT, "ligand"]
    residues = tuple(Residue("A", n, "", "X", kind) for n, kind in enumerate(kinds))
    model = model_at(complex_.model.positions, z=complex_.model.atomic_numbers, residues=residues)
    complex_ = replace(complex_, model=replace(model, residue_indices=np.arange(len(model), dtype=np.int32)))
    kept = np.ones(COUNT + 1)
    kept[COUNT] = 0.2
    truth = Truth(kept, [], lost_atoms(complex_, kept, 2.0))
    at, elsewhere = (
        Region((0, 0, 0), 10.0, 6.0, 0.8, voxels=np.array([place], np.int32))
        for place in ([16, 13, 22], [40, 30, 30])
    )

    def tally(lost, rows=()):
        changes = MoleculeChanges(tuple(rows))
        return count(complex_, truth, Trust(0.9, 3.5, 1.0, 5.0, lost, (), molecules=changes), 0.0, 1e-3)[0]

    row = MoleculeChange(str(residues[COUNT]), "ligand", (0.7, 0.5), (0.8, 0.6), ("Q fell by 0.20",))
    both, neither, named = tally((at, elsewhere)), tally(()), tally((), [row])
    assert [case.found for case in both.clear] == [True] and both.false == 1 and not both.missed
    assert (
        [case.found for case in neither.clear] == [False] and neither.false == 0 and len(neither.missed) == 1
    )
    figures = summary([both, neither, named])
    assert figures["clear_ligand"] == "1 of 3, 1 named" and figures["false_per_map"] == pytest.approx(1 / 3)
    assert figures["recall_clear"] == pytest.approx(1 / 3)
    assert figures["recall_clear_or_named"] == pytest.approx(2 / 3)
    kept[COUNT] = 0.8
    assert tally((), [row]).rows_kept == 1 and not tally(()).clear


def test_the_benchmark_of_q_says_what_it_can_not_use(tmp_path, capsys):
    for folder, told in (
        (tmp_path / "none", "no such folder"),
        (tmp_path, "no complex of at most 12000 atoms"),
    ):
        words = [folder, tmp_path / "q.json", "--method", "superem"]
        assert benchmark_q.main(list(map(str, words))) == 2
        assert capsys.readouterr().err.startswith(f"{folder}: {told}")
    assert not (tmp_path / "q.json").exists()
