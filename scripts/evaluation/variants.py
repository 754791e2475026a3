"""What is evaluated of each map: methods, and baselines beside them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from cryomap.atoms import AtomicModel
from cryomap.density import DensityMap
from cryomap.enhancement.methods import Method, load_method
from cryomap.enhancement.run import enhance
from cryomap.errors import InputError
from cryomap.metrics.correlation import fixed_scale, model_map
from cryomap.metrics.inputs import prepare_model

from .auto_sharpen import auto_sharpened
from .noise_free import noise_free
from .sharpening import best_sharpening

STEP = 1.0  # A
BASELINES = ("noise_free", "sharpened", "auto_sharpen")

Variant = Callable[[DensityMap, DensityMap, AtomicModel, float], tuple[DensityMap | str, dict]]
"""From the deposited map, the same at 1 A, its model and its resolution to a map (or why there is none), and facts."""


def chosen_variants(options: argparse.Namespace) -> tuple[dict[str, Variant], dict[str, dict]]:
    """What is made of each map, and facts for the report's head.

    Raises:
        InputError: an unknown baseline, or weights that can't be used.
    """
    baselines = [b.strip() for b in options.baselines.split(",") if b.strip() not in ("", "none")]
    if set(baselines) - set(BASELINES):
        raise InputError(f"--baselines {options.baselines}: must be of {', '.join(BASELINES)}, or none")
    available = {
        "noise_free": as_noise_free,
        "sharpened": as_sharpened,
        "auto_sharpen": as_auto_sharpened(options.seconds),
    }
    facts = {
        "noise_free": {
            "the model's own map": "cut where its masked FSC with the deposited map falls below 0.5, "
            "a map of the same resolution without noise"
        },
        "sharpened": {
            "the global B factor": "that gives the best CC_mask_hr, found by search with the model at hand"
        },
        "auto_sharpen": {"cctbx's auto_sharpen": f"without boxing, at most {options.seconds:g} s a map"},
    }
    variants = {name: available[name] for name in baselines}
    heads = {name: facts[name] for name in baselines}
    for name, method in methods(options).items():
        variants[name] = as_enhanced(method)
        heads[name] = {"weights": Path(method.weights).name}
        if method.card.version not in method.weights:
            heads[name]["version"] = method.card.version
    return variants, heads


def methods(options: argparse.Namespace) -> dict[str, Method]:
    """The methods to evaluate, by the name they get in the report.

    Raises:
        InputError: weights that are missing or can't be used, or a name twice.
    """
    loaded = [(Path(w).stem, load_method(None, w, options.device)) for w in options.weights]
    wanted = [name for name in options.method if name not in {m.card.method for _, m in loaded}]
    loaded += [(name, load_method(name, None, options.device)) for name in wanted]
    names = [m.card.method for _, m in loaded]
    found: dict[str, Method] = {}
    for file, method in loaded:
        name = method.card.method if names.count(method.card.method) == 1 else file
        if name in found:
            raise InputError(f"two weights files called {name}; rename one")
        found[name] = method
    return found


def as_enhanced(method: Method) -> Variant:
    """The variant that a method makes."""

    def make(density: DensityMap, _at_1a: DensityMap, _model: AtomicModel, _resolution: float):
        result, facts = enhance(density, method, grid_spacing=STEP)
        return result, {"seconds": facts.seconds, "tiles": facts.tiles_run, "device": facts.device}

    return make


def as_noise_free(_density: DensityMap, at_1a: DensityMap, model: AtomicModel, resolution: float):
    """What the map would be without noise."""
    result, d_min = noise_free(at_1a, model, resolution)
    return result, {"d_min": round(d_min, 2)}


def as_sharpened(_density: DensityMap, at_1a: DensityMap, model: AtomicModel, resolution: float):
    """The best global B factor, by CC_mask_hr."""
    inside = prepare_model(model, [at_1a]).model
    result, b_factor = best_sharpening(at_1a, model_map(fixed_scale(inside), at_1a.grid, 3.0), resolution)
    return result, {"b_factor": round(b_factor, 1)}


def as_auto_sharpened(seconds: float) -> Variant:
    """cctbx's auto_sharpen within a time."""

    def make(_density: DensityMap, at_1a: DensityMap, _model: AtomicModel, resolution: float):
        return auto_sharpened(at_1a, resolution, seconds), {}

    return make
