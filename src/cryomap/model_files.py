"""PDB, mmCIF and mmJSON files as gemmi structures: what is absent filled in alike, what can't be refused by atom."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .containers import content, kind_of, plain_suffix, read_at_most
from .errors import InputError

if TYPE_CHECKING:
    import gemmi
    from gemmi import cif

MODEL_SUFFIXES = (".cif", ".mmcif", ".pdb", ".ent", ".pdb1", ".json")
MOST_BYTES = 3 << 29  # of text, 1.5 GiB: five times the largest entry of the PDB
_ONE_LETTER = ("N   ", "C   ", "O   ", "P   ")  # names that begin in column 14 where columns are kept
# Elements whose symbols are no names of atoms of carbon, nitrogen or hydrogen, too.
_TWO_LETTERS = ("FE", "ZN", "MG", "MN", "CL", "BR", "CU", "SE", "LI", "AL", "SI")
_DEFAULTS = {  # of an atom_site loop; what else gemmi needs
    "id": ".", "type_symbol": "X", "label_atom_id": "X", "label_alt_id": ".", "label_comp_id": "UNK",
    "label_asym_id": "A", "label_seq_id": ".", "occupancy": "1", "B_iso_or_equiv": "0",
}  # fmt: skip


def is_model(path: str | os.PathLike) -> bool:
    """Whether a file is one, by its name."""
    return plain_suffix(path) in MODEL_SUFFIXES


def read_structure(path: str | os.PathLike) -> tuple[gemmi.Structure, list[str]]:
    """A file as a `gemmi.Structure`, by what is in it and not by its name; and notes, in sentences.

    Absent occupancies are 1, absent B factors 0 A^2, as in ChimeraX, in all formats.

    Raises:
        InputError: no such file, no atomic model, or numbers of atoms that can't be read.
    """
    with content(path, "atomic model") as file:
        data = read_at_most(file, MOST_BYTES)
        if len(data) == MOST_BYTES:
            raise InputError(f"{path}: more than {MOST_BYTES >> 20} MB of text; no atomic model is so long")
    first = bytes(data[:1024])
    what = kind_of(first)
    if (what and what not in ("a text file", "empty")) or b"\0" in first:
        raise InputError(f"{path}: not a readable atomic model{': ' * bool(what)}{what}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    del data
    try:
        return _parse(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (ValueError, RuntimeError, IndexError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a readable atomic model ({reason})") from None


def _parse(text: str) -> tuple[gemmi.Structure, list[str]]:
    import gemmi

    notes: list[str] = []
    start = re.sub(r"\A(\s*(#[^\n]*\n)?)*", "", text[:100_000])
    if start[:5].lower() == "data_" or start[:1] == "{":
        read = gemmi.cif.read_mmjson_string if start[:1] == "{" else gemmi.cif.read_string
        blocks = [block for block in read(text) if block.find_loop("_atom_site.Cartn_x")]
        if not blocks:
            return gemmi.Structure(), notes
        _complete(blocks[0], notes)
        structure = gemmi.make_structure_from_block(blocks[0])
    else:
        text = text.encode("ascii", "replace").decode()  # gemmi counts columns in bytes
        structure = gemmi.read_pdb_string("\n".join(_pdb_lines(text.splitlines(), notes)))
    structure.merge_chain_parts()
    structure.setup_entities()
    return structure, notes


def _complete(block: cif.Block, notes: list[str]) -> None:
    """Give an atom_site loop the columns and values that it lacks."""
    loop = block.find_loop("_atom_site.Cartn_x").get_loop()
    absent = [tag for tag in _DEFAULTS if f"_atom_site.{tag}" not in loop.tags]
    for tag in absent:
        loop.add_columns([f"_atom_site.{tag}"], _DEFAULTS[tag])
    for tag, of, value in (("occupancy", "occupancies", "1"), ("B_iso_or_equiv", "B factors", "0")):
        column = block.find_loop(f"_atom_site.{tag}")
        missing = [row for row, text in enumerate(column) if text in (".", "?")]
        for row in missing:
            column[row] = value
        count = len(column) if tag in absent else len(missing)
        if count:
            notes.append(f"{of} of {count} atoms are absent; {value} is taken")
    if "label_atom_id" in absent:
        names = block.find_loop("_atom_site.label_atom_id")
        for row, symbol in enumerate(block.find_loop("_atom_site.type_symbol")):
            names[row] = symbol
    if "_atom_site.auth_seq_id" not in loop.tags:
        loop.add_columns(["_atom_site.auth_seq_id"], ".")
        numbers = block.find_loop("_atom_site.auth_seq_id")
        for row, number in enumerate(_residue_numbers(block)):
            numbers[row] = number


def _residue_numbers(block: cif.Block) -> Iterator[str]:
    """A number for each atom: that of its sequence, or where there is none a new one for each residue."""
    names = ("label_seq_id", "label_asym_id", "label_comp_id", "label_atom_id")
    before: list[str] | None = None
    seen: set[str] = set()
    number = 0
    for sequence, *residue, atom in block.find("_atom_site.", names):
        if sequence not in (".", "?"):
            before = None
            yield sequence
            continue
        if residue != before or atom in seen:
            before, seen, number = residue, set(), number + 1
        seen.add(atom)
        yield str(number)


def _pdb_lines(lines: list[str], notes: list[str]) -> Iterator[str]:
    """The lines, those of atoms checked, with element, occupancy and B factor where they had none."""
    is_atom = [line.startswith(("ATOM  ", "HETATM")) for line in lines]
    unaligned = any(atom and line[12:16] in _ONE_LETTER for line, atom in zip(lines, is_atom, strict=True))
    named, blank = 0, {"occupancies": 0, "B factors": 0}
    for line, atom in zip(lines, is_atom, strict=True):
        if not atom:
            yield line
            continue
        line = line.ljust(80)
        _require_numbers(line)
        occupancy, b_factor, element = line[54:60], line[60:66], line[76:78]
        if not occupancy.strip():
            occupancy = "  1.00"
            blank["occupancies"] += 1
        if not b_factor.strip():
            b_factor = "  0.00"
            blank["B factors"] += 1
        if unaligned and not element.strip():
            element = _element(line[12:16].strip(), line[17:21].strip()).rjust(2)
            named += 1
        yield f"{line[:54]}{occupancy}{b_factor}{line[66:76]}{element}{line[78:]}"
    if named:
        notes.append(f"{named} atoms without element, their names out of column: it is taken from the names")
    for (of, count), value in zip(blank.items(), (1, 0), strict=True):
        if count:
            notes.append(f"{of} of {count} atoms are absent; {value} is taken")


def _require_numbers(line: str) -> None:
    """Refuse an atom's line whose numbers aren't."""
    number = line[22:26]
    fields = [("coordinate", line[begin : begin + 8]) for begin in (30, 38, 46)]
    fields += [("occupancy", line[54:60].strip() or "1"), ("B factor", line[60:66].strip() or "0")]
    if not number.strip()[:1].isalpha():  # else it's hybrid-36
        fields.append(("residue number", number))
    for what, text in fields:
        try:
            float(text)
        except ValueError:
            where = f"/{line[21]}:{line[22:27].strip()} {line[17:20].strip()}"
            atom = f"atom {line[12:16].strip()} of {where}"
            raise InputError(f"{atom} has the {what} {text!r}; correct it") from None


def _element(name: str, residue: str) -> str:
    """The element of an atom by its name alone, knowing its residue's."""
    import gemmi

    letters = name.lstrip("0123456789'\"*").upper()
    symbol = re.findall(r"^[A-Z]*", letters)[0]
    info = gemmi.find_tabulated_residue(residue)
    alone = symbol == residue.upper().rstrip("+-0123456789") and gemmi.Element(symbol[:2]).atomic_number > 0
    if alone or (symbol[:2] in _TWO_LETTERS and not (info.is_amino_acid() and symbol[:2] != "SE")):
        return symbol[:2]
    return symbol[:1] or "X"
