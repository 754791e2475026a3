"""Prints, as JSON, cctbx's Q-scores of a map and a model. A process of its own: cctbx and gemmi clash.

Usage: python reference_qscore.py MAP.npy GRID.json MODEL.cif PROBES
"""

import json
import sys
import time
import types
from pathlib import Path

try:
    import pandas  # noqa: F401
except ImportError:
    # Only the table by residue needs pandas; the scores by atom, which are all that is asked, don't.
    sys.modules["pandas"] = types.ModuleType("pandas")

import iotbx.pdb
import mmtbx.model
import numpy as np
from cctbx import crystal
from cctbx.maptbx import qscore
from iotbx.map_manager import map_manager
from iotbx.map_model_manager import map_model_manager
from scitbx.array_family import flex


def main():
    values = np.load(sys.argv[1]).astype(float)
    step = json.loads(Path(sys.argv[2]).read_text())["step"]
    cell = [n * s for n, s in zip(values.shape[::-1], step, strict=True)] + [90, 90, 90]
    symmetry = crystal.symmetry(cell, "P1")
    # cctbx's arrays run x, y, z.
    data = flex.double(np.ascontiguousarray(values.transpose(2, 1, 0)))
    density = map_manager(
        map_data=data,
        unit_cell_grid=data.all(),
        unit_cell_crystal_symmetry=symmetry,
        wrapping=False,
    )
    model = mmtbx.model.manager(iotbx.pdb.input(file_name=sys.argv[3]), crystal_symmetry=symmetry)
    both = map_model_manager(map_manager=density, model=model)
    qscore.aggregate_qscore_per_residue = lambda model, q, window: {"Q-Residue": _NoTable()}
    start = time.perf_counter()
    result = qscore.calc_qscore(both, shells=list(np.linspace(0.1, 2, 20)), n_probes=int(sys.argv[4]))
    seconds = time.perf_counter() - start
    json.dump({"seconds": seconds, "q": [float(q) for q in result["qscore_per_atom"]]}, sys.stdout)


class _NoTable:
    values = ()


main()
