"""The demo: its sample is a complex as proteins and RNA are, and it runs from the sample to the picture."""

import itertools

import gemmi
import numpy as np
import pytest
import torch
from conftest import save_as, sharpener
from scipy.spatial import cKDTree

import demo
from cryomap.atoms import read_model
from cryomap.density import read_map
from cryomap.metrics.fourier import reflections, shell_correlation
from cryomap.networks.cryosamu import CryoSAMU
from cryomap.simulate import structure_factor_map
from sample.amino_acids import SIDE_CHAINS
from sample.experiment import experiment, sample_grid
from sample.model import AMINO_ACIDS, PARTS, sample_model


@pytest.fixture(scope="module")
def model():
    return sample_model()


@pytest.fixture(scope="module")
def structure(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "sample.pdb"
    demo.write_pdb(model, path)
    return gemmi.read_structure(str(path))


def test_the_file_holds_the_model(model, tmp_path):
    demo.write_pdb(model, tmp_path / "sample.pdb")
    read = read_model(tmp_path / "sample.pdb")
    np.testing.assert_allclose(read.positions, model.positions, atol=1e-3)
    np.testing.assert_array_equal(read.atomic_numbers, model.atomic_numbers)
    assert [r.kind for r in read.residues] == [r.kind for r in model.residues]
    assert {r.kind for r in read.residues} == {"protein", "nucleic", "ligand", "ion"}


def test_all_amino_acids_and_nucleotides_are_there_with_all_their_atoms(model):
    assert set(AMINO_ACIDS.values()) == set(SIDE_CHAINS) <= {r.name for r in model.residues}
    assert set("ACGU") <= {r.name for r in model.residues}
    # Heavy atoms of each within a chain, from its formula.
    counts = (4, 5, 6, 6, 7, 7, 8, 8, 8, 7, 11, 12, 14, 10, 8, 8, 9, 9, 9, 11)
    heavy = {AMINO_ACIDS[letter]: count for letter, count in zip("GASCTVLIMPFYWHDNEQKR", counts, strict=True)}
    heavy |= {"A": 22, "G": 23, "C": 20, "U": 20}
    for index, residue in enumerate(model.residues):
        names = model.atom_names[model.residue_indices == index]
        assert len(names) == len(set(names))
        if residue.name in heavy:
            assert len(names) - ("OXT" in names) == heavy[residue.name], residue.name


def test_gemmi_finds_the_torsions_that_were_asked_for(structure):
    residues = list(structure[0]["A"])
    wanted = [angles for _, torsions in PARTS for angles in torsions]
    found = np.degrees(
        [gemmi.calculate_phi_psi(*residues[i - 1 : i + 2]) for i in range(1, len(residues) - 1)]
    )
    difference = (found - wanted[1:-1] + 180) % 360 - 180
    assert abs(difference).max() < 0.5


def test_l_amino_acids_and_right_bonds(structure):
    for residue in structure[0]["A"]:
        n, ca, c = (residue[atom][0].pos for atom in ("N", "CA", "C"))
        assert n.dist(ca) == pytest.approx(1.458, abs=0.01) and ca.dist(c) == pytest.approx(1.525, abs=0.01)
        if residue.name != "GLY":
            cb = residue["CB"][0].pos
            assert gemmi.calculate_dihedral(ca, n, c, cb) == pytest.approx(np.radians(34), abs=0.05)
            assert ca.dist(cb) == pytest.approx(1.53, abs=0.02)


def test_rings_close(structure):
    """The last atom of a ring is a bond away from the one that it wasn't hung on."""
    closing = {"TRP": ("CH2", "CZ3"), "HIS": ("CE1", "NE2"), "PRO": ("CD", "N")}
    closing |= dict.fromkeys(("PHE", "TYR"), ("CZ", "CE2"))
    for residue in structure[0]["A"]:
        if residue.name in closing:
            a, b = (residue[atom][0].pos for atom in closing[residue.name])
            assert 1.25 < a.dist(b) < 1.55, residue.name
        if residue.name == "TRP":
            assert residue["NE1"][0].pos.dist(residue["CE2"][0].pos) == pytest.approx(1.37, abs=0.06)


def test_the_rna_has_the_sugar_and_the_twist_of_a_form(structure):
    def torsion(residue, *names):
        return np.degrees(gemmi.calculate_dihedral(*(residue[name][0].pos for name in names)))

    residues = list(structure[0]["R"])
    for residue in residues:
        assert residue["C1'"][0].pos.dist(residue["C2'"][0].pos) == pytest.approx(1.53, abs=0.05)
        assert torsion(residue, "C5'", "C4'", "C3'", "O3'") == pytest.approx(82, abs=1)
        assert torsion(residue, "C1'", "C2'", "C3'", "C4'") == pytest.approx(37, abs=3)  # C3'-endo
        base = "N9" if residue.name in "AG" else "N1"
        following = "C4" if base == "N9" else "C2"
        assert torsion(residue, "O4'", "C1'", base, following) == pytest.approx(-158, abs=1)
    steps = [a["P"][0].pos.dist(b["P"][0].pos) for a, b in itertools.pairwise(residues)]
    assert np.allclose(steps, 5.8, atol=0.2)


def test_the_parts_do_not_run_into_each_other(model):
    close = np.array(list(cKDTree(model.positions).query_pairs(2.2)))
    apart = abs(np.diff(model.residue_indices[close], axis=1)) > 1
    assert apart.sum() <= 8
    zinc = model.positions[-1]
    near = np.argsort(np.linalg.norm(model.positions[:-1] - zinc, axis=1))[:2]
    assert model.atom_names[near[0]] == "NE2"


def test_the_experiment_is_of_the_model_and_always_the_same(model):
    grid = sample_grid(model)
    given, again = (experiment(model, grid, 6.0) for _ in range(2))
    assert np.array_equal(given.values, again.values)
    spacings, truth = reflections(grid), structure_factor_map(model, grid, 2.5)
    curve = shell_correlation(spacings.of_map(given.values), spacings.of_map(truth.values), spacings.d)
    low, high = curve.fsc[(curve.d > 8) & (curve.d < 20)], curve.fsc[curve.d < 3.5]
    assert low.mean() > 0.6 and abs(high).mean() < 0.25


def test_it_runs_from_the_sample_to_the_picture(tmp_path, capsys):
    tile = {"tile": 64, "margin": 8, "stride": 40}
    generator = {"name": "superem", "arguments": {"channels": 2, "blocks": 1, "norm": "none"}}
    save_as(sharpener(), tmp_path, architecture=generator, **tile)
    arguments = {"base": 4, "groups": 0, "heads": 2, "attention_pool": [0, 0, 0]}
    unet = {"name": "cryosamu", "arguments": arguments}
    network = CryoSAMU(**arguments)
    torch.nn.init.constant_(network.tail[-1].bias, 0.1)  # so that untrained weights give some density
    save_as(network, tmp_path, "cryosamu", architecture=unet, **tile)
    out = tmp_path / "demo"
    assert demo.main(["--weights", str(tmp_path), "--output", str(out)]) == 0
    printed = capsys.readouterr().out
    for word in (
        "superem, a map of 4 A",
        "cryosamu, a map of 6 A",
        "ion ZN",
        "ligand LIG",
        "where the atoms are",
        "trust report: support",
    ):
        assert word in printed
    names = {"truth.mrc", "sample.pdb", "demo.png"}
    names |= {f"{m}_{part}.mrc" for m in ("superem", "cryosamu") for part in ("input", "output")}
    assert {path.name for path in out.iterdir()} == names
    assert 0.9 < read_map(out / "superem_output.mrc").values.max() <= 1
    assert (out / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_missing_weights_are_said_so(tmp_path, capsys):
    assert demo.main(["--weights", str(tmp_path), "--output", str(tmp_path / "demo")]) == 2
    assert "no such weights file" in capsys.readouterr().err
