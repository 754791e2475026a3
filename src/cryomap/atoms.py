"""AtomicModel: atoms as plain arrays, and the kind of molecule each residue is."""

from __future__ import annotations

import os
from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    import gemmi

KINDS = ("protein", "nucleic", "ligand", "lipid", "glycan", "ion", "water")

# Residue names as the Chemical Component Dictionary spells them.
LIPIDS = frozenset(
    """
    PLM OLA OLC STE MYR PEE PC1 POV PGV PGT PEV PEF PEH PTY LPP LHG LMG LMT BOG DMU HTG BNG LDA C8E SDS
    CDL CLR CHL CHS Y01 PX4 PLC PCW POP 3PE 6PL 9PE LPE MC3 PIO PIE PA8 D10 D12 DD9 HEX OCT UND TRD C14
    R16 HP6 LFA DAO DKA AJP 3PH LMU P0E P5S PS2 PSF PIK T7X CPL LPC 1PE 44E AV0 LBN D39
    """.split()
)
GLYCANS = frozenset(
    """
    NAG NDG BMA MAN GAL GLA GLC BGC FUC FUL FCA FCB SIA SLB XYS XYP NGA A2G BGL GLB RAM RIB ARA XYL BDP
    IDS SGN GCU GTR ADA KDN 4YS M6P GLP
    """.split()
)


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

    def __len__(self) -> int:
        return len(self.positions)

    def subset(self, chosen: np.ndarray) -> AtomicModel:
        """The atoms that a mask or index array (n,) chooses; `residues` stays whole."""
        arrays = {key: value[chosen] for key, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays)

    @property
    def atom_kinds(self) -> np.ndarray:
        """The kind (see `KINDS`) of each atom's residue, (n,) str."""
        return np.array([r.kind for r in self.residues] or [""])[self.residue_indices]


def read_model(path: str | os.PathLike) -> AtomicModel:
    """Read the first model of a PDB, mmCIF or mmJSON file, plain or .gz.

    Raises:
        InputError: no such file, not a model, or no atoms in it.
    """
    import gemmi

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        structure = gemmi.read_structure(str(path))
    except (ValueError, RuntimeError, OSError) as error:
        raise InputError(f"{path}: not a readable atomic model ({error})") from None
    if len(structure) == 0 or structure[0].count_atom_sites() == 0:
        raise InputError(f"{path}: no atoms in it")
    structure.setup_entities()
    return from_gemmi(structure[0], path.name)


def from_gemmi(model: gemmi.Model, name: str) -> AtomicModel:
    """An AtomicModel of a `gemmi.Model`, every alternate conformation and hydrogen included."""
    residues: list[Residue] = []
    rows, names, alts, owners = [], [], [], []
    for chain in model:
        for residue in chain:
            for atom in residue:
                z = 0 if atom.element.name == "X" else atom.element.atomic_number
                rows.append((*atom.pos.tolist(), z, atom.b_iso, atom.occ))
                names.append(atom.name)
                alts.append(atom.altloc.strip("\0"))
                owners.append(len(residues))
            code = residue.seqid.icode.strip()
            residues.append(
                Residue(chain.name, residue.seqid.num or 0, code, residue.name, residue_kind(residue))
            )
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
    if info.is_water():
        return "water"
    if info.is_amino_acid() or {"N", "CA", "C"} <= atom_names:
        return "protein"
    if info.is_nucleic_acid() or (in_polymer and {"C1'", "C3'", "O3'"} <= atom_names):
        return "nucleic"
    if name in LIPIDS:
        return "lipid"
    if name in GLYCANS:
        return "glycan"
    return "ion" if heavy_atoms == 1 else "ligand"
