"""Prints, as JSON, what cctbx's map_model_cc finds for maps and models. A process of its own: cctbx and gemmi clash.

Usage: python reference_correlation.py FOLDER [FOLDER ...], each as `references.write_inputs` leaves it
"""

import json
import sys
import time

import iotbx.pdb
import mmtbx.maps.map_model_cc as map_model_cc
from reference_inputs import read_inputs


def compare(folder):
    data, symmetry, resolution = read_inputs(folder)
    hierarchy = iotbx.pdb.input(file_name=f"{folder}/model.cif").construct_hierarchy()
    params = map_model_cc.master_params().extract().map_model_cc
    params.resolution = resolution
    params.compute.fsc = False
    start = time.process_time()
    task = map_model_cc.map_model_cc(data, hierarchy, symmetry, params)
    task.validate()
    task.run()
    result = task.get_results()
    return {
        "seconds": time.process_time() - start,
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


json.dump({"results": [compare(folder) for folder in sys.argv[1:]]}, sys.stdout)
