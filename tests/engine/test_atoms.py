import gzip

import numpy as np
import pytest
from conftest import shared
from made_models import crowded_chain, model_at

from cryomap.atoms import KINDS, Residue, component_kind, load_atoms, read_model, save_atoms
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
    mark = "\ufeff".encode()  # with which some editors begin a file
    (tmp_path / "marked.pdb").write_bytes(mark + PDB.encode())
    (tmp_path / "marked.cif").write_bytes(mark + (tmp_path / "model.cif").read_bytes())
    for name in ("model.pdb.gz", "model.cif", "marked.pdb", "marked.cif"):
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


# What other programs write.

LINE = "ATOM  {:5d} {:4s} {:<4s}A{:4d}    {:8.3f}{:8.3f}{:8.3f}  1.00 20.00          {:>2s}"


def pdb(atoms, numbers=None, element=True):
    """A PDB file of atoms (name in its four columns, residue, number, element), 1.5 A apart."""
    lines = []
    for i, (name, residue, number, symbol) in enumerate(atoms):
        lines.append(LINE.format(i + 1, name, residue, number, 1.5 * i, 0, 0, symbol if element else ""))
    return "\n".join([*lines, "END", ""])


@pytest.fixture
def read(tmp_path):
    def read(text, name="m.pdb", number=None):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_model(tmp_path / name, number)

    return read


def test_names_from_the_first_column_keep_their_elements(read):
    rows = [
        ("N   ", "GLU", 1, "N"), ("CA  ", "GLU", 1, "C"), ("CD  ", "GLU", 1, "C"), ("OE1 ", "GLU", 1, "O"),
        ("HG  ", "SER", 2, "H"), ("1HB ", "SER", 2, "H"), ("SE  ", "MSE", 3, "Se"), ("CD  ", "PRO", 4, "C"),
        ("C5* ", "ADE", 5, "C"), ("FE  ", "HEM", 6, "Fe"), ("NA  ", "HEM", 6, "N"), ("ZN  ", "ZN", 7, "Zn"),
        ("CA  ", "CA", 8, "Ca"), ("OH2 ", "TIP3", 9, "O"), ("CL1 ", "LIG", 10, "Cl"), ("NA+ ", "NA+", 11, "Na"),
    ]  # fmt: skip
    import gemmi

    model = read(pdb(rows, element=False))
    numbers = model.atomic_numbers[np.argsort(model.positions[:, 0])]
    assert [gemmi.Element(int(z)).name for z in numbers] == [row[3] for row in rows]
    assert any("without element" in note and "m.pdb" in note for note in model.notes)
    aligned = read(
        pdb([(" CA ", "GLU", 1, ""), ("CA  ", "CA", 2, ""), (" HB1", "SER", 3, "")], element=False)
    )
    assert aligned.atomic_numbers.tolist() == [6, 20, 1] and not aligned.notes


def numbered(parts):
    return "".join(f"MODEL     {i:4d}\n{part}\nENDMDL\n" for i, part in enumerate(parts, 1)) + "END\n"


def test_models_side_by_side_are_an_assembly(read):
    lines = pdb([(" CA ", "ALA", i, "C") for i in range(1, 9)]).splitlines()[:-1]
    one, two = "\n".join(lines[:4]), "\n".join(lines[4:])
    for name in ("m.pdb", "m.pdb1"):
        model = read(numbered([one, two]), name)
        assert len(model) == 8 and any("taken together" in note for note in model.notes)
        assert [model.residues[i].number for i in model.residue_indices] == list(range(1, 9))
    ensemble = read(numbered([one, one.replace("20.00", "30.00"), two]))
    assert len(ensemble) == 4 and any("first of 3" in note for note in ensemble.notes)
    assert len(read(numbered(["", two]))) == 4


def test_one_model_of_several_by_its_number(read, tmp_path):
    """The numbers are the file's own, and gemmi's; nothing is said of others, and a wrong number is told."""
    import gemmi

    one = pdb([(" CA ", "ALA", i, "C") for i in range(1, 5)]).splitlines()[:-1]
    parts = ["\n".join(line.replace("20.00", f"{b}.00") for line in one) for b in (20, 30, 40)]
    text = "".join(f"MODEL     {n:4d}\n{part}\nENDMDL\n" for n, part in zip((2, 5, 9), parts, strict=True))
    assert read(text).b_factors[0] == 20
    chosen = read(text, number=9)
    assert chosen.b_factors.tolist() == [40] * 4 and not chosen.notes
    gemmi.read_pdb_string(text).make_mmcif_document().write_file(str(tmp_path / "e.cif"))
    assert [m.num for m in gemmi.read_structure(str(tmp_path / "e.cif"))] == [2, 5, 9]
    assert read_model(tmp_path / "e.cif", 5).b_factors.tolist() == [30] * 4
    with pytest.raises(InputError, match=r"e\.cif: no MODEL 1 in it; it has 2, 5, 9"):
        read_model(tmp_path / "e.cif", 1)
    lines = pdb([(" CA ", "ALA", i, "C") for i in range(1, 9)]).splitlines()[:-1]
    assembly = numbered(["\n".join(lines[:4]), "\n".join(lines[4:])])
    assert len(read(assembly)) == 8 and len(read(assembly, number=2)) == 4


HEAD = "data_x\nloop_\n"


def cif(columns, *rows):
    return HEAD + "".join(f"_atom_site.{name}\n" for name in columns.split()) + "\n".join(rows) + "\n"


def test_a_minimal_mmcif_is_read(read):
    model = read(cif("type_symbol Cartn_x Cartn_y Cartn_z", "C 1 2 3", "ZN 4 5 6"), "m.cif")
    assert model.positions.tolist() == [[1, 2, 3], [4, 5, 6]] and model.atomic_numbers.tolist() == [6, 30]
    assert model.b_factors.tolist() == [0, 0] and model.occupancies.tolist() == [1, 1]
    waters = cif(
        "id type_symbol label_atom_id label_comp_id label_asym_id Cartn_x Cartn_y Cartn_z",
        "1 O O HOH W 1 2 3", "2 O O HOH W 5 2 3", "3 C C1 LIG L 8 2 3", "4 C C2 LIG L 9 2 3",
    )  # fmt: skip
    assert read(waters, "m.cif").residue_indices.tolist() == [0, 1, 2, 2]


def test_absent_b_factors_and_occupancies_are_alike_in_all_formats(read):
    line = pdb([(" CA ", "ALA", 1, "C")]).splitlines()[0]
    texts = [(line[:54], "m.pdb"), (line[:54] + " " * 26, "m.pdb"), (line[:54] + " " * 22 + " C", "m.pdb")]
    texts.append((cif("id type_symbol label_atom_id Cartn_x Cartn_y Cartn_z", "1 C CA 1 2 3"), "m.cif"))
    texts.append(
        (cif("id type_symbol Cartn_x Cartn_y Cartn_z occupancy B_iso_or_equiv", "1 C 1 2 3 ? ."), "m.cif")
    )
    for text, name in texts:
        model = read(text, name)
        assert (model.b_factors[0], model.occupancies[0]) == (0, 1)
        assert sum("absent" in note for note in model.notes) == 2


@pytest.mark.parametrize(
    ("begin", "text", "what"),
    [
        (30, "*" * 24, "coordinate"),
        (38, "     nan", "y coordinate"),
        (30, "   1e+30", "x coordinate"),
        (22, "****", "residue number"),
        (54, "******", "occupancy"),
        (54, " -0.50", "occupancy"),
        (60, "******", "B factor"),
        (60, "-20.00", "B factor"),
        (60, "1e+300", "B factor"),
    ],
)
def test_an_atom_that_can_not_be_is_named(read, begin, text, what):
    lines = pdb([(" N  ", "ALA", 7, "N"), (" CA ", "ALA", 7, "C")]).splitlines()
    lines[1] = lines[1][:begin] + text + lines[1][begin + len(text) :]
    with pytest.raises(InputError, match=rf"m\.pdb: atom CA of /A:.* ALA has the {what}"):
        read("\n".join(lines))


@pytest.mark.parametrize("values", ["**** 2 3 1 20", "1 2 3 1 -20", "1 2 3 x 20", "1 2 3 1 1e999"])
def test_an_atom_of_mmcif_that_can_not_be_is_named(read, values):
    columns = "id type_symbol label_atom_id label_comp_id label_asym_id Cartn_x Cartn_y Cartn_z occupancy"
    with pytest.raises(InputError, match=r"m\.cif: atom CA of /A:1 ALA has the"):
        read(cif(f"{columns} B_iso_or_equiv", f"1 C CA ALA A {values}"), "m.cif")


def test_a_text_in_latin_1_and_a_name_of_control_characters(read):
    columns = "id type_symbol label_atom_id label_comp_id label_asym_id Cartn_x Cartn_y Cartn_z"
    assert read(cif(columns, "1 C CA ALA 'é' 1 2 3").encode("latin-1"), "m.cif").residues[0].chain_id == "é"
    chain = read(cif(columns, "1 C CA ALA\n;a\x1b[2J\nb\n;\n1 2 3"), "m.cif").residues[0].chain_id
    assert chain.isprintable()


def test_columns_are_counted_in_letters(read):
    line = pdb([(" CA ", "ALA", 1, "C")]).splitlines()[0]
    for position in (12, 15, 17, 19, 21):
        model = read(line[:position] + "é" + line[position + 1 :])
        assert len(model) == 1 and model.positions.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no atoms"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "PNG"),
        (b"\0" * 5000, "zeros"),
        (b"<html>", "web page"),
    ],
)
def test_what_is_no_model_is_called_what_it_is(read, content, what):
    for name in ("m.cif", "m.pdb", "m.pdb.gz", "m.json"):
        with pytest.raises(InputError, match=what):
            read(gzip.compress(content) if "gz" in name else content, name)


def test_names_of_molecular_dynamics():
    for name in ("SOL", "TIP", "TIP3", "SPC", "T3P", "OPC"):
        assert component_kind(name, {"O"}, 1, False) == "water"
    sugar = {"C1*", "C3*", "O3*", "N9"}
    for name in ("ADE", "GUA", "URA", "DA5", "RU3", "A"):
        assert component_kind(name, sugar, 20, False) == "nucleic"
    assert component_kind("ADE", {"N9", "C8"}, 10, False) == "ligand"
    assert component_kind("POP", {"P1", "O1", "P2"}, 9, False) == "ligand"


def test_atoms_go_to_a_file_and_back_to_the_last_bit(tmp_path, rng):
    model = crowded_chain(rng)
    save_atoms(model, tmp_path / "m.npz")
    back = load_atoms(tmp_path / "m.npz")
    assert back.residues == model.residues and back.name == model.name
    for key, value in vars(model).items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(getattr(back, key), value) and getattr(back, key).dtype == value.dtype
