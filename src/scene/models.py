"""ChimeraX maps and atoms as the engine's DensityMap and AtomicModel, in one frame of the scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from chimerax.atomic import Atom, Atoms, Residue, Residues
from chimerax.core.errors import UserError
from chimerax.geometry import Place
from chimerax.map import Volume

from ..cryomap import atoms as engine
from ..cryomap.density import DensityMap
from .volumes import Region, region_grid, region_values


def full_region(volume: Volume) -> Region:
    """All of a map at full resolution, whatever of it is shown."""
    low, high, step = volume.full_region()
    return tuple(map(int, low)), tuple(map(int, high)), tuple(map(int, step))


def density_map(volume: Volume, frame: Place) -> DensityMap:
    """A whole map, where it lies in the scene.

    Args:
        volume: the map.
        frame: turns the wanted coordinates into those of the scene: the `scene_position` of a map, say.

    Raises:
        UserError: the map is shown stretched, so its voxel size is no longer the data's.
    """
    region = full_region(volume)
    grid = region_grid(volume, region)
    move = frame.inverse() * volume.scene_position
    if not move.is_identity(tolerance=1e-6):
        turn = move.matrix[:, :3]
        if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-4):
            raise UserError(f"{volume}: it's scaled in the scene; mapcc takes maps that are moved or turned")
        grid = replace(
            grid,
            origin=tuple(map(float, move * np.array(grid.origin))),
            rotation=tuple(tuple(map(float, row)) for row in turn @ np.array(grid.rotation)),
        )
    return DensityMap(region_values(volume, region), grid, str(volume))


def atomic_model(atoms: Atoms, frame: Place) -> tuple[engine.AtomicModel, Residues]:
    """Atoms, in all their alternate conformations, where they lie in the scene.

    Args:
        atoms: of one structure or more.
        frame: see `density_map`.

    Returns:
        The model, and its residues in the order of `AtomicModel.residues`.
    """
    atoms = _by_residue(atoms)
    residues = atoms.unique_residues
    # unique_residues keeps the order of first appearance, and the atoms of a residue are together.
    owners = np.zeros(len(atoms), np.int32)
    pointers = atoms.residues.pointers
    owners[1:] = np.cumsum(pointers[1:] != pointers[:-1])
    columns = {
        "positions": frame.inverse() * atoms.scene_coords,
        "atomic_numbers": atoms.element_numbers.astype(np.uint8),
        "b_factors": atoms.bfactors.astype(float),
        "occupancies": atoms.occupancies.astype(float),
        "atom_names": np.array(atoms.names, str),
        "alt_locs": np.char.strip(np.array(atoms.alt_locs, str)),
        "residue_indices": owners,
    }
    others = _other_conformations(atoms, frame)
    if others:
        more = {
            key: np.array([row[key] for row in others]) for key in ("positions", "b_factors", "occupancies")
        }
        more["alt_locs"] = np.array([row["alt_locs"] for row in others], str)
        source = np.array([row["atom"] for row in others])
        for key in columns:
            columns[key] = np.concatenate([columns[key], more.get(key, columns[key][source])])
        order = np.argsort(columns["residue_indices"], kind="stable")
        columns = {key: column[order] for key, column in columns.items()}
    name = " ".join(str(structure) for structure in atoms.unique_structures)
    return engine.AtomicModel(**columns, residues=_residues(residues, atoms, owners), name=name), residues


def _by_residue(atoms: Atoms) -> Atoms:
    """The atoms, those of a residue together."""
    _, first, which = np.unique(atoms.residues.pointers, return_index=True, return_inverse=True)
    return atoms[np.argsort(first[which], kind="stable")]


def _other_conformations(atoms: Atoms, frame: Place) -> list[dict]:
    """What the alternate conformations that are not shown add: a row each."""
    rows = []
    for index in np.flatnonzero(atoms.num_alt_locs > 1):
        atom: Atom = atoms[int(index)]
        shown = atom.alt_loc
        place = frame.inverse() * atom.structure.scene_position
        with atom.suppress_alt_loc_change_notifications():
            for loc in atom.alt_locs:
                if loc != shown:
                    atom.alt_loc = loc
                    rows.append(
                        {
                            "atom": int(index),
                            "positions": place * atom.coord,
                            "b_factors": float(atom.bfactor),
                            "occupancies": float(atom.occupancy),
                            "alt_locs": loc,
                        }
                    )
    return rows


def _residues(residues: Residues, atoms: Atoms, owners: np.ndarray) -> tuple[engine.Residue, ...]:
    ends = np.flatnonzero(np.diff(owners)) + 1
    names = np.split(np.array(atoms.names, str), ends)
    heavy = np.split(atoms.element_numbers > 1, ends)
    return tuple(
        engine.Residue(
            residue.chain_id,
            residue.number,
            residue.insertion_code.strip(),
            residue.name,
            engine.component_kind(
                residue.name, set(names[i]), int(heavy[i].sum()), residue.polymer_type != Residue.PT_NONE
            ),
        )
        for i, residue in enumerate(residues)
    )
