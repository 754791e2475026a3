"""Prints, as JSON, cctbx's Q-scores of maps and models. A process of its own: cctbx and gemmi clash.

Usage: python reference_qscore.py PROBES FOLDER [FOLDER ...], each as `references.write_inputs` leaves it
"""

import json
import sys
import time
import types

try:
    import pandas  # noqa: F401
except ImportError:
    # Only the table by residue needs pandas; the scores by atom, which are all that is asked, don't.
    sys.modules["pandas"] = types.ModuleType("pandas")

import iotbx.pdb
import mmtbx.model
import numpy as np
from cctbx.maptbx import qscore
from iotbx.map_manager import map_manager
from iotbx.map_model_manager import map_model_manager
from reference_inputs import read_inputs


class NoTable:
    values = ()


def score(folder, probes):
    data, symmetry, _ = read_inputs(folder)
    density = map_manager(
        map_data=data,
        unit_cell_grid=data.all(),
        unit_cell_crystal_symmetry=symmetry,
        wrapping=False,
    )
    atoms = iotbx.pdb.input(file_name=f"{folder}/model.cif")
    model = mmtbx.model.manager(atoms, crystal_symmetry=symmetry)
    both = map_model_manager(map_manager=density, model=model)
    start = time.process_time()
    result = qscore.calc_qscore(both, shells=list(np.linspace(0.1, 2, 20)), n_probes=probes)
    seconds = time.process_time() - start
    return {"seconds": seconds, "q": [float(q) for q in result["qscore_per_atom"]]}


qscore.aggregate_qscore_per_residue = lambda model, q, window: {"Q-Residue": NoTable()}
json.dump({"results": [score(folder, int(sys.argv[1])) for folder in sys.argv[2:]]}, sys.stdout)
