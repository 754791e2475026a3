"""Prints, as JSON, what cctbx's mtriage finds for maps and models. A process of its own: cctbx and gemmi clash.

Usage: python reference_fourier.py FOLDER [FOLDER ...], each as `references.write_inputs` leaves it; half1.npy and
half2.npy in it are used as half maps. With the word exact first, structure factors are summed atom by atom
instead of by the reference's approximate FFT, which moves its d_model by a step of 0.1 A now and then; that takes
long, so it is done without the mask only.
"""

import json
import sys
import time
from pathlib import Path

import iotbx.pdb
from cctbx import miller
from mmtbx.maps import mtriage
from reference_inputs import as_flex, read_inputs


def sum_exactly():
    by_fft = miller.set.structure_factors_from_scatterers

    def by_summation(self, xray_structure, algorithm=None, **others):
        return by_fft(self, xray_structure, algorithm="direct", **others)

    miller.set.structure_factors_from_scatterers = by_summation


def triage(folder, names):
    data, symmetry, resolution = read_inputs(folder)
    halves = [as_flex(path) if path.exists() else None for path in _half_maps(folder)]
    hierarchy = iotbx.pdb.input(file_name=f"{folder}/model.cif").construct_hierarchy()
    structure = hierarchy.extract_xray_structure(crystal_symmetry=symmetry)
    structure.scattering_type_registry(table="electron")
    return {name: _run(data, halves, structure, resolution, name) for name in names}


def _half_maps(folder):
    return [Path(folder) / f"half{n}.npy" for n in (1, 2)]


def _run(data, halves, structure, resolution, name):
    params = mtriage.master_params().extract()
    params.resolution = resolution
    params.mask_maps = name == "masked"
    start = time.process_time()
    result = getattr(mtriage.mtriage(data, *halves, structure, params=params).get_results(), name)
    seconds = time.process_time() - start
    curve, half = result.fsc_curve_model, result.fsc_curve and result.fsc_curve.fsc
    return {
        "seconds": seconds,
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


folders, names = sys.argv[1:], ("unmasked", "masked")
if folders[0] == "exact":
    sum_exactly()
    folders, names = folders[1:], ("unmasked",)
json.dump({"results": [triage(folder, names) for folder in folders]}, sys.stdout)
