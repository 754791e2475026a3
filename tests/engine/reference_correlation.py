"""Prints, as JSON, what cctbx's map_model_cc finds for a map and a model. A process of its own: cctbx and gemmi clash.

Usage: python reference_correlation.py MAP.npy GRID.json MODEL.pdb RESOLUTION
"""

import json
import sys
import time
from pathlib import Path

import iotbx.pdb
import mmtbx.maps.map_model_cc as map_model_cc
import numpy as np
from cctbx import crystal
from scitbx.array_family import flex


def main():
    values = np.load(sys.argv[1]).astype(float)
    step = json.loads(Path(sys.argv[2]).read_text())["step"]
    hierarchy = iotbx.pdb.input(file_name=sys.argv[3]).construct_hierarchy()
    cell = [n * s for n, s in zip(values.shape[::-1], step, strict=True)] + [90, 90, 90]
    # The wrapper has put the first voxel at (0, 0, 0); cctbx's arrays run x, y, z.
    data = flex.double(np.ascontiguousarray(values.transpose(2, 1, 0)))
    params = map_model_cc.master_params().extract().map_model_cc
    params.resolution = float(sys.argv[4])
    params.compute.fsc = False
    start = time.perf_counter()
    task = map_model_cc.map_model_cc(data, hierarchy, crystal.symmetry(cell, "P1"), params)
    task.validate()
    task.run()
    result = task.get_results()
    report = {
        "seconds": time.perf_counter() - start,
        "cc_box": result.cc_box,
        "cc_mask": result.cc_mask,
        "cc_volume": result.cc_volume,
        "cc_peaks": result.cc_peaks,
        "atom_radius": result.atom_radius,
        "main_chain": result.cc_main_chain and result.cc_main_chain.cc,
        "side_chain": result.cc_side_chain and result.cc_side_chain.cc,
        "chains": [[r.chain_id, r.cc] for r in result.cc_per_chain],
        "residues": [[r.chain_id, r.resseq.strip() + r.icode.strip(), r.cc] for r in result.cc_per_residue],
    }
    json.dump(report, sys.stdout)


main()
