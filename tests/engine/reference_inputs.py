"""Reads, with cctbx, what `references.write_inputs` wrote."""

import json
from pathlib import Path

import numpy as np
from cctbx import crystal
from scitbx.array_family import flex


def read_inputs(folder):
    """The map as a flex array from the origin, a P1 cell the size of its box, and the resolution."""
    data = as_flex(Path(folder) / "map.npy")
    facts = json.loads((Path(folder) / "facts.json").read_text())
    cell = [n * s for n, s in zip(data.all(), facts["step"], strict=True)] + [90, 90, 90]
    return data, crystal.symmetry(cell, "P1"), facts["resolution"]


def as_flex(path):
    """An array (z, y, x) as cctbx wants it, x, y, z."""
    return flex.double(np.ascontiguousarray(np.load(path).astype(float).transpose(2, 1, 0)))
