"""The sample of benchmark_enhance.py and of the tests on graphics cards: a small fold of ideal geometry, and a map."""

from __future__ import annotations

import numpy as np
from scipy import fft

from cryomap.atoms import AtomicModel, Residue
from cryomap.density import DensityMap
from cryomap.grid import Grid
from cryomap.simulate import structure_factor_map

HELIX, STRAND = (-57.0, -47.0), (-120.0, 125.0)  # phi, psi
ELEMENTS = {"C": 6, "N": 7, "O": 8, "Z": 30}
# Side chains beyond CB: atom, the three atoms it hangs on, bond length, angle, torsion.
SIDE_CHAINS = {
    "ALA": (),
    "LEU": (
        ("CG", ("N", "CA", "CB"), 1.53, 116, -65),
        ("CD1", ("CA", "CB", "CG"), 1.52, 110, 175),
        ("CD2", ("CA", "CB", "CG"), 1.52, 110, -62),
    ),
    "LYS": (
        ("CG", ("N", "CA", "CB"), 1.52, 114, -67),
        ("CD", ("CA", "CB", "CG"), 1.52, 111, 180),
        ("CE", ("CB", "CG", "CD"), 1.52, 111, 180),
        ("NZ", ("CG", "CD", "CE"), 1.49, 112, 180),
    ),
    "GLU": (
        ("CG", ("N", "CA", "CB"), 1.52, 114, -67),
        ("CD", ("CA", "CB", "CG"), 1.52, 113, 180),
        ("OE1", ("CB", "CG", "CD"), 1.25, 118, -10),
        ("OE2", ("CB", "CG", "CD"), 1.25, 118, 170),
    ),
    "VAL": (
        ("CG1", ("N", "CA", "CB"), 1.52, 111, 175),
        ("CG2", ("N", "CA", "CB"), 1.52, 111, -63),
    ),
    "PHE": (
        ("CG", ("N", "CA", "CB"), 1.50, 114, -65),
        ("CD1", ("CA", "CB", "CG"), 1.39, 120, 90),
        ("CD2", ("CA", "CB", "CG"), 1.39, 120, -90),
        ("CE1", ("CB", "CG", "CD1"), 1.39, 120, 180),
        ("CE2", ("CB", "CG", "CD2"), 1.39, 120, 180),
        ("CZ", ("CG", "CD1", "CE1"), 1.39, 120, 0),
    ),
}
HELIX_SEQUENCE = ("LEU", "GLU", "LYS", "PHE", "LEU", "ALA", "GLU", "LYS", "VAL", "LEU") * 2
STRAND_SEQUENCE = ("VAL", "LYS", "PHE", "GLU", "VAL", "LEU", "VAL", "LYS", "PHE")

B_FACTOR = 100.0  # A^2
# x, y, z of the axis' middle (A), turn about it (degrees), whether it runs upwards.
HELICES = [
    (-5.25, -6.5, 0.0, 160, True),
    (5.25, -6.5, 3.0, 20, False),
    (5.25, 6.5, 0.0, 340, True),
    (-5.25, 6.5, 3.0, 200, False),
]
STRANDS = [(4.9 * (i - 1.5), 17.5, 0.0 if i % 2 == 0 else -1.1, 180 * (i % 2), i % 2 == 0) for i in range(4)]


def place(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, length: float, angle: float, torsion: float
) -> np.ndarray:
    """Position of an atom bound to c, with an angle to b and a torsion to a (degrees, A)."""
    angle, torsion = np.radians((angle, torsion))
    along = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, along)
    normal /= np.linalg.norm(normal)
    frame = np.stack([along, np.cross(normal, along), normal], axis=1)
    local = [-np.cos(angle), np.sin(angle) * np.cos(torsion), np.sin(angle) * np.sin(torsion)]
    return c + length * frame @ local


def ideal_chain(sequence: tuple[str, ...], phi: float, psi: float) -> list[dict[str, np.ndarray]]:
    """Atoms of each residue of a chain with the same phi and psi throughout, its axis along z, at the origin."""
    n, ca = np.zeros(3), np.array([1.458, 0.0, 0.0])
    c = place(np.array([0.0, 1.0, 0.0]), n, ca, 1.525, 111, phi)
    residues = []
    for name in sequence:
        atoms = {"N": n, "CA": ca, "C": c}
        following = place(n, ca, c, 1.329, 116.6, psi)
        atoms["O"] = place(n, ca, c, 1.231, 120.5, psi + 180)
        atoms["CB"] = _beta(n, ca, c)
        for atom, parents, length, angle, torsion in SIDE_CHAINS[name]:
            atoms[atom] = place(*(atoms[p] for p in parents), length, angle, torsion)
        residues.append(atoms)
        n = following
        ca, previous = place(ca, c, n, 1.458, 121.7, 180), c
        c = place(previous, n, ca, 1.525, 111, phi)
    return _along_z(residues)


def _beta(n: np.ndarray, ca: np.ndarray, c: np.ndarray) -> np.ndarray:
    """CB of an L-amino acid: between the bisector of N and C, backwards, and their normal."""
    to_n, to_c = n - ca, c - ca
    return ca - 0.568 * to_n - 0.541 * to_c + 0.583 * np.cross(to_n, to_c)


def _along_z(residues: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    centers = np.array([r["CA"] for r in residues])
    middle = centers.mean(axis=0)
    axes = np.linalg.svd(centers - middle)[2][::-1]
    axes[0] *= np.sign(np.linalg.det(axes))  # a mirror image would be D-amino acids
    return [{name: axes @ (xyz - middle) for name, xyz in atoms.items()} for atoms in residues]


def sample_model() -> AtomicModel:
    """Four helices and a four-stranded sheet, side by side; in a groove a ring-shaped ligand and a zinc ion."""
    rows, names, owners, residues = [], [], [], []

    def add(chain: str, number: int, name: str, kind: str, atoms: dict[str, np.ndarray]) -> None:
        for atom, xyz in atoms.items():
            rows.append((*xyz, ELEMENTS[atom[0]]))
            names.append(atom)
            owners.append(len(residues))
        residues.append(Residue(chain, number, "", name, kind))

    # Up or down, turn about z and shift are such that side chains and backbone oxygens don't meet.
    for i, (x, y, z, turn, up) in enumerate(HELICES + STRANDS):
        sequence, torsions = (HELIX_SEQUENCE, HELIX) if i < len(HELICES) else (STRAND_SEQUENCE, STRAND)
        cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        move = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        move = move if up else move @ np.diag([1, -1, -1])
        for number, atoms in enumerate(ideal_chain(sequence, *torsions), start=1):
            moved = {name: move @ xyz + (x, y, z) for name, xyz in atoms.items()}
            add("ABCDEFGH"[i], number, sequence[number - 1], "protein", moved)
    add("X", 1, "LIG", "ligand", {name: np.add(xyz, (-13.5, 0, 4)) for name, xyz in _two_rings().items()})
    add("X", 2, "ZN", "ion", {"ZN": np.array([12.5, 0.0, -4.0])})

    table = np.array(rows)
    return AtomicModel(
        positions=table[:, :3],
        atomic_numbers=table[:, 3].astype(np.uint8),
        b_factors=np.full(len(table), B_FACTOR),
        occupancies=np.ones(len(table)),
        atom_names=np.array(names),
        alt_locs=np.full(len(table), ""),
        residue_indices=np.array(owners, np.int32),
        residues=tuple(residues),
        name="sample",
    )


def _two_rings() -> dict[str, np.ndarray]:
    """Naphthalene with two hydroxyl groups, upright in the plane of y and z, its centre at the origin."""
    ring = np.radians(60 * np.arange(6) + 30)
    corners = 1.40 * np.stack([0 * ring, np.cos(ring), np.sin(ring)], axis=1)
    shift = np.array([0.0, 1.40 * np.cos(np.radians(30)), 0.0])
    atoms = [*(corners + shift), *(corners[[1, 2, 3, 4]] - shift)]
    named = {f"C{i}": xyz for i, xyz in enumerate(atoms, start=1)}
    oxygens = corners[[1, 4]] / 1.40 * 2.76
    return named | {"O1": oxygens[0] + shift, "O2": oxygens[1] - shift}


def sample_grid(model: AtomicModel, step: float, padding: float = 16.0) -> Grid:
    """A box around the model."""
    low, high = model.positions.min(axis=0) - padding, model.positions.max(axis=0) + padding
    size = np.ceil((high - low) / step).astype(int) + 1
    return Grid(tuple(int(n) for n in size[::-1]), (step,) * 3, tuple(map(float, low)))


def noisy_map(model: AtomicModel, grid: Grid, resolution: float, noise: float, seed: int) -> DensityMap:
    """The model's map at a resolution (A), with noise up to the same resolution.

    Args:
        model: the atoms; their B factors blur the map.
        grid: where to compute it.
        resolution: of the map, in A.
        noise: standard deviation of the noise as a share of the density's own within 3 A of atoms.
        seed: of the noise.
    """
    density = structure_factor_map(model, grid, resolution)
    white = np.random.default_rng(seed).normal(size=grid.shape)
    frequencies = np.meshgrid(
        *(fft.fftfreq(n, s) for n, s in zip(grid.shape, grid.step[::-1], strict=True)),
        indexing="ij",
        sparse=True,
    )
    spectrum = fft.fftn(white)
    spectrum[sum(f**2 for f in frequencies) > resolution**-2] = 0
    coloured = fft.ifftn(spectrum).real
    inside = density.values > np.quantile(density.values, 0.9)
    coloured *= noise * density.values[inside].std() / coloured.std()
    return DensityMap((density.values + coloured).astype(np.float32), grid, f"{resolution:g} A with noise")
