"""What is evaluated of each map: methods, baselines and other programs' results."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryomap.atoms import AtomicModel
from cryomap.density import DensityMap
from cryomap.enhancement.methods import Method, load_method
from cryomap.enhancement.run import enhance
from cryomap.errors import InputError
from cryomap.metrics.correlation import fixed_scale, model_map
from cryomap.metrics.inputs import prepare_model
from pairs.entries import Entry

from .auto_sharpen import auto_sharpened
from .noise_free import noise_free
from .options import BASELINES, named
from .other_programs import result_of
from .sharpening import best_sharpening

STEP = 1.0  # A


@dataclass(frozen=True)
class Case:
    """One map with its model.

    Attributes:
        entry: its line of the list.
        density: the deposited map.
        at_1a: the same at 1 A.
        model: the atoms.
        resolution: in A.
    """

    entry: Entry
    density: DensityMap
    at_1a: DensityMap
    model: AtomicModel
    resolution: float


Variant = Callable[[Case], tuple[DensityMap | str, dict]]
"""From a case to a map (or why there is none), and facts."""


def chosen_variants(options: argparse.Namespace) -> tuple[dict[str, Variant], dict[str, dict]]:
    """What is made of each map, and facts for the report's head.

    Raises:
        InputError: an unknown baseline, or weights, folds or a folder that can't be used.
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

    def add(name: str, variant: Variant, head: dict) -> None:
        if name in variants:
            raise InputError(f"two results called {name}; name them apart by --also NAME=FILE")
        variants[name], heads[name] = variant, head

    for name, method in methods(options).items():
        add(name, as_enhanced(method), _head(method))
    for text in options.also:
        name, path = named(text)
        if path.is_dir():
            add(name, as_found(path), {"maps": f"in {path.name}, not made here"})
        else:
            method = load_method(None, path, options.device)
            add(name, as_enhanced(method), _head(method))
    for text in options.folds:
        name, path = named(text)
        held_out = read_folds(path, name)
        count = len(set(held_out.values()))
        add(name, as_cross_validated(held_out, options.device), {"cross-validated": f"{count} folds"})
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


def _head(method: Method) -> dict:
    head = {"weights": Path(method.weights).name}
    return head if method.card.version in method.weights else head | {"version": method.card.version}


def read_folds(path: Path, name: str) -> dict[str, Path]:
    """Which weights held out a map, by the map's name or EMDB id in capitals.

    Args:
        path: a folder with folds.json, {"fold-1": [names of the maps that it held out], ...}, and a folder for each
            with its weights.
        name: of the weights file (without .safetensors) where there are several.

    Raises:
        InputError: no folds.json, one that says something else, a map held out twice, or not one weights file.
    """
    listed = path / "folds.json"
    try:
        folds = json.loads(listed.read_text())
        pairs = [(str(name).upper(), fold) for fold, names in folds.items() for name in names]
    except OSError:
        raise InputError(f"{listed}: no such file; it tells which maps each fold held out") from None
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{listed}: not a table of folds and the maps they held out ({error})") from None
    found: dict[str, Path] = {}
    for entry, fold in pairs:
        if entry in found:
            raise InputError(f"{listed}: {entry} is held out twice")
        files = sorted((path / fold).glob("*.safetensors"))
        files = [f for f in files if f.stem == name] or files
        if len(files) != 1:
            raise InputError(f"{path / fold}: {len(files)} weights files (.safetensors); one is wanted")
        found[entry] = files[0]
    return found


def as_enhanced(method: Method) -> Variant:
    """The variant that a method makes."""

    def make(case: Case) -> tuple[DensityMap | str, dict]:
        result, facts = enhance(case.density, method, grid_spacing=STEP, resolution=case.resolution)
        return result, {
            "seconds": facts.seconds,
            "cpu_seconds": facts.network_cpu_seconds,
            "tiles": facts.tiles_run,
            "device": facts.device,
            "trained_on": case.entry.emdb_id in method.trained_on,
        }

    return make


def as_cross_validated(held_out: dict[str, Path], device: str) -> Variant:
    """The variant that the weights make which held this map out."""
    load = lru_cache(maxsize=1)(lambda path: load_method(None, path, device))

    def make(case: Case) -> tuple[DensityMap | str, dict]:
        names = {case.entry.name.upper(), case.entry.emdb_id.upper()}
        path = next((held_out[name] for name in sorted(names) if name in held_out), None)
        if path is None:
            return "no fold held it out", {}
        result, facts = as_enhanced(load(path))(case)
        return result, facts | {"fold": path.parent.name}

    return make


def as_found(folder: Path) -> Variant:
    """The variant that another program made, from its folder of results."""
    return lambda case: result_of(folder, case.entry, case.density, case.at_1a.grid)


def as_noise_free(case: Case) -> tuple[DensityMap | str, dict]:
    """What the map would be without noise."""
    result, d_min = noise_free(case.at_1a, case.model, case.resolution)
    return result, {"d_min": round(d_min, 2)}


def as_sharpened(case: Case) -> tuple[DensityMap | str, dict]:
    """The best global B factor, by CC_mask_hr."""
    inside = prepare_model(case.model, [case.at_1a]).model
    wanted = model_map(fixed_scale(inside), case.at_1a.grid, 3.0)
    result, b_factor = best_sharpening(case.at_1a, wanted, case.resolution)
    return result, {"b_factor": round(b_factor, 1)}


def as_auto_sharpened(seconds: float) -> Variant:
    """cctbx's auto_sharpen within a time."""
    return lambda case: (auto_sharpened(case.at_1a, case.resolution, seconds), {})
