"""Packs of structures: whole, with what is related, and without what can't be read."""

import numpy as np
import pytest
import torch
from training_data import made_structure
from training_runs import make

import pack_structures
from cryomap.errors import InputError
from simulation.packs import pack, read_folder, unpack, with_clusters, with_relations
from simulation.structures import is_related, read_structure, split

ATOM = "ATOM  {:5d} {:4s}{:1s}{:3s} A{:4d}    {:8.3f}{:8.3f}{:8.3f}  1.00 20.00          {:>2s}  "


def pdb(*rows):
    """Lines of atoms: (name, alternate, residue, number, element)."""
    lines = [ATOM.format(i, f" {n}", a, r, k, 1.5 * i, 2, 3, e) for i, (n, a, r, k, e) in enumerate(rows, 1)]
    return "\n".join([*lines, "END", ""])


def test_b_is_kept_where_there_is_no_a(tmp_path):
    rows = [("N", "", "ALA", 1, "N"), ("CA", "B", "ALA", 1, "C"), ("CB", "A", "ALA", 1, "C")]
    rows += [("CB", "B", "ALA", 1, "C"), ("CA", "B", "GLY", 2, "C"), ("CA", "C", "GLY", 2, "C")]
    # A serine A and a threonine B in one place: the serine.
    rows += [("CA", "A", "SER", 3, "C"), ("OG", "A", "SER", 3, "O"), ("CG2", "B", "THR", 3, "C")]
    (tmp_path / "1abc.pdb").write_text(pdb(*rows))
    kept = read_structure(tmp_path / "1abc.pdb")
    wanted = [0, 1, 2, 4, 6, 7]
    assert kept.positions[:, 0].tolist() == pytest.approx([1.5 * (i + 1) for i in wanted])


def test_waters_are_packed(tmp_path):
    text = pdb(("CA", "", "ALA", 1, "C"))
    water = ATOM.format(2, " O", "", "HOH", 2, 9, 9, 9, "O").replace("ATOM  ", "HETATM")
    (tmp_path / "1abc.pdb").write_text(text.replace("END", f"{water}\nEND"))
    assert len(read_structure(tmp_path / "1abc.pdb")) == 2
    (tmp_path / "2abc.pdb").write_text(f"{water}\nEND\n")
    with pytest.raises(InputError, match="no heavy atoms besides water"):
        read_structure(tmp_path / "2abc.pdb")


@pytest.mark.parametrize("broken", ["data_x\nloop_\n_atom_site.id\n", "", "data_x\n", "nonsense"])
def test_bad_structures_are_left_out_by_name(tmp_path, broken, capsys):
    folder = tmp_path / "structures"
    folder.mkdir()
    (folder / "good.pdb").write_text(pdb(("CA", "", "ALA", 1, "C")))
    (folder / "broken.cif").write_text(broken)
    out = tmp_path / "out.npz"
    assert pack_structures.main([str(folder), str(out)]) == 0
    assert len(unpack(out)) == 1 and "broken.cif" in capsys.readouterr().out
    (folder / "good.pdb").unlink()
    with pytest.raises(InputError, match=r"no usable structures.*broken"):
        read_folder(folder)
    assert pack_structures.main([str(tmp_path / "nowhere"), str(out)]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_packing_keeps_atoms_and_relations(tmp_path):
    original = made_structure(seed=0)
    pack(with_clusters([original, made_structure(pdb_id="M2")], [("MADE", "M2")]), tmp_path / "made.npz")
    first, second = unpack(tmp_path / "made.npz")
    moved = original.positions - original.positions.mean(0)
    assert torch.allclose(first.positions, moved, atol=0.006)
    for column in ("kinds", "chains", "residues", "depths", "charges"):
        assert torch.equal(getattr(first, column), getattr(original, column)), column
    assert first.cluster == second.cluster == "MADE"


def test_relations_come_from_a_table(tmp_path):
    table = tmp_path / "table.tsv"
    table.write_text("pdb_id\tcluster\trelative_of\nmade\t4\tEMD-1 my_map\n")
    (told,) = with_relations([made_structure()], table)
    assert told.cluster == "4" and told.relative_of == ("EMD-1", "my_map")
    assert is_related(told, {"my_map"}) and not is_related(told, {"EMD-2"})
    with pytest.raises(InputError, match="M2 isn't in it"):
        with_relations([made_structure(pdb_id="M2")], table)
    table.write_text("id\n1\n")
    with pytest.raises(InputError, match="columns pdb_id and cluster"):
        with_relations([made_structure()], table)


def test_related_entries_are_on_one_side_of_the_split():
    structures = [made_structure(pdb_id=f"M{i:03}") for i in range(200)]
    related = with_clusters(structures, [(f"M{i:03}", f"M{i + 1:03}") for i in range(0, 200, 2)])
    training, held_out = split(related, 0.3)
    assert {s.cluster for s in training}.isdisjoint(s.cluster for s in held_out)
    assert len(training) + len(held_out) == 200 and 20 < len(held_out) < 100
    by_entry = split(structures, 0.3)[1]
    of = {s.pdb_id: s.cluster for s in related}
    inside = {of[s.pdb_id] for s in by_entry}
    assert inside & {of[s.pdb_id] for s in split(structures, 0.3)[0]}  # as it was: relatives on both sides


def damaged(path, how):
    content = path.read_bytes()
    if how == "columns":
        with np.load(path) as file:
            data = {key: file[key] for key in file.files}
        np.savez(path, **{**data, "positions": data["positions"][:-5]})
    else:
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"no pack"}[how])


@pytest.mark.parametrize("how", ["cut", "empty", "text", "columns"])
def test_a_damaged_pack_is_refused_in_a_line(tmp_path, how):
    path = make(tmp_path) / "made.npz"
    damaged(path, how)
    with pytest.raises(InputError, match=r"made\.npz.*pack_structures") as refused:
        unpack(path)
    assert "\n" not in str(refused.value)
