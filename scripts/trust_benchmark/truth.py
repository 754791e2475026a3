"""What a result truly kept of each residue or ligand: what it loses once the input no longer has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial import cKDTree

from cryomap.atoms import AtomicModel
from cryomap.density import DensityMap
from cryomap.metrics.classes import SINGLE_KINDS
from cryomap.trust.spectrum import Spectrum

from .complexes import Complex, signal_of, without

SMALL = (*SINGLE_KINDS, "water")  # what a result may lose wholly
POLYMERS = ("protein", "nucleic")
WINDOW = 5.0  # A about a component's atoms
APART = 8.0  # A between residues that are taken out to compare with
BESIDE = 4.0  # A between them and all else that is taken out; waters leave no more room
MOST = 16  # of them


def components(model: AtomicModel, kinds: tuple[str, ...] = SMALL) -> list[np.ndarray]:
    """Atom indices of each residue of these kinds."""
    present = np.unique(model.residue_indices)
    chosen = [i for i in present if model.residues[i].kind in kinds]
    return [np.flatnonzero(model.residue_indices == i) for i in chosen]


def ordinary_residues(
    model: AtomicModel, taken: Sequence[np.ndarray], rng: torch.Generator
) -> list[np.ndarray]:
    """Residues of protein and nucleic acid (atom indices of each) apart from one another and from what is `taken`."""
    found: list[np.ndarray] = []
    residues = components(model, POLYMERS)
    for index in torch.randperm(len(residues), generator=rng).tolist():
        part = model.positions[residues[index]]
        away = ((taken, BESIDE), (found, APART))
        if all(not others or _distance(model, others, part) >= least for others, least in away):
            found.append(residues[index])
            if len(found) == MOST:
                break
    return found


def _distance(model: AtomicModel, parts: Sequence[np.ndarray], positions: np.ndarray) -> float:
    """The smallest between atoms of the parts and positions."""
    return float(cKDTree(model.positions[np.concatenate(parts)]).query(positions)[0].min())


def atoms_of(model: AtomicModel, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Which atoms (n,) are of any of the parts."""
    chosen = np.zeros(len(model), bool)
    for part in parts:
        chosen[part] = True
    return chosen


@dataclass(frozen=True)
class Change:
    """What taking some atoms' signal out of the input changes, at the input's resolution, float32 (z, y, x).

    Attributes:
        of_input: the signal that was taken out.
        of_result: what that changes of the result, brought back to the input's resolution and height.
        ordinary: how much of the signal of ordinary residues a result changes by; 1 if all came back.
    """

    of_input: np.ndarray
    of_result: np.ndarray
    ordinary: float = 1.0

    def share_in(self, region: np.ndarray) -> float:
        """What the result keeps of the signal in voxels (n, 3), z, y, x."""
        at = tuple(region.T)
        taken = float(self.of_input[at].sum())
        return float(self.of_result[at].sum()) / taken / self.ordinary if taken > 0 else 1.0


def change(
    complex_: Complex,
    results: tuple[DensityMap, DensityMap],
    parts: Sequence[np.ndarray],
    ordinary: Sequence[np.ndarray],
) -> Change:
    """Compare the result with that of the input without some parts.

    Both are brought to the input by the radial filter which makes the result most like the noiseless input, and to one
    scale by what lies apart from all that was taken out.

    Args:
        complex_: the simulated complex.
        results: of its input, and of `without(complex_, atoms_of(model, [*parts, *ordinary]))`.
        parts: whose loss is asked for.
        ordinary: residues to compare with, see `ordinary_residues`.
    """
    chosen = atoms_of(complex_.model, [*parts, *ordinary])
    taken = complex_.observed.values - without(complex_, chosen).values
    first, second = (result.values for result in results)
    apart = ~_within(complex_, np.flatnonzero(chosen), WINDOW) & ((first > 0) | (second > 0))
    power = float((second[apart] ** 2).sum())
    scale = float((first[apart] * second[apart]).sum()) / power if power else 1.0
    spectrum = Spectrum(complex_.observed.grid, margin=4 * complex_.resolution)
    signal = signal_of(complex_, np.ones(len(complex_.model), bool))
    if complex_.mask is not None:
        signal = signal * complex_.mask
    shells = spectrum.shells(spectrum.transform(signal), spectrum.transform(first))
    back = shells.filter(shells.regression)
    changed = spectrum.values(spectrum.transform(first - np.float32(scale) * second), back)
    raw = Change(taken, changed)
    usual = float(np.median(kept_shares(complex_, raw, ordinary))) if ordinary else 1.0
    return Change(taken, changed, usual)


def kept_shares(complex_: Complex, change: Change, parts: Sequence[np.ndarray]) -> np.ndarray:
    """The share of each part's signal that a result keeps: how far the result changes, at the input's resolution, when
    that signal is taken out of the input, over how far the input itself does, relative to the same of ordinary
    residues of protein and nucleic acid.

    1 is kept like these; 0 is lost: the result is the same whether the input has the part or not. A least-squares fit
    within 5 A tells the part's change from that of other parts.

    Args:
        complex_: the simulated complex.
        change: of its result, by taking out these parts among others.
        parts: atom indices of each.
    """
    shares = []
    for part in parts:
        own = signal_of(complex_, atoms_of(complex_.model, [part]))
        if complex_.mask is not None:
            own *= complex_.mask
        near = _within(complex_, part, WINDOW)
        design = np.stack([own[near], (change.of_input - own)[near]], axis=1)
        fitted = np.linalg.lstsq(design, change.of_result[near], rcond=None)[0]
        shares.append(float(fitted[0]) / change.ordinary)
    return np.array(shares)


def _within(complex_: Complex, atoms: np.ndarray, distance: float) -> np.ndarray:
    """Voxels (z, y, x), bool, within a distance (A) of atoms, by their indices."""
    indices = np.rint(complex_.model.positions[atoms][:, ::-1]).astype(int)
    empty = np.ones(complex_.shape, bool)
    empty[tuple(indices.clip(0, np.array(complex_.shape) - 1).T)] = False
    return ndimage.distance_transform_edt(empty) <= distance
