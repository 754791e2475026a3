import gzip

import numpy as np
import pytest
from conftest import shared
from made_models import model_at

from cryomap.atoms import KINDS, Residue, component_kind, read_model
from cryomap.errors import InputError

PDB = """\
CRYST1   40.000   40.000   40.000  90.00  90.00  90.00 P 1
ATOM      1  N   ALA A   1      11.104   6.134  -6.504  1.00 12.50           N
ATOM      2  CA AALA A   1      11.639   6.071  -5.147  0.60 13.00           C
ATOM      3  CA BALA A   1      11.739   6.171  -5.247  0.40 14.00           C
ATOM      4  C   ALA A   1      12.204   7.410  -4.707  1.00 12.00           C
ATOM      5  HA  ALA A   1      12.426   5.331  -5.127  1.00 15.00           H
ATOM      6  N   UNK A   2A     12.104   6.134  -6.504  1.00 12.50           N
ATOM      7  CA  UNK A   2A     12.639   6.071  -5.147  1.00 12.50           C
ATOM      8  C   UNK A   2A     13.204   7.410  -4.707  1.00 12.50           C
HETATM    9  N   MSE A   3      14.104   6.134  -6.504  1.00 12.50           N
HETATM   10 SE   MSE A   3      14.639   6.071  -5.147  1.00 12.50          SE
TER
ATOM     11  P    DA B   1      20.104   6.134  -6.504  1.00 12.50           P
ATOM     12  C1'  DA B   1      20.639   6.071  -5.147  1.00 12.50           C
TER
HETATM   13 ZN    ZN C   1      30.104   6.134  -6.504  0.50 12.50          ZN
HETATM   14  C1  NAG C   2      31.104   6.134  -6.504  1.00 12.50           C
HETATM   15  C1  CLR C   3      32.104   6.134  -6.504  1.00 12.50           C
HETATM   16 FE   HEM C   4      33.104   6.134  -6.504  1.00 12.50          FE
HETATM   17  NA  HEM C   4      33.504   6.134  -6.504  1.00 12.50           N
HETATM   18  O   HOH C   5      34.104   6.134  -6.504  1.00 12.50           O
HETATM   19 UNK  UNX C   6      35.104   6.134  -6.504  1.00 12.50           X
END
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.pdb"
    path.write_text(PDB)
    return read_model(path)


def test_atoms_are_read_as_written(model):
    assert len(model) == 19 and model.name == "model.pdb"
    assert model.positions[0] == pytest.approx([11.104, 6.134, -6.504])
    assert model.atomic_numbers[[0, 1, 4, 9, 10, 12, 15, 18]].tolist() == [7, 6, 1, 34, 15, 30, 26, 0]
    assert model.b_factors[:4] == pytest.approx([12.5, 13, 14, 12])
    assert model.occupancies[[1, 2, 12]] == pytest.approx([0.6, 0.4, 0.5])
    assert model.alt_locs[:4].tolist() == ["", "A", "B", ""]
    assert model.atom_names[:5].tolist() == ["N", "CA", "CA", "C", "HA"]


def test_residues_and_their_kinds(model):
    found = [(str(residue), residue.kind) for residue in model.residues]
    assert found == [
        ("/A:1 ALA", "protein"),
        ("/A:2A UNK", "protein"),
        ("/A:3 MSE", "protein"),
        ("/B:1 DA", "nucleic"),
        ("/C:1 ZN", "ion"),
        ("/C:2 NAG", "glycan"),
        ("/C:3 CLR", "lipid"),
        ("/C:4 HEM", "ligand"),
        ("/C:5 HOH", "water"),
        ("/C:6 UNX", "ion"),
    ]
    assert model.residue_indices.tolist() == [0] * 5 + [1] * 3 + [2] * 2 + [3] * 2 + [4, 5, 6, 7, 7, 8, 9]
    assert {residue.kind for residue in model.residues} <= set(KINDS)
    assert model.atom_kinds[[0, 12, 17]].tolist() == ["protein", "ion", "water"]


def test_subsets_keep_the_residues(model):
    some = model.subset(model.atom_kinds == "protein")
    assert len(some) == 10 and some.residues is model.residues
    assert len(model.subset([3, 1])) == 2


def test_formats_agree(model, tmp_path):
    import gemmi

    (tmp_path / "model.pdb.gz").write_bytes(gzip.compress(PDB.encode()))
    structure = gemmi.read_pdb_string(PDB)
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(tmp_path / "model.cif"))
    for name in ("model.pdb.gz", "model.cif"):
        other = read_model(tmp_path / name)
        assert np.allclose(other.positions, model.positions)
        assert other.atom_names.tolist() == model.atom_names.tolist()
        assert [r.kind for r in other.residues] == [r.kind for r in model.residues]


def test_only_the_first_model_of_an_ensemble(tmp_path):
    atom = PDB.splitlines()[1]
    path = tmp_path / "nmr.pdb"
    path.write_text(f"MODEL        1\n{atom}\nENDMDL\nMODEL        2\n{atom}\n{atom}\nENDMDL\nEND\n")
    assert len(read_model(path)) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.pdb", "", "no atoms"),
        ("remark.pdb", "REMARK   1 nothing here\nEND\n", "no atoms"),
        ("broken.cif", "data_x\nloop_\n_atom_site.id\n'1\n", "not a readable"),
        ("nothing.cif", "data_x\n_cell.length_a 1\n", "no atoms"),
    ],
)
def test_files_without_a_model_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_model(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.pdb: no such file"):
        read_model(tmp_path / "absent.pdb")


def test_kinds_of_components():
    assert component_kind("PTR", {"N", "CA", "C", "O"}, 16, True) == "protein"
    assert component_kind("XYZ", {"C1'", "C3'", "O3'", "P"}, 20, True) == "nucleic"
    assert component_kind("ATP", {"C1'", "C3'", "O3'", "PA"}, 31, False) == "ligand"
    assert component_kind("DOD", {"O", "D1"}, 1, False) == "water"
    assert component_kind("NA", {"NA"}, 1, False) == "ion"


def test_residue_names_read_well():
    assert str(Residue("A", 12, "B", "HEM", "ligand")) == "/A:12B HEM"
    assert len(model_at(np.zeros((0, 3)))) == 0


def test_a_real_model_is_read():
    model = read_model(shared("data", "maps", "6GYN.pdb.gz"))
    assert len(model) == 16932
    kinds = [residue.kind for residue in model.residues]
    assert (kinds.count("protein"), kinds.count("lipid")) == (1980, 36)
