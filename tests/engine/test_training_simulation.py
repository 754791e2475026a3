"""The simulated experiments against independent programs and the equations they follow."""

import math
from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch
from training_data import made_structure

from cryomap.atoms import KINDS, AtomicModel, Residue
from cryomap.grid import Grid
from cryomap.simulate import structure_factor_map
from simulation import degrade, ions, surroundings
from simulation.atoms_to_density import (
    displaced_volumes,
    scattering_weights,
    spread,
    structure_density,
    target_density,
)
from simulation.box import Box
from simulation.experiment import scaled, simulate, target_of
from simulation.randomness import rotation
from simulation.scene import middle_atom, zone_of
from simulation.settings import Settings, settings_of
from simulation.structures import POLYMERS, WATER, join
from training.stream import Mixed, SimulatedCubes

BOX, BOX_64 = Box((48, 48, 48)), Box((64, 64, 64))
S = BOX.frequencies


def inner_atoms(n=60):
    rng = torch.Generator().manual_seed(3)
    positions = 16 + 16 * torch.rand(n, 3, generator=rng)
    numbers = torch.tensor([6, 7, 8, 16])[torch.randint(4, (n,), generator=rng)].byte()
    return positions, numbers, 20 + 60 * torch.rand(n, generator=rng)


def test_spread_keeps_mass_and_place():
    position = torch.tensor([[20.3, 21.7, 24.1]])
    out = spread(position, torch.tensor([5.0]), torch.tensor([1.1]), BOX)
    axes = torch.meshgrid(*[torch.arange(n).float() for n in BOX.shape], indexing="ij")
    centre = torch.stack([(out * a).sum() for a in axes]) / out.sum()
    assert float(out.sum()) == pytest.approx(5.0, rel=0.01)
    assert torch.allclose(centre, position[0], atol=0.02)


def test_spread_takes_the_inside_part_of_an_atom_outside():
    inside = spread(torch.tensor([[1.0, 20.0, 20.0]]), torch.ones(1), torch.ones(1), BOX)
    outside = spread(torch.tensor([[-1.0, 20.0, 20.0]]), torch.ones(1), torch.ones(1), BOX)
    assert torch.allclose(outside[0], inside[2], atol=1e-6)
    assert torch.isfinite(outside).all() and float(outside[30:].abs().max()) == 0


def test_structure_density_agrees_with_the_structure_factors():
    """cryomap.simulate sums the same form factors through gemmi, by another way."""
    positions, numbers, b = inner_atoms()
    mine = BOX.real(structure_density(positions, numbers, b, BOX) * (S <= 1 / 3))
    n = len(positions)
    model = AtomicModel(
        positions.numpy()[:, ::-1].astype(float),
        numbers.numpy(),
        b.numpy().astype(float),
        np.ones(n),
        np.full(n, "C"),
        np.full(n, ""),
        np.zeros(n, np.int32),
        (Residue("A", 1, "", "UNK", "protein"),),
    )
    reference = structure_factor_map(model, Grid(BOX.shape), 3.0).values
    assert np.corrcoef(mine.numpy().ravel(), reference.ravel())[0, 1] > 0.998


def test_displaced_ice_is_taken_away_at_low_resolution_alone():
    """At s = 0 a carbon lacks the ice it is in the place of; beyond 3 A hardly anything."""
    carbon = (torch.full((1, 3), 24.0), torch.tensor([6]).byte(), torch.tensor([40.0]), BOX)
    vacuum = structure_density(*carbon)
    ice = structure_density(*carbon, displaced=torch.tensor([9.5]))
    water = 2 * 0.529 + 1.983  # A, f(0) of H and O
    per_volume = water / (18.015 / 6.022e23 / 0.93 * 1e24)
    assert float((vacuum - ice)[0, 0, 0].real) == pytest.approx(9.5 * per_volume, rel=0.02)
    far = (S > 0.34) & (S < 0.45)
    assert float((ice / vacuum)[far].real.min()) > 0.9
    half = structure_density(*carbon, torch.tensor([0.5]), torch.tensor([9.5]))
    assert torch.allclose(half, ice / 2, atol=1e-4)


def test_side_chains_displace_more_than_they_scatter():
    """Contrast with ice at s = 0, over the atom's own f(0): the main chain's carbons keep most of theirs."""
    numbers, depths = torch.tensor([6, 6, 7, 8]).byte(), torch.tensor([0, 2, 0, 0]).byte()
    scattered = torch.tensor([2.509, 2.509, 2.211, 1.983])
    left = 1 - 0.0945 * displaced_volumes(numbers, depths) / scattered
    assert left[3] < left[1] < min(left[0], left[2]) < 0.7


def test_target_is_a_gaussian_of_the_asked_width():
    out = target_density(torch.tensor([[24.0, 24.0, 24.0]]), torch.tensor([12.0]), 0.9, BOX)
    assert float(out[24, 24, 24]) == pytest.approx(2.0, rel=0.03)
    assert float(out[24, 24, 26] / out[24, 24, 24]) == pytest.approx(
        math.exp(-0.5 * (2 / 0.9) ** 2), rel=0.05
    )


def test_target_can_weigh_atoms_as_electrons_see_them():
    """At 4 A against gemmi's form factors; elements of ions alone keep their atomic numbers."""
    numbers = torch.tensor([6, 7, 8, 15, 16, 12, 30]).byte()
    scattered = [gemmi.Element(int(z)).c4322.calculate_sf(1 / (4 * 4.0**2)) for z in numbers]
    weights = scattering_weights(numbers)
    assert weights[:5].tolist() == pytest.approx([6 * f / scattered[0] for f in scattered[:5]], rel=1e-4)
    assert weights[5:].tolist() == [12, 30]
    oxygen = replace(made_structure(), atomic_numbers=torch.full((len(made_structure()),), 8).byte())
    by_number, by_scattering = (
        target_of(oxygen, Settings(target_weights=name), BOX, 4.0) for name in ("number", "scattering")
    )
    assert torch.allclose(by_scattering, by_number * weights[2] / 8, atol=1e-5) and float(by_number.max()) > 1


def test_target_has_no_detail_finer_than_asked():
    """A Butterworth filter of order 6: half the power at 2.7 A, all of it from 4 A on."""
    # So many that the filter's ripples stay above 0, where targets are cut.
    atoms = 48 * torch.rand(20000, 3, generator=torch.Generator().manual_seed(1)), torch.full((20000,), 6.0)
    full, faded = (
        torch.fft.rfftn(target_density(*atoms, 0.9, BOX, low_pass)).abs() for low_pass in (0.0, 2.7)
    )
    for d, left in ((2.4, 0.442), (2.7, 0.707), (4.0, 0.996)):
        shell = (S - 1 / d).abs() < 0.005
        assert float(faded[shell].mean() / full[shell].mean()) == pytest.approx(left, abs=0.03)


def test_noise_gives_the_fsc_it_was_made_for():
    """Correlation with the noise-free map in a shell is sqrt(SNR / (1 + SNR)), SNR = 2 FSC / (1 - FSC)."""
    rng = torch.Generator().manual_seed(5)
    positions = 48 * torch.rand(2500, 3, generator=rng)
    signal = structure_density(positions, torch.full((2500,), 6).byte(), torch.full((2500,), 40.0), BOX)
    fsc = degrade.half_map_fsc(S, 4.0, 8.0)
    observed = signal + degrade.noise(signal, fsc, 1.0, BOX, rng)
    for s in (0.15, 0.25, 0.3):
        shell = (S - s).abs() < 0.015
        cross = (observed[shell] * signal[shell].conj()).real.sum()
        found = cross / (observed[shell].abs() ** 2).sum().sqrt() / (signal[shell].abs() ** 2).sum().sqrt()
        half = float(degrade.half_map_fsc(torch.tensor(s), 4.0, 8.0))
        ratio = 2 * half / (1 - half)
        assert float(found) == pytest.approx(math.sqrt(ratio / (1 + ratio)), abs=0.05)


def test_the_unexplained_has_the_signals_amplitude_where_the_molecule_is():
    rng = torch.Generator().manual_seed(6)
    positions = 14 + 20 * torch.rand(1200, 3, generator=rng)
    carbons = (torch.full((1200,), 6).byte(), torch.full((1200,), 40.0))
    signal = structure_density(positions, *carbons, BOX)
    molecule = surroundings.near(positions, 2.5, BOX)
    added = degrade.unexplained(signal, molecule, 0.5, BOX, rng)
    power, _ = degrade.shell_means(signal.abs() ** 2, BOX)
    line = degrade.wilson_line(power)
    for s, wanted in ((0.06, 0.0625), (0.2, 0.25), (0.3, 0.25)):  # weaker below 1 / 0.12 A
        shell = (S - s).abs() < 0.015
        mean = float((added[shell].abs() ** 2).mean())
        assert mean / float(line[round(100 * s)]) == pytest.approx(wanted, rel=0.15)
        if s > 0.1:  # beyond the shape of the molecule, atoms anywhere have the line's power
            assert mean / float((signal[shell].abs() ** 2).mean()) == pytest.approx(wanted, rel=0.15)
    values = BOX.real(added) ** 2
    away = ~surroundings.near(positions, 9, BOX)
    assert values[away].mean() < 0.05 * values[molecule].mean()


def test_wilson_line_leaves_out_what_order_adds():
    s = torch.arange(60) * 0.01
    line = 3e4 * torch.exp(-80 * s**2 / 2)
    assert torch.allclose(degrade.wilson_line(line), line, rtol=1e-4)
    ordered = line * (1 + 0.5 * torch.sin(2 * math.pi * s / 0.08))  # three periods from 10 to 3 A
    assert torch.allclose(degrade.wilson_line(ordered)[5:40], line[5:40], rtol=0.25)


def test_half_map_fsc_is_0143_at_the_resolution():
    assert float(degrade.half_map_fsc(torch.tensor(1 / 3.7), 3.7, 9.0)) == pytest.approx(0.143, abs=1e-4)


def test_zone_is_the_ball_about_an_atom():
    zone = surroundings.near(torch.tensor([[24.0, 24.0, 24.0]]), 5.0, BOX)
    assert int(zone.sum()) == pytest.approx(4 / 3 * math.pi * 125, rel=0.05)
    assert zone[24, 24, 29] and not zone[24, 24, 30]


def test_a_zone_keeps_the_ligand_that_the_chain_binds():
    s = made_structure()
    chosen = zone_of(s, chain=0)
    assert chosen[s.chains == 0].all() and chosen[s.chains == 2].all()
    assert not chosen[s.chains == 1].any() and not chosen[s.chains == 3].any()


def test_ions_lie_where_a_polar_atom_can_hold_them():
    structure = made_structure(spacing=3.4)
    structure = replace(structure, positions=structure.positions + 12)
    added = ions.coordinated(structure, 12, 96, torch.Generator().manual_seed(1))
    assert 6 <= len(added) <= 12
    distances = torch.cdist(added.positions, structure.positions)
    polar = torch.isin(structure.atomic_numbers, torch.tensor(ions.HOLDING))
    held = distances[:, polar].amin(dim=1)
    apart = torch.cdist(added.positions, added.positions).fill_diagonal_(9)
    assert distances.min() >= 1.9 and apart.min() >= 1.9
    assert held.max() < 2.51
    assert set(added.kinds.tolist()) == {KINDS.index("ion")} and added.atomic_numbers.min() >= 11
    assert len(added.residues.unique()) == len(added)
    carbons = replace(structure, atomic_numbers=torch.full_like(structure.atomic_numbers, 6))
    assert len(ions.coordinated(carbons, 5, 96, torch.Generator())) == 0


def test_rotations_are_rotations():
    matrix = rotation(torch.Generator().manual_seed(1))
    assert torch.allclose(matrix @ matrix.T, torch.eye(3), atol=1e-5) and float(matrix.det()) > 0.999


def test_experiments_repeat_and_keep_ligands_in_the_target():
    structure = made_structure(atoms=200)
    settings = Settings(box=64, neighbour=0, zone=0, blobs=0, detergent=0)
    first, again = (simulate([structure], settings, torch.Generator().manual_seed(2)) for _ in range(2))
    other = simulate([structure], settings, torch.Generator().manual_seed(3))
    assert torch.equal(first.observed, again.observed) and torch.equal(first.target, again.target)
    assert not torch.equal(first.observed, other.observed)
    assert (
        torch.isfinite(first.observed).all()
        and 0 <= float(first.target.min()) <= float(first.target.max()) <= 1
    )
    without = made_structure(atoms=200)
    bare = without.chosen(without.kinds == 0)
    rng = torch.Generator().manual_seed(2)
    assert float(simulate([bare], settings, rng).target.sum()) < float(first.target.sum())


def test_better_resolution_means_a_better_map():
    structure = made_structure(atoms=1000, spacing=4.0)

    def correlation(resolution, overstated=1.25):
        settings = Settings(
            resolution=(resolution, resolution),
            overstated=(overstated, overstated),
            box=64,
            side_chains=0,
            zone=0,
            neighbour=0,
            detergent=0,
            blobs=0,
        )
        pairs = [simulate([structure], settings, torch.Generator().manual_seed(i)) for i in range(12)]
        rows = [torch.stack([e.observed[e.target > 0.02], e.target[e.target > 0.02]]) for e in pairs]
        return sum(float(torch.corrcoef(row)[0, 1]) for row in rows) / len(rows)

    assert correlation(3.0) > correlation(5.0) + 0.1 > correlation(7.0) + 0.15
    assert correlation(3.0) > correlation(3.0, overstated=2.0) + 0.05


def test_settings_with_two_ends_go_evenly_from_the_finest_to_the_coarsest_resolution():
    settings = Settings(resolution=(3.0, 7.0))
    at = [settings.at(resolution, (1.0, 2.0)) for resolution in (2.0, 3.0, 4.0, 7.0, 9.0)]
    assert at == pytest.approx([1.0, 1.0, 1.25, 2.0, 2.0])
    assert Settings(resolution=(4.0, 4.0)).at(4.0, (1.5, 3.0)) == 1.5


def test_cubes_are_the_same_whatever_the_run():
    cubes = SimulatedCubes([made_structure()], Settings(box=48), 24, per_box=3, seed=4)
    observed, target, known = cubes[7]
    assert observed.shape == target.shape == (3, 1, 24, 24, 24) and known.min() == 1
    assert torch.equal(cubes[7][0], observed) and not torch.equal(cubes[8][0], observed)


def test_boxes_lie_about_small_molecules_where_that_is_wanted():
    s, rng = made_structure(), torch.Generator().manual_seed(1)
    s = replace(s, chains=s.chains % 2)  # the ligand and the ion belong to the proteins' chains
    chosen = [
        s.kinds[middle_atom(s, Settings(ligand_fraction=share), rng)]
        for share in (1.0, 0.0)
        for _ in range(40)
    ]
    polymer = torch.isin(torch.stack(chosen), torch.tensor(POLYMERS, dtype=s.kinds.dtype))
    assert not polymer[:40].any() and polymer[40:].float().mean() > 0.5


def test_coarse_voxels_hold_nothing_beyond_their_frequency():
    """Those cropped in Fourier space: the corner frequency is that of a step up to 0.45 of the resolution."""
    values = torch.randn(40, 40, 40, generator=torch.Generator().manual_seed(2))
    whole, frequency, cropped = torch.fft.rfftn(values), torch.fft.rfftfreq(40), 0
    for seed in range(12):
        coarse = degrade.coarse_voxels(values, 6.0, torch.Generator().manual_seed(seed))
        found = torch.fft.rfftn(coarse)
        kept = found[0, 0].abs() > 1e-3
        if kept.all():
            continue  # interpolated: weaker, but not nothing
        cropped += 1
        assert 0.5 / 2.7 - 0.025 <= float(frequency[kept].max()) < 0.5 / 1.05
        assert torch.allclose(found[0, 0][kept], whole[0, 0][kept], atol=1e-3)
    assert 2 < cropped < 10


def test_feeds_are_mixed_by_their_shares_the_same_way_each_time():
    class Names(dict):
        def __getitem__(self, index):
            return self.name, index

    feeds = {}
    for name in ("simulated", "real"):
        feeds[name] = Names()
        feeds[name].name = name
    mixed = Mixed(feeds, {"simulated": 0.25, "real": 0.75}, seed=3)
    drawn = [mixed[i] for i in range(400)]
    assert [index for _, index in drawn] == list(range(400))
    assert sum(name == "real" for name, _ in drawn) / 400 == pytest.approx(0.75, abs=0.07)
    assert drawn[100:120] == [mixed[i] for i in range(100, 120)]


def waters():
    """A structure with as many waters beside it as it has atoms."""
    s = made_structure(200)
    water = replace(
        s, positions=s.positions + torch.tensor([0, 12.0, 0]), kinds=torch.full_like(s.kinds, WATER)
    )
    return join([s, replace(water, atomic_numbers=torch.full_like(s.atomic_numbers, 8))])


def test_waters_are_shown_in_good_maps_alone():
    """Against the same experiments of a structure whose waters are called ligands."""
    kept = {"box": 64, "neighbour": 0, "zone": 0, "ions": 0, "target_scale": 40.0}
    for resolution, seen in ((2.5, True), (3.2, False)):
        settings = Settings(resolution=(resolution, resolution), **kept)
        e = simulate([waters()], settings, torch.Generator().manual_seed(4))
        assert bool((e.atoms.kinds == WATER).any()) == seen
        voxels = e.atoms.positions[e.atoms.kinds == WATER] if seen else None
        if seen:
            inside = BOX_64.holds(voxels, -2)
            z, y, x = voxels[inside].round().long().T
            assert float(e.target[z, y, x].mean()) > 0.01


def test_boxes_never_lie_about_waters_for_their_own_sake():
    s, rng = waters(), torch.Generator().manual_seed(1)
    s = replace(s, chains=s.chains % 2)
    drawn = [int(s.kinds[middle_atom(s, Settings(ligand_fraction=1.0), rng)]) for _ in range(30)]
    assert WATER not in drawn


def test_papers_targets_are_as_wide_as_their_programs_make_them():
    """pdb2vol at R: exp(-1.5 r^2 / (R / 2)^2), R by SuperEM's rule; TEMPy: sigma .356 x 2 A."""
    superem, cryosamu = settings_of("superem"), settings_of("cryosamu")
    for resolution, r in ((3.0, 1.8), (3.5, 1.8), (3.6, 3.0), (6.0, 3.0)):
        assert superem.sigma_at(resolution) == pytest.approx((r / 2) / 3**0.5)
    assert cryosamu.sigma_at(5.0) == pytest.approx(0.356 * 2, abs=1e-3)
    atom = replace(
        made_structure(),
        positions=torch.tensor([[24.0, 24.0, 24.0]]),
        atomic_numbers=torch.tensor([16]).byte(),
    )
    for settings, resolution in ((superem, 3.0), (superem, 5.0), (cryosamu, 5.0)):
        sigma = settings.sigma_at(resolution)
        out = target_of(atom, settings, BOX, resolution)
        ratio = float(out[24, 24, 25] / out[24, 24, 24])
        assert ratio == pytest.approx(math.exp(-0.5 / sigma**2), rel=0.05)
        assert float(scaled(out, settings).max()) == 1
