"""Alternate conformations: shares of maps whose occupancies are known, made by gemmi and cut by hand."""

import gemmi
import numpy as np
import pytest
from made_models import crowded_chain, model_at

from cryomap.atoms import Residue
from cryomap.density import DensityMap
from cryomap.grid import Grid
from cryomap.metrics.assess import assess
from cryomap.metrics.conformers import conformers, major_share

GRID = Grid((40, 44, 42), (1.0, 0.9, 1.1), (-20.0, -20.0, -22.0))
RING = np.array([[0, 1.5, 0], [1.2, 2.2, 0], [1.2, 3.6, 0], [0, 4.3, 0], [-1.2, 3.6, 0], [-1.2, 2.2, 0]])


def tyrosine(occupancy: float, others=True):
    """A residue whose ring points two ways, in a chain or alone."""
    turn = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    place = np.array([14.0, 0.0, 0.0])
    own = np.vstack([[[0, 0, 0]], RING, RING @ turn]) + place
    chain = crowded_chain(np.random.default_rng(4), 10) if others else None
    model = model_at(
        np.vstack([chain.positions, own]) if others else own,
        z=6,
        b_factors=30.0,
        occupancies=np.r_[[1.0] * (50 if others else 0), 1.0, [occupancy] * 6, [1 - occupancy] * 6],
        names=[*(chain.atom_names if others else ()), "CA", *[f"C{i}" for i in range(6)] * 2],
        residues=(*(chain.residues if others else ()), Residue("B", 58, "", "TYR", "protein")),
        owners=np.r_[chain.residue_indices if others else np.empty(0, int), [10 if others else 0] * 13],
    )
    model.alt_locs[-12:-6], model.alt_locs[-6:] = "A", "B"
    return model


def density_of(model, d_min: float, blur: float = 0.0) -> DensityMap:
    """gemmi's structure factors one by one, summed wave by wave: nothing of ours but the grid."""
    structure, residue, chain = gemmi.Model(1), gemmi.Residue(), gemmi.Chain("A")
    for position, b, occupancy in zip(model.positions, model.b_factors, model.occupancies, strict=True):
        atom = gemmi.Atom()
        atom.element, atom.occ, atom.b_iso = gemmi.Element("C"), occupancy, b + blur
        atom.pos = gemmi.Position(*(position - np.array(GRID.origin)))
        residue.add_atom(atom)
    chain.add_residue(residue)
    structure.add_chain(chain)
    lengths = np.array(GRID.size) * GRID.step
    cell, calculator = gemmi.UnitCell(*lengths, 90, 90, 90), gemmi.DensityCalculatorE()
    calculator.d_min, calculator.rate = d_min, 2.5
    calculator.grid.set_unit_cell(cell)
    calculator.grid.spacegroup = gemmi.SpaceGroup("P 1")
    calculator.put_model_density_on_grid(structure)
    waves = gemmi.transform_map_to_f_phi(calculator.grid, half_l=False)
    factors = np.zeros(GRID.shape, complex)
    limits = np.ceil(lengths / d_min).astype(int)
    for h in range(-limits[0], limits[0] + 1):
        for k in range(-limits[1], limits[1] + 1):
            for el in range(-limits[2], limits[2] + 1):
                if cell.calculate_1_d2([h, k, el]) < d_min**-2:
                    factors[el, k, h] = np.conj(waves.get_value(h, k, el))
    return DensityMap(np.fft.ifftn(factors).real.astype(np.float32), GRID, f"{d_min}")


@pytest.mark.parametrize("share", [0.53, 0.67, 1.0])
@pytest.mark.parametrize("blur", [0.0, 60.0])
def test_a_share_is_the_occupancy_the_map_was_made_with(share, blur):
    """Whatever the model says, and also in a map that is more blurred than its B factors."""
    density = density_of(tyrosine(share), 3.0, blur)
    model = tyrosine(0.53)
    first, second = conformers(density, model, np.arange(63.0), 3.0)
    assert (first.alt_loc, second.alt_loc, first.atoms, second.atoms) == ("A", "B", 6, 6)
    assert first.share == pytest.approx(share, abs=0.03) and first.share + second.share == pytest.approx(1)
    assert (first.occupancy, second.occupancy) == pytest.approx((0.53, 0.47))
    assert model.residues[first.residue].number == 58
    assert (first.q, second.q) == pytest.approx((np.arange(51, 57).mean(), np.arange(57, 63).mean()))
    assert major_share((first, second)) == first.share
    if share > 0.6:
        assert first.density > second.density


def test_noise_and_scale_change_little(rng):
    density = density_of(tyrosine(0.6), 3.0)
    noisy = density.values + 0.1 * density.values.max() * rng.normal(size=GRID.shape)
    found = conformers(
        DensityMap((50 * noisy + 7).astype(np.float32), GRID), tyrosine(0.5), np.zeros(63), 3.0
    )
    assert found[0].share == pytest.approx(0.6, abs=0.12)


def test_conformations_that_hardly_differ_are_none():
    model = tyrosine(0.5, others=False)
    model.positions[7:] = model.positions[1:7] + np.array([0.5, 0, 0])
    density = DensityMap(np.zeros(GRID.shape, np.float32), GRID)
    assert conformers(density, model, np.zeros(13), 3.0) == ()
    model.positions[7:] += [0.7, 0, 0]
    found = conformers(density, model, np.zeros(13), 3.0)
    assert len(found) == 2 and np.isnan(found[0].share) and np.isnan(major_share(found))


def test_a_map_that_took_sides_is_told(capsys):
    from cryomap.cli.mapcc import table

    maps = [density_of(tyrosine(share), 3.0) for share in (0.53, 0.75)]
    report = assess(maps, tyrosine(0.53), resolution=3.0, metrics=["classes"])
    first, second = report.to_dict()["maps"]
    assert [row["alt_loc"] for row in first["conformers"]] == ["A", "B"]
    assert first["major_conformation"] == pytest.approx(0.53, abs=0.03)
    assert second["conformers"][1]["share"] == pytest.approx(0.25, abs=0.03)
    assert "conformation A of /B:58 TYR has 0.7" in table(report)
    assert "conformer,/B:58 TYR B,share,0.2" in report.to_csv()
