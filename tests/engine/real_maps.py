"""A table of small maps with models, made on the spot: Gaussians at the atoms, noise, and what else a test wants."""

from collections.abc import Iterable

import numpy as np

from cryomap.density import DensityMap, write_map
from cryomap.grid import Grid

SHAPE = (48, 50, 52)  # z, y, x
ATOM = "{:6s}{:5d} {:4s} {:3s} {:1s}{:4d}    {:8.3f}{:8.3f}{:8.3f}  1.00 20.00          {:>2s}  "
NAMES = ("N", "CA", "C", "O", "CB")
RESIDUES = "ALA GLY SER VAL LEU THR ASP GLU LYS ARG".split()


def positions(seed: int, residues: int = 60) -> np.ndarray:
    """(5 residues, 3) x, y, z in A: a compact walk about the middle of the box."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 5.5, (5 * residues, 3)) + np.array(SHAPE[::-1]) / 2


def write_model(path, atoms: np.ndarray, waters: Iterable = (), sequence: int = 0) -> None:
    """A PDB file; `sequence` fixes the residues' names."""
    rng = np.random.default_rng(sequence)
    names = [RESIDUES[i] for i in rng.integers(0, len(RESIDUES), len(atoms) // 5)]
    lines = [
        ATOM.format("ATOM", i + 1, f" {NAMES[i % 5]}", names[i // 5], "A", i // 5 + 1, *xyz, NAMES[i % 5][0])
        for i, xyz in enumerate(atoms)
    ]
    lines += [
        ATOM.format("HETATM", 9000 + i, " O", "HOH", "W", i + 1, *xyz, "O") for i, xyz in enumerate(waters)
    ]
    path.write_text("\n".join([*lines, "END", ""]))


def density(atoms: np.ndarray, sigma: float = 1.6) -> np.ndarray:
    """Gaussians of height 1 at the atoms, on the grid of `SHAPE`."""
    axes = [np.arange(n) for n in SHAPE]
    total = np.zeros(SHAPE, np.float32)
    for x, y, z in atoms:
        g = [np.exp(-0.5 * ((a - c) / sigma) ** 2) for a, c in zip(axes, (z, y, x), strict=True)]
        total += np.einsum("i,j,k->ijk", *g).astype(np.float32)
    return total


def write_pair(folder, name: str, values: np.ndarray, atoms: np.ndarray, sequence: int = 0, **model) -> str:
    """A map and a model; the line of a table, with `HEADER`'s columns but the last two."""
    write_map(DensityMap(values.astype(np.float32), Grid(values.shape)), folder / f"{name}.mrc")
    write_model(folder / f"{name}.pdb", atoms, sequence=sequence, **model)
    return f"{name}.mrc\t{name}.pdb"


HEADER = "map_file\tmodel_file\tresolution_A\tspecimen\tmodel_aligned\n"


def write_table(folder, count: int = 4, noise: float = 0.05):
    """A table of `count` maps of as many specimens."""
    rng, lines = np.random.default_rng(0), []
    for i in range(count):
        atoms = positions(i)
        values = density(atoms) + noise * rng.standard_normal(SHAPE)
        lines.append(write_pair(folder, f"map{i}", values, atoms, i) + f"\t{3 + 0.5 * i}\tspecimen {i}\tyes")
    (folder / "maps.tsv").write_text(HEADER + "\n".join(lines) + "\n")
    return folder / "maps.tsv"
