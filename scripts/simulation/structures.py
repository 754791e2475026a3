"""The structures that simulated experiments start from."""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cryomap.atoms import KINDS, AtomicModel, read_model
from cryomap.errors import InputError

from .side_chains import side_chains_of

WATER = KINDS.index("water")
POLYMERS = (KINDS.index("protein"), KINDS.index("nucleic"))


@dataclass(frozen=True)
class Structure:
    """The heavy atoms of one entry.

    Attributes:
        pdb_id: the entry.
        positions: float32 (n, 3), x, y, z in A.
        atomic_numbers: uint8 (n,).
        b_ranks: float32 (n,), each atom's rank by B factor within the entry, 0 (rigid) to 1.
        kinds: uint8 (n,), index into `cryomap.atoms.KINDS`.
        chains: int32 (n,), number of the chain.
        residues: int32 (n,), number of the residue.
        depths, charges: uint8 (n,), see `side_chains`.
        cluster: which entries it is related to; "" if that isn't known.
        relative_of: the maps, by name or EMDB id, whose proteins it is related to.
    """

    pdb_id: str
    positions: Tensor
    atomic_numbers: Tensor
    b_ranks: Tensor
    kinds: Tensor
    chains: Tensor
    residues: Tensor
    depths: Tensor
    charges: Tensor
    cluster: str = ""
    relative_of: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.positions)

    def columns(self) -> dict[str, Tensor]:
        """What is known of each atom, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    def chosen(self, which: Tensor, device: torch.device | str = "cpu") -> Structure:
        """The atoms that a mask (n,) chooses, on a device."""
        return replace(self, **{name: column[which].to(device) for name, column in self.columns().items()})


def join(parts: Sequence[Structure]) -> Structure:
    """Several as one, under the first one's id; residues and chains are numbered on."""
    columns = {name: [part.columns()[name] for part in parts] for name in parts[0].columns()}
    for name in ("residues", "chains"):
        starts = accumulate((int(column.max()) + 1 for column in columns[name]), initial=0)
        columns[name] = [column + start for column, start in zip(columns[name], starts, strict=False)]
    return replace(parts[0], **{name: torch.cat(column) for name, column in columns.items()})


def read_structure(path: str | os.PathLike) -> Structure:
    """One entry from a PDB or mmCIF file: first conformations, no hydrogens.

    Raises:
        InputError: not a model, or nothing left of it.
    """
    model, _ = first_conformations(read_model(path), waters=True)
    if (model.atom_kinds == "water").all():
        raise InputError(f"{path}: no heavy atoms besides water")
    return structure_of(model, Path(path).name.split(".")[0])


def first_conformations(model: AtomicModel, waters: bool) -> tuple[AtomicModel, AtomicModel]:
    """A model's heavy atoms, of alternate conformations the first, with or without waters; and the other ones."""
    heavy = model.atomic_numbers > 1
    shown = heavy & (model.occupancies > 0) & _is_first(model)
    if not waters:
        shown &= model.atom_kinds != "water"
    return model.subset(shown), model.subset(heavy & ~shown)


def _is_first(model: AtomicModel) -> np.ndarray:
    """Mask (n,) of the atoms without alternates, and of each alternate's first: A, or B where there is no A.

    Where residues alternate (a serine A, a threonine B), the first residue's atoms alone.
    """
    first = model.alt_locs == ""
    chosen: dict[tuple, int] = {}
    residue_of: dict[tuple, tuple[str, str]] = {}
    for i in np.flatnonzero(~first):
        residue = model.residues[model.residue_indices[i]]
        place = (residue.chain_id, residue.number, residue.insertion_code)
        name = (str(model.alt_locs[i]), residue.name)
        residue_of[place] = min(residue_of.get(place, name), name)
        atom = (*place, residue.name, str(model.atom_names[i]))
        if atom not in chosen or model.alt_locs[i] < model.alt_locs[chosen[atom]]:
            chosen[atom] = int(i)
    first[[i for atom, i in chosen.items() if residue_of[atom[:3]][1] == atom[3]]] = True
    return first


def structure_of(model: AtomicModel, pdb_id: str) -> Structure:
    """All atoms of a model, which must have some, as the trainer has them."""
    kinds = np.array([KINDS.index(r.kind) for r in model.residues], np.uint8)[model.residue_indices]
    names = [r.chain_id for r in model.residues]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    chains = np.array([numbers[name] for name in names], np.int32)[model.residue_indices]
    order = np.argsort(np.argsort(model.b_factors, kind="stable"))
    owners = [model.residues[i] for i in model.residue_indices]
    depths, charges = side_chains_of(model.atom_names, [r.name for r in owners], [r.kind for r in owners])
    return Structure(
        pdb_id,
        torch.from_numpy(model.positions.astype(np.float32)),
        torch.from_numpy(model.atomic_numbers),
        torch.from_numpy((order / max(1, len(model) - 1)).astype(np.float32)),
        torch.from_numpy(kinds),
        torch.from_numpy(chains),
        torch.from_numpy(model.residue_indices),
        torch.from_numpy(depths),
        torch.from_numpy(charges),
    )


def split(structures: list[Structure], validation: float = 0.08) -> tuple[list[Structure], list[Structure]]:
    """Training and validation entries; related ones are on one side."""
    training = [s for s in structures if not is_held_out(s.cluster or s.pdb_id, validation)]
    return training, [s for s in structures if is_held_out(s.cluster or s.pdb_id, validation)]


def is_held_out(name: str, share: float = 0.08) -> bool:
    """Whether an entry or a cluster is one of the share never trained on; by a hash, so that it never changes."""
    return zlib.crc32(name.lower().encode()) % 1000 < 1000 * share


def is_related(structure: Structure, maps: Collection[str]) -> bool:
    """Whether a structure is related to one of the maps, which have these names or EMDB ids."""
    return not set(maps).isdisjoint(structure.relative_of)
