"""Maps that another program made, found in a folder by the entry's name or EMDB id."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from cryomap.density import DensityMap, read_map, resample
from cryomap.grid import Grid
from pairs.entries import MAP_ENDINGS, Entry, emdb_number


def result_of(folder: Path, entry: Entry, density: DensityMap, grid: Grid) -> tuple[DensityMap | str, dict]:
    """The result of an entry on the grid wanted (cubic spline), or why there is none; and facts.

    A program that drops the header's origin is common: a map with the deposited map's own voxels is laid on them
    whatever its origin says.

    Args:
        folder: of maps whose names hold the entry's name or EMDB id.
        entry: whose result.
        density: the deposited map.
        grid: the wanted.

    Raises:
        InputError: a file that can't be read.
    """
    files = [f for f in sorted(folder.iterdir()) if f.name.lower().endswith(MAP_ENDINGS) and names(f, entry)]
    if len(files) != 1:
        return f"{len(files)} maps in {folder.name} are called so", {}
    found, facts = read_map(files[0]), {"file": files[0].name}
    same_voxels = found.grid.shape == density.grid.shape and np.allclose(
        found.grid.step, density.grid.step, rtol=1e-3
    )
    if same_voxels and not np.allclose(found.grid.origin, density.grid.origin, atol=0.01):
        found, facts["origin"] = replace(found, grid=density.grid), "the deposited map's"
    result = resample(found, grid, order=3)
    if not result.values.any():
        return f"{files[0].name} lies outside the deposited map", facts
    return result, facts


def names(file: Path, entry: Entry) -> bool:
    """Whether a file's name holds the entry's name as a word, or its EMDB number of four digits or more."""
    patterns = [rf"(?<![a-z0-9]){re.escape(entry.name.lower())}(?![a-z0-9])"]
    if entry.emdb_id:
        patterns.append(rf"(?<!\d){emdb_number(entry.emdb_id)}(?!\d)")
    return any(re.search(pattern, file.name.lower()) for pattern in patterns)
