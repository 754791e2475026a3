"""AtomicModel: atoms as plain arrays, and the kind of molecule each residue is."""

from __future__ import annotations

import os
from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from .errors import InputError
from .model_files import read_structure

if TYPE_CHECKING:
    import gemmi

KINDS = ("protein", "nucleic", "ligand", "lipid", "glycan", "ion", "water")

# Residue names as the Chemical Component Dictionary spells them.
LIPIDS = frozenset(
    """
    PLM OLA OLC STE MYR PEE PC1 POV PGV PGT PEV PEF PEH PTY LPP LHG LMG LMT BOG DMU HTG BNG LDA C8E SDS
    CDL CLR CHL CHS Y01 PX4 PLC PCW 3PE 6PL 9PE LPE MC3 PIO PIE PA8 D10 D12 DD9 HEX OCT UND TRD C14
    R16 HP6 LFA DAO DKA AJP 3PH LMU P0E P5S PS2 PSF PIK T7X CPL LPC 1PE 44E AV0 LBN D39
    """.split()
)
GLYCANS = frozenset(
    """
    NAG NDG BMA MAN GAL GLA GLC BGC FUC FUL FCA FCB SIA SLB XYS XYP NGA A2G BGL GLB RAM RIB ARA XYL BDP
    IDS SGN GCU GTR ADA KDN 4YS M6P GLP
    """.split()
)
# As programs of molecular dynamics call them.
WATERS = frozenset(
    "SOL TIP TIP2 TIP3 TIP4 TIP5 TP3 TP4 TP5 T3P T4P T4E T5P SPC SPCE OPC OPC3 OH2 WT1".split()
)
NUCLEOTIDES = frozenset(
    ["ADE", "GUA", "CYT", "URA", "THY"]
    + [f"{sugar}{base}{end}" for sugar in ("", "R", "D") for base in "AGCUT" for end in ("", "3", "5", "N")]
)
SUGAR = frozenset({"C1'", "C3'", "O3'"})
B_FACTORS = (0.0, 10_000.0)  # A^2; an atom wider than that is nowhere
OCCUPANCIES = (0.0, 10.0)
FARTHEST = 1e6  # A from the origin
SAME_PLACE = 1.0  # A


@dataclass(frozen=True)
class Residue:
    """One residue, ligand, ion or water.

    Attributes:
        chain_id: author's chain name.
        number: author's residue number.
        insertion_code: "" mostly.
        name: component name, ALA, DG, HEM, ...
        kind: one of `KINDS`.
    """

    chain_id: str
    number: int
    insertion_code: str
    name: str
    kind: str

    def __str__(self) -> str:
        return f"/{self.chain_id}:{self.number}{self.insertion_code} {self.name}"


@dataclass(frozen=True)
class AtomicModel:
    """The atoms of a model.

    Attributes:
        positions: float64 (n, 3), x, y, z in A.
        atomic_numbers: uint8 (n,); 0 for an unknown element.
        b_factors: float64 (n,) in A^2.
        occupancies: float64 (n,).
        atom_names: str (n,), CA, O5', ...
        alt_locs: str (n,), "" where there is one conformation.
        residue_indices: int32 (n,), index into `residues`.
        residues: every residue, in file order.
        name: what messages call it.
        notes: what of the file was taken otherwise than it stands there, in sentences that name it.
    """

    positions: np.ndarray
    atomic_numbers: np.ndarray
    b_factors: np.ndarray
    occupancies: np.ndarray
    atom_names: np.ndarray
    alt_locs: np.ndarray
    residue_indices: np.ndarray
    residues: tuple[Residue, ...]
    name: str = "model"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.positions)

    def subset(self, chosen: np.ndarray) -> AtomicModel:
        """The atoms that a mask or index array (n,) chooses; `residues` stays whole."""
        arrays = {key: value for key, value in vars(self).items() if isinstance(value, np.ndarray)}
        chosen_of: dict[str, Any] = {key: value[chosen] for key, value in arrays.items()}
        return replace(self, **chosen_of)

    @property
    def atom_kinds(self) -> np.ndarray:
        """The kind (see `KINDS`) of each atom's residue, (n,) str."""
        return np.array([r.kind for r in self.residues] or [""])[self.residue_indices]


def read_model(path: str | os.PathLike, number: int | None = None) -> AtomicModel:
    """Read a PDB, mmCIF or mmJSON file, plain or compressed (gzip, bzip2).

    Args:
        path: the file.
        number: of the one MODEL to read (pdbx_PDB_model_num in mmCIF); None: of models that lie on one another, those
            of an ensemble, the first; else all, as of an assembly.

    Raises:
        InputError: no such file, not a model, no atoms in it, no MODEL of that number, or an atom that can't be (see
            `require_possible`).
    """
    name = Path(path).name
    structure, notes = read_structure(path)
    models = [model for model in structure if model.count_atom_sites()]
    if not models:
        raise InputError(f"{path}: no atoms in it")
    if number is not None:
        numbers = [model.num for model in models]
        models = [model for model in models if model.num == number][:1]
        if not models:
            raise InputError(f"{path}: no MODEL {number} in it; it has {_listed(numbers)}")
    parts = [from_gemmi(model, name) for model in models]
    if len(parts) > 1:
        if any(_overlap(parts[0], other) for other in parts[1:]):
            parts = parts[:1]
            notes.append(f"the first of {len(models)} models, which lie on one another, is taken")
        else:
            notes.append(f"its {len(models)} models, which lie side by side, are taken together")
    model = replace(_together(parts), notes=tuple(f"{name}: {note}" for note in notes))
    require_possible(model)
    return model


def _listed(numbers: list[int]) -> str:
    """Numbers in words, many as their first and last."""
    return ", ".join(map(str, numbers)) if len(numbers) < 6 else f"{numbers[0]} to {numbers[-1]}"


def _overlap(first: AtomicModel, other: AtomicModel) -> bool:
    """Whether more than a few atoms of one model lie where the other has some."""
    distances, _ = cKDTree(first.positions).query(
        np.nan_to_num(other.positions), distance_upper_bound=SAME_PLACE
    )
    return np.isfinite(distances).mean() > 0.05


def _together(parts: list[AtomicModel]) -> AtomicModel:
    if len(parts) == 1:
        return parts[0]
    arrays: dict[str, Any] = {
        key: np.concatenate([vars(part)[key] for part in parts])
        for key, value in vars(parts[0]).items()
        if isinstance(value, np.ndarray)
    }
    shifts = np.cumsum([0, *(len(part.residues) for part in parts[:-1])])
    arrays["residue_indices"] += np.repeat(shifts, list(map(len, parts))).astype(np.int32)
    return replace(parts[0], **arrays, residues=tuple(residue for part in parts for residue in part.residues))


def require_possible(model: AtomicModel) -> None:
    """Refuse atoms that can't be.

    Raises:
        InputError: a coordinate, B factor or occupancy that is no number, negative, or beyond all measure.
    """
    ranges = [
        (f"{axis} coordinate", model.positions[:, i], -FARTHEST, FARTHEST) for i, axis in enumerate("xyz")
    ]
    ranges += [("B factor", model.b_factors, *B_FACTORS), ("occupancy", model.occupancies, *OCCUPANCIES)]
    for what, values, low, high in ranges:
        bad = np.flatnonzero(~((values >= low) & (values <= high)))
        if len(bad):
            atom, residue = model.atom_names[bad[0]], model.residues[model.residue_indices[bad[0]]]
            others = f", and {len(bad) - 1} more atoms the like" if len(bad) > 1 else ""
            raise InputError(
                f"{model.name}: atom {atom} of {residue} has the {what} {values[bad[0]]:g}{others}; correct the model"
            )


def save_atoms(model: AtomicModel, path: str | os.PathLike) -> None:
    """Write a model so that `load_atoms` gives it back, to the last bit."""
    columns: dict[str, Any] = {k: v for k, v in vars(model).items() if isinstance(v, np.ndarray)}
    residues = np.array([tuple(vars(residue).values()) for residue in model.residues], dtype="U32").reshape(
        -1, 5
    )
    np.savez(path, **columns, residues=residues, name=np.array(model.name))


def load_atoms(path: str | os.PathLike) -> AtomicModel:
    """Read what `save_atoms` wrote."""
    with np.load(path) as stored:
        content = dict(stored)
    rows = content.pop("residues").tolist()
    residues = tuple(Residue(chain, int(number), *rest) for chain, number, *rest in rows)
    return AtomicModel(
        **{k: v for k, v in content.items() if k != "name"}, residues=residues, name=str(content["name"])
    )


def from_gemmi(model: gemmi.Model, name: str) -> AtomicModel:
    """An AtomicModel of a `gemmi.Model`, every alternate conformation and hydrogen included."""
    residues: list[Residue] = []
    rows, names, alts, owners = [], [], [], []
    for chain in model:
        for residue in chain:
            for atom in residue:
                z = 0 if atom.element.name == "X" else atom.element.atomic_number
                rows.append((*atom.pos.tolist(), z, atom.b_iso, atom.occ))
                names.append(_printable(atom.name))
                alts.append(atom.altloc.strip("\0"))
                owners.append(len(residues))
            code = residue.seqid.icode.strip()
            kind = residue_kind(residue)
            number = residue.seqid.num or 0
            residues.append(Residue(_printable(chain.name), number, code, _printable(residue.name), kind))
    table = np.array(rows, float)
    return AtomicModel(
        positions=table[:, :3].copy(),
        atomic_numbers=table[:, 3].astype(np.uint8),
        b_factors=table[:, 4].copy(),
        occupancies=table[:, 5].copy(),
        atom_names=np.array(names),
        alt_locs=np.array(alts),
        residue_indices=np.array(owners, np.int32),
        residues=tuple(residues),
        name=name,
    )


def _printable(name: str) -> str:
    """A name without what would move the cursor or end the line."""
    return name if name.isprintable() else "".join(c if c.isprintable() else "?" for c in name)


def residue_kind(residue: gemmi.Residue) -> str:
    """The kind (see `KINDS`) of a `gemmi.Residue`."""
    import gemmi

    return component_kind(
        residue.name,
        {atom.name for atom in residue},
        sum(not atom.is_hydrogen() for atom in residue),
        residue.entity_type == gemmi.EntityType.Polymer,
    )


def component_kind(name: str, atom_names: Set[str], heavy_atoms: int, in_polymer: bool) -> str:
    """The kind (see `KINDS`) of a residue.

    Polymers are known by their component or by a backbone atom, so that modified residues count as polymer;
    what is left is water, lipid and glycan by name, an ion if it is one heavy atom, else a ligand.

    Args:
        name: of the component.
        atom_names: of its atoms.
        heavy_atoms: how many of them are no hydrogens.
        in_polymer: whether it's part of a chain.
    """
    import gemmi

    info = gemmi.find_tabulated_residue(name)
    atom_names = {atom.replace("*", "'") for atom in atom_names}
    if info.is_water() or name in WATERS:
        return "water"
    if info.is_amino_acid() or {"N", "CA", "C"} <= atom_names:
        return "protein"
    if info.is_nucleic_acid() or ((in_polymer or name in NUCLEOTIDES) and atom_names >= SUGAR):
        return "nucleic"
    if name in LIPIDS:
        return "lipid"
    if name in GLYCANS:
        return "glycan"
    return "ion" if heavy_atoms == 1 else "ligand"
