"""Where the input stays: about atoms or in a mask, like its surroundings, with a soft edge."""

from dataclasses import replace

import numpy as np
import pytest
from trust_maps import LIGAND, RESOLUTION, chain, experiment, ligand, model, result

from cryomap.density import DensityMap, write_map
from cryomap.errors import InputError
from cryomap.metrics.qscore import q_scores
from cryomap.trust.preserved import about_atoms, read_preserved, soft_edge, split_selection
from cryomap.trust.restore import preserve

PDB = """\
HETATM    1  C1  HEM B 301      28.000  28.000  46.000  1.00 30.00           C
HETATM    4  C2  HEM B 301      28.000  28.000  46.000  1.00 30.00           C
HETATM    5  C3  HEM B 301      28.000  28.000  46.000  1.00 30.00           C
HETATM    2 MG    MG B 302      10.000  28.000  28.000  1.00 30.00          MG
ATOM      3  CA  ALA A   7      28.000  10.000  28.000  1.00 30.00           C
"""


@pytest.fixture
def case(rng):
    atoms = chain(rng)
    before = experiment(rng, np.concatenate([atoms, ligand()]))
    return atoms, before, result(atoms)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.pdb"
    path.write_text(PDB + "END\n")
    return path


def peak(weight):
    return tuple(np.rint(np.argwhere(weight == 1).mean(axis=0)).astype(int)[::-1])


@pytest.mark.parametrize(
    "selection, at",
    [
        ("HEM", (28, 28, 46)),
        ("ligand", (28, 28, 46)),
        ("ion", (10, 28, 28)),
        ("MG", (10, 28, 28)),
        ("//A/7", (28, 10, 28)),
        ("//B/302/MG", (10, 28, 28)),
    ],
)
def test_a_selection_of_a_model(case, file, selection, at):
    assert peak(read_preserved(f"{file}:{selection}", case[1])) == at


def test_a_whole_model_names_and_kinds_together_and_a_mask(case, file, tmp_path):
    _, before, _ = case
    whole = read_preserved(str(file), before)
    two = read_preserved(f"{file}:HEM,MG", before)
    assert whole.sum() > 1.4 * two.sum() > 0
    box = np.zeros(before.values.shape, np.float32)
    box[40:50, 20:36, 20:36] = 1
    write_map(DensityMap(box, before.grid), tmp_path / "mask.mrc")
    weight = read_preserved(str(tmp_path / "mask.mrc"), before)
    assert (weight[box > 0] == 1).all() and weight[30].max() == 0
    write_map(DensityMap(box, replace(before.grid, step=(1.3,) * 3)), tmp_path / "mask.mrc")
    with pytest.raises(InputError, match=r"mask\.mrc: has the voxels of"):
        read_preserved(str(tmp_path / "mask.mrc"), before)


@pytest.mark.parametrize("selection", ["XYZ", "//Q/1", "///"])
def test_a_selection_of_nothing_says_what_one_can_be(case, file, selection):
    with pytest.raises(InputError, match=r"model\.pdb"):
        read_preserved(f"{file}:{selection}", case[1])


def test_atoms_elsewhere_are_refused(case, tmp_path):
    (tmp_path / "far.pdb").write_text(
        PDB.replace("  46.000", " 946.000") + "END\n"
    )
    with pytest.raises(InputError, match="one frame"):
        read_preserved(f"{tmp_path / 'far.pdb'}:HEM", case[1])


def test_only_models_have_selections():
    assert split_selection("a/m.cif.gz:ATP,MG") == ("a/m.cif.gz", "ATP,MG")
    assert split_selection("m.pdb.bz2:ligand") == ("m.pdb.bz2", "ligand")
    assert split_selection("C:/maps/mask.mrc") == ("C:/maps/mask.mrc", "")
    assert split_selection("C:/m.pdb") == ("C:/m.pdb", "")


def test_the_edge_is_soft(case):
    weight = about_atoms(np.array([LIGAND]), case[1].grid)
    assert weight.max() == 1 and weight.min() == 0
    assert np.abs(np.diff(weight, axis=2)).max() <= 0.75
    assert not soft_edge(np.zeros((4, 4, 4), bool), case[1].grid).any()


@pytest.mark.parametrize("resolution", [RESOLUTION, None])
def test_inside_is_the_input_and_outside_the_result(case, resolution):
    atoms, before, after = case
    weight = about_atoms(ligand(), before.grid)
    kept = preserve(before, after, weight, resolution)
    assert np.array_equal(kept.values[weight == 0], after.values[weight == 0])
    inside = weight == 1
    assert np.corrcoef(kept.values[inside], before.values[inside])[0, 1] > 0.8
    strong = np.median(after.values[tuple(np.rint(atoms[:, ::-1]).astype(int).T)])
    assert 0.2 * strong < kept.values[tuple(np.rint(LIGAND[::-1]).astype(int))] <= 1
    everything = model(atoms, ligand())
    q = [float(q_scores(m, everything)[len(atoms) :].mean()) for m in (before, after, kept)]
    assert q[2] > q[0] - 0.02 > q[1]


def test_a_result_on_another_grid(case):
    _, before, after = case
    fine = after.grid.cubic(0.7)
    from cryomap.density import resample

    kept = preserve(before, resample(after, fine, 3), about_atoms(ligand(), before.grid), RESOLUTION)
    assert kept.grid == fine and kept.values[tuple(np.rint(LIGAND[::-1] / 0.7).astype(int))] > 0.1


def test_all_of_a_map(case):
    _, before, after = case
    kept = preserve(before, after, np.ones(before.values.shape, np.float32), RESOLUTION).values
    shown = after.values > 0.2
    assert np.isfinite(kept).all() and kept.max() <= after.values.max()
    assert np.corrcoef(kept[shown], before.values[shown])[0, 1] > 0.7
