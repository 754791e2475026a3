"""Prints, as JSON, what cctbx's mtriage finds for a map and a model. A process of its own: cctbx and gemmi clash.

Usage: python reference_fourier.py MAP.npy GRID.json MODEL.cif RESOLUTION [HALF1.npy HALF2.npy]
"""

import json
import sys
import time
from pathlib import Path

import iotbx.pdb
import numpy as np
from cctbx import crystal
from mmtbx.maps import mtriage
from scitbx.array_family import flex


def as_flex(path):
    # cctbx's arrays run x, y, z.
    return flex.double(np.ascontiguousarray(np.load(path).astype(float).transpose(2, 1, 0)))


def main():
    data = as_flex(sys.argv[1])
    step = json.loads(Path(sys.argv[2]).read_text())["step"]
    halves = [as_flex(path) for path in sys.argv[5:7]] or [None, None]
    cell = [n * s for n, s in zip(data.all(), step, strict=True)] + [90, 90, 90]
    symmetry = crystal.symmetry(cell, "P1")
    hierarchy = iotbx.pdb.input(file_name=sys.argv[3]).construct_hierarchy()
    structure = hierarchy.extract_xray_structure(crystal_symmetry=symmetry)
    structure.scattering_type_registry(table="electron")
    report = {}
    for name, masked in (("unmasked", False), ("masked", True)):
        params = mtriage.master_params().extract()
        params.resolution = float(sys.argv[4])
        params.mask_maps = masked
        start = time.perf_counter()
        task = mtriage.mtriage(data, halves[0], halves[1], structure, params=params)
        result = getattr(task.get_results(), name)
        curve = result.fsc_curve_model
        half = result.fsc_curve and result.fsc_curve.fsc
        report[name] = {
            "seconds": time.perf_counter() - start,
            "d99": result.d99,
            "d_model": result.d_model,
            "d_model_b0": result.d_model_b0,
            "b_overall": result.b_iso_overall,
            "d_fsc_model_0": result.d_fsc_model_0,
            "d_fsc_model_0143": result.d_fsc_model_0143,
            "d_fsc_model_05": result.d_fsc_model_05,
            "d": list(curve.d),
            "fsc": list(curve.fsc),
            "d_fsc": result.d_fsc,
            "half_d": half and list(half.d),
            "half_fsc": half and list(half.fsc),
        }
    json.dump(report, sys.stdout)


main()
