"""What a result truly kept of each residue or ligand, by least squares on the simulated densities."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from cryomap.atoms import AtomicModel
from cryomap.density import DensityMap
from cryomap.enhancement.sharpen import sharpened
from cryomap.metrics.classes import SINGLE_KINDS

from .complexes import Complex, signal_of, target_of

WINDOW = 5.0  # A about a component's atoms


def components(model: AtomicModel, kinds: tuple[str, ...] = SINGLE_KINDS) -> list[np.ndarray]:
    """Atom indices of each residue of these kinds."""
    present = np.unique(model.residue_indices)
    chosen = [i for i in present if model.residues[i].kind in kinds]
    return [np.flatnonzero(model.residue_indices == i) for i in chosen]


def kept_shares(
    complex_: Complex,
    result: DensityMap,
    parts: list[np.ndarray],
    sharpen: float = 0.0,
    low_pass: float = 0.0,
) -> np.ndarray:
    """Of each part, its density in the result relative to its neighbourhood, over the same in the input.

    Near each part the input is fitted as a x (signal of the part) + b x (signal of all else) + c, the result
    likewise with target densities, sharpened as the result was (the card's `sharpen` and `low_pass`); the share is
    (a / b of the result) / (a / b of the input). Only usable where the part has neighbours; values are clipped to
    -1..3.
    """

    def shown(chosen: np.ndarray) -> np.ndarray:
        # A network's output ends at 1, and so must what it is compared with.
        return sharpened(target_of(complex_, chosen).clip(max=1), sharpen, low_pass)

    everything = np.ones(len(complex_.model), bool)
    signal, target = signal_of(complex_, everything), shown(everything)
    shares = []
    for part in parts:
        chosen = np.zeros(len(complex_.model), bool)
        chosen[part] = True
        box, near = _window(complex_, part)
        one, own = signal_of(complex_, chosen)[box], shown(chosen)[box]
        measured = _ratio(complex_.observed.values[box], one, signal[box] - one, near)
        result_ratio = _ratio(result.values[box], own, target[box] - own, near)
        shares.append(result_ratio / max(measured, 0.1))
    return np.array(shares).clip(-1, 3)


def _window(complex_: Complex, part: np.ndarray) -> tuple[tuple[slice, ...], np.ndarray]:
    points = complex_.model.positions[part][:, ::-1]
    low = np.maximum(np.floor(points.min(axis=0) - WINDOW).astype(int), 0)
    high = np.minimum(np.ceil(points.max(axis=0) + WINDOW).astype(int) + 1, complex_.shape)
    empty = np.ones(high - low, bool)
    empty[tuple((np.rint(points).astype(int) - low).clip(0, high - low - 1).T)] = False
    near = ndimage.distance_transform_edt(empty) <= WINDOW
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True)), near


def _ratio(values: np.ndarray, own: np.ndarray, rest: np.ndarray, near: np.ndarray) -> float:
    design = np.stack([own[near], rest[near], np.ones(near.sum())], axis=1)
    a, b, _ = np.linalg.lstsq(design, values[near], rcond=None)[0]
    return float(a / b) if b > 0 else float(a)
