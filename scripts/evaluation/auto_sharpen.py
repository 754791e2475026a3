"""Baseline: cctbx's auto_sharpen (Terwilliger et al. 2018), run as a process of its own.

cctbx and gemmi carry different C++ libraries and may not meet in one process. The boxing step is left out,
since it needs parts of Phenix that cctbx-base lacks.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from cryomap.density import DensityMap, read_map, write_map

PROGRAM = """
import sys
from cctbx.maptbx import auto_sharpen
source, result, resolution = sys.argv[1:]
auto_sharpen.run(
    args=[
        f"map_file={source}",
        f"resolution={resolution}",
        f"sharpened_map_file={result}",
        "sharpened_map_coeffs_file=None",
        "box_in_auto_sharpen=False",
        "density_select_in_auto_sharpen=False",
        "nproc=1",
    ],
    out=sys.stdout,
)
"""


def auto_sharpened(density: DensityMap, resolution: float, seconds: float = 60.0) -> DensityMap | str:
    """The map as auto_sharpen makes it, on the same grid, or why there is none (not installed, too slow, failed).

    Args:
        density: the map, on an unrotated grid.
        resolution: in A.
        seconds: after which it is given up.
    """
    with tempfile.TemporaryDirectory() as folder:
        # A zero origin: the reference treats others in ways of its own.
        source, result = Path(folder) / "source.ccp4", Path(folder) / "result.ccp4"
        write_map(replace(density, grid=replace(density.grid, origin=(0.0, 0.0, 0.0))), source)
        command = [sys.executable, "-c", PROGRAM, str(source), str(result), f"{resolution:g}"]
        try:
            run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return f"not done within {seconds:g} s"
        if run.returncode or not result.is_file():
            lines = run.stderr.strip().splitlines() or ["no message"]
            return lines[-1][:200]
        values = read_map(result).values
    if values.shape != density.grid.shape:
        return f"it returned {values.shape} voxels for {density.grid.shape}"
    return replace(density, values=values)
