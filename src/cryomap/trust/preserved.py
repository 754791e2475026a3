"""Where the input is to stay as it is: about chosen atoms, or inside a mask."""

from __future__ import annotations

import os

import numpy as np
from scipy import ndimage

from ..atoms import KINDS, AtomicModel, read_model
from ..density import DensityMap, mask_on, read_map
from ..errors import InputError
from ..grid import Grid
from ..model_files import is_model, read_structure
from .sites import near_sites

REACH = 2.0  # A beyond an atom: as far as Q-scores look
EDGE = 1.5  # A, over which the input gives way to the result


def about_atoms(positions: np.ndarray, grid: Grid) -> np.ndarray:
    """1 within 2 A of positions (n, 3; x, y, z in A), falling to 0 over 1.5 A: float32 (z, y, x)."""
    return soft_edge(near_sites(positions, grid, REACH), grid)


def soft_edge(inside: np.ndarray, grid: Grid, reach: float = 0.0) -> np.ndarray:
    """1 inside (bool, z, y, x) and `reach` A beyond, falling to 0 over 1.5 A more, float32."""
    weight, step = np.zeros(inside.shape, np.float32), np.array(grid.step)[::-1]
    margin = np.ceil((reach + EDGE) / step).astype(int)
    for box in ndimage.find_objects(inside.view(np.int8)):  # distances take a dozen times a map's memory
        part = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(box, margin, strict=True))
        distance = ndimage.distance_transform_edt(~inside[part], sampling=step)
        weight[part] = 0.5 + 0.5 * np.cos(np.pi * ((distance - reach) / EDGE).clip(0, 1))
    return weight


def split_selection(text: str) -> tuple[str, str]:
    """File and selection of FILE or MODEL:SELECTION; the selection is "" where there is none."""
    path, colon, selection = text.rpartition(":")
    return (path, selection) if colon and is_model(path) else (text, "")


def read_preserved(text: str, density: DensityMap) -> np.ndarray:
    """How much of the input stays at each voxel of a map, float32 (z, y, x).

    Args:
        text: MODEL or MODEL:SELECTION, or a mask map: its density above 0. A selection is a kind of residue (ligand,
            ion, lipid, glycan, nucleic, water, protein), names of such with commas between, as in ATP,MG, or what
            gemmi takes, as in //A/301.
        density: the map.

    Raises:
        InputError: the file can't be read, or nothing that is selected lies in the map.
    """
    path, selection = split_selection(text)
    if is_model(path):
        model = read_model(path)
        positions = model.positions[selected_atoms(model, path, selection)]
        weight = about_atoms(positions, density.grid)
    else:
        weight = soft_edge(mask_on(read_map(path), density).values > 0, density.grid)
    if not weight.any():
        raise InputError(f"{text}: nothing of it lies in {density.name}; check that the two are in one frame")
    return weight


def selected_atoms(model: AtomicModel, path: str | os.PathLike, selection: str) -> np.ndarray:
    """Which atoms of a model, read from `path`, a selection means, bool (n,), see `read_preserved`.

    Raises:
        InputError: it means none, or gemmi doesn't know what it means.
    """
    words = [word.strip() for word in selection.split(",")]
    names = np.array([residue.name for residue in model.residues])[model.residue_indices]
    if not selection:
        chosen = np.ones(len(model), bool)
    elif all(word in KINDS for word in words):
        chosen = np.isin(model.atom_kinds, words)
    elif "/" not in selection and np.isin(words, names).all():
        chosen = np.isin(names, words)
    else:
        chosen = _by_gemmi(model, path, selection)
    if not chosen.any():
        raise InputError(
            f"{path}: no atom is selected by {selection!r}; give a kind as ligand, residue names as ATP,MG, or //A/301"
        )
    return chosen


def _by_gemmi(model: AtomicModel, path: str | os.PathLike, selection: str) -> np.ndarray:
    import gemmi

    structure, _ = read_structure(path)
    try:
        chosen = gemmi.Selection(selection)
        found = {
            (chain.name, residue.seqid.num, residue.seqid.icode.strip(), atom.name, atom.altloc.strip("\0"))
            for m in chosen.models(structure)
            for chain in chosen.chains(m)
            for residue in chosen.residues(chain)
            for atom in chosen.atoms(residue)
        }
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path}: the selection {selection!r} can't be understood ({error})") from None
    residues = [model.residues[index] for index in model.residue_indices]
    keys = zip(residues, model.atom_names, model.alt_locs, strict=True)
    return np.array(
        [(r.chain_id, r.number, r.insertion_code, str(name), str(alt)) in found for r, name, alt in keys]
    )
