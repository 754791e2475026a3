"""SuperEM's local test cube by cube (its figures 2a and S1): correlation before against after."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from cryomap.replacing import replacing

from .figures import pyplot, save
from .measures import DEPOSITED

Cubes = dict[str, dict[str, np.ndarray]]
"""By map and variant, the correlation of each cube (n,) with the simulated map; nan where there is none."""


def write_cubes(cubes: Cubes, path: Path) -> None:
    """A table of every cube: map, its number, and a column for each variant."""
    variants = list(dict.fromkeys(v for found in cubes.values() for v in found))
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as out:
        table = csv.writer(out, delimiter="\t", lineterminator="\n")
        table.writerow(["map", "cube", *variants])
        for name, found in cubes.items():
            for number in np.flatnonzero(np.isfinite(found[DEPOSITED])):
                values = (found[v][number] if v in found else np.nan for v in variants)
                table.writerow([name, number, *("" if np.isnan(x) else f"{x:.4f}" for x in values)])


def cube_chart(cubes: Cubes, path: Path) -> None:
    """Before against after, a panel a variant, darker where there are more cubes; above the line is better."""
    variants = [v for v in dict.fromkeys(v for found in cubes.values() for v in found) if v != DEPOSITED]
    plt = pyplot()
    figure, axes = plt.subplots(
        1, max(1, len(variants)), figsize=(3.6 * max(1, len(variants)), 3.8), squeeze=False
    )
    for axis, variant in zip(axes[0], variants, strict=False):
        pairs = np.concatenate(
            [np.stack([found[DEPOSITED], found[variant]]) for found in cubes.values() if variant in found],
            axis=1,
        )
        before, after = pairs[:, np.isfinite(pairs).all(axis=0)]
        axis.hexbin(before, after, gridsize=40, extent=(-0.2, 1, -0.2, 1), bins="log", mincnt=1, cmap="Blues")
        axis.plot([-0.2, 1], [-0.2, 1], color="0.4", linewidth=0.8)
        share = 100 * np.mean(after > before) if before.size else 0
        axis.set_title(f"{variant}: {share:.0f} % of {before.size}", fontsize=10)
        axis.set_xlabel("deposited")
        axis.set_aspect("equal")
    axes[0][0].set_ylabel("correlation of 25 A cubes")
    figure.tight_layout()
    save(figure, path)
