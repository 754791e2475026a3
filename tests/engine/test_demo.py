"""The demo: its sample is protein-like, and it runs from the sample to the picture."""

import gemmi
import numpy as np
import pytest
import torch
from conftest import save_as, sharpener
from scipy.spatial import cKDTree

import demo
from cryomap.atoms import read_model
from cryomap.density import read_map
from cryomap.networks.cryosamu import CryoSAMU
from cryomap.simulate import structure_factor_map
from demo_sample import noisy_map, sample_grid, sample_model


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
    assert {r.kind for r in read.residues} == {"protein", "ligand", "ion"}


@pytest.mark.parametrize(("chain", "phi", "psi"), [("A", -57, -47), ("D", -57, -47), ("F", -120, 125)])
def test_gemmi_finds_the_ideal_torsions(structure, chain, phi, psi):
    residues = list(structure[0][chain])
    angles = np.degrees(
        [gemmi.calculate_phi_psi(*residues[i - 1 : i + 2]) for i in range(1, len(residues) - 1)]
    )
    np.testing.assert_allclose(angles, [(phi, psi)] * len(angles), atol=0.5)


def test_gemmi_finds_l_amino_acids_and_right_bonds(structure):
    for residue in structure[0]["C"]:
        n, ca, c, cb = (residue[atom][0].pos for atom in ("N", "CA", "C", "CB"))
        assert gemmi.calculate_dihedral(ca, n, c, cb) == pytest.approx(np.radians(34), abs=0.05)
        assert n.dist(ca) == pytest.approx(1.458, abs=0.01) and ca.dist(c) == pytest.approx(1.525, abs=0.01)
        assert ca.dist(cb) == pytest.approx(1.53, abs=0.02)


def test_the_parts_do_not_run_into_each_other(model):
    close = np.array(list(cKDTree(model.positions).query_pairs(2.2)))
    apart = abs(np.diff(model.residue_indices[close], axis=1)) > 1
    assert apart.sum() <= 10


def test_the_noise_reaches_as_far_as_the_map(model):
    grid = sample_grid(model, 1.5)
    clean = structure_factor_map(model, grid, 5.0).values
    noise = noisy_map(model, grid, 5.0, 0.5, seed=1).values - clean
    solid = clean > np.quantile(clean, 0.9)
    assert noise.std() == pytest.approx(0.5 * clean[solid].std(), rel=1e-3)
    spectrum = abs(np.fft.fftn(noise)) ** 2
    frequency = np.sqrt(
        sum(f**2 for f in np.meshgrid(*(np.fft.fftfreq(n, 1.5) for n in grid.shape), indexing="ij"))
    )
    assert spectrum[frequency > 0.2].sum() < 1e-6 * spectrum.sum()
    assert spectrum[(frequency > 0.15) & (frequency < 0.2)].sum() > 0.4 * spectrum.sum()


def test_it_runs_from_the_sample_to_the_picture(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "STEP", 1.8)
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
        "superem, input of 4 A",
        "cryosamu, input of 6 A",
        "ZN (ion)",
        "LIG (ligand)",
        "around the atoms",
    ):
        assert word in printed
    names = {"truth.mrc", "sample.pdb", "demo.png"}
    names |= {f"{m}_{part}.mrc" for m in ("superem", "cryosamu") for part in ("input", "output")}
    assert {path.name for path in out.iterdir()} == names
    assert read_map(out / "superem_output.mrc").values.max() == pytest.approx(1)
    assert (out / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_missing_weights_are_said_so(tmp_path, capsys):
    assert demo.main(["--weights", str(tmp_path), "--output", str(tmp_path / "demo")]) == 2
    assert "no such weights file" in capsys.readouterr().err
