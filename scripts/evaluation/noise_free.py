"""Yardstick: what a map of the same resolution would score if it were free of noise."""

from __future__ import annotations

from dataclasses import replace

from cryomap.atoms import AtomicModel
from cryomap.density import DensityMap
from cryomap.metrics.assess import assess
from cryomap.metrics.correlation import fixed_scale
from cryomap.metrics.inputs import prepare_model
from cryomap.simulate import structure_factor_map

from .measures import NYQUIST


def noise_free(density: DensityMap, model: AtomicModel, resolution: float) -> tuple[DensityMap, float]:
    """The model's own map, cut where its FSC with the map, masked, falls below 0.5, and that d in A.

    A limit that isn't hard: what agrees less than that still says something, and so does knowledge of proteins.
    B = 20 A^2, as for the fixed scale.

    Args:
        density: the deposited map.
        model: its model.
        resolution: as stated, in A.

    Raises:
        InputError: as `assess`.
    """
    (scores,) = assess([density], model, resolution=resolution, metrics=("fsc",)).maps
    d_min = scores.figures["d_fsc_model_05_masked"] or NYQUIST
    inside = prepare_model(model, [density]).model
    computed = structure_factor_map(fixed_scale(inside), density.grid, d_min)
    return replace(computed, name="noise_free"), d_min
