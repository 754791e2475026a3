"""The sample: one protein chain with helices, a hairpin and loops, a strand of RNA, a ligand and a zinc ion."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from cryomap.atoms import AtomicModel, Residue

from .chains import Atoms, protein_chain, rna_strand

ELEMENTS = {"C": 6, "N": 7, "O": 8, "P": 15, "S": 16, "Z": 30}
B_FACTOR = 60.0  # A^2
HELIX = (-62.0, -42.0)  # phi, psi
# Chosen so that the parts lie side by side and don't meet; all within the allowed regions.
PARTS = (
    ("SELKRALEMIQK", [HELIX] * 12),
    ("GNGT", [(76, 35), (-81, 138), (-82, -9), (-71, -8)]),
    ("VTAWGR", [(-153, 144)] * 6),
    ("GD", [(68, 27), (94, 22)]),
    ("KYIFVC", [(-116, 116)] * 6),
    ("PGSHE", [(-55, -41), (-54, -47), (61, 30), (-101, 24), (-124, 129)]),
    ("ALRLKQAIDELN", [HELIX] * 12),
    ("GSPE", [(-83, 156), (-87, 156), (-142, 136), (-52, 153)]),
    ("EAVRLLKQLA", [HELIX] * 10),
)
RNA = "GACUGCAU"
AMINO_ACIDS = dict(
    zip(
        "ARNDCQEGHILKMFPSTWYV",
        "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL".split(),
        strict=True,
    )
)


def sample_model() -> AtomicModel:
    """The model; every residue's kind as `read_model` finds it in the file that the demo writes."""
    sequence = [AMINO_ACIDS[letter] for letters, _ in PARTS for letter in letters]
    protein = protein_chain(sequence, [angles for _, torsions in PARTS for angles in torsions])
    named = [("A", name, "protein", atoms) for name, atoms in zip(sequence, protein, strict=True)]
    rna = _beside(_positions(protein), rna_strand(RNA), (0.0, 1.0, 0.3), 3.4)
    named += [("R", letter, "nucleic", atoms) for letter, atoms in zip(RNA, rna, strict=True)]
    (ligand,) = _beside(_positions(protein + rna), [_two_rings()], (1.0, -0.4, 0.2), 3.3)
    named.append(("X", "LIG", "ligand", ligand))
    histidine = protein[sequence.index("HIS")]
    named.append(("X", "ZN", "ion", {"ZN": _bound_to(histidine)}))
    return _as_model(named)


def _bound_to(histidine: Atoms) -> np.ndarray:
    """Where a zinc ion sits: 2.05 A from the far nitrogen, in the plane of the ring."""
    nitrogen, neighbours = histidine["NE2"], (histidine["CD2"] + histidine["CE1"]) / 2
    return nitrogen + 2.05 * (nitrogen - neighbours) / np.linalg.norm(nitrogen - neighbours)


def _positions(residues: list[Atoms]) -> np.ndarray:
    return np.array([xyz for atoms in residues for xyz in atoms.values()])


def _beside(
    there: np.ndarray, residues: list[Atoms], direction: tuple[float, float, float], gap: float
) -> list[Atoms]:
    """Residues moved to where, coming from a direction, their nearest atom is `gap` A from those that are there."""
    along = np.array(direction) / np.linalg.norm(direction)
    mine, tree = _positions(residues), cKDTree(there)
    start = there.mean(axis=0) - mine.mean(axis=0)
    for distance in np.arange(80.0, 0.0, -0.02):
        if tree.query(mine + start + (distance - 0.02) * along)[0].min() < gap:
            break
    return [{name: xyz + start + distance * along for name, xyz in atoms.items()} for atoms in residues]


def _two_rings() -> Atoms:
    """Naphthalene with two hydroxyl groups, in the plane of y and z, its centre at the origin."""
    ring = np.radians(60 * np.arange(6) + 30)
    corners = 1.40 * np.stack([0 * ring, np.cos(ring), np.sin(ring)], axis=1)
    shift = np.array([0.0, 1.40 * np.cos(np.radians(30)), 0.0])
    atoms = [*(corners + shift), *(corners[[1, 2, 3, 4]] - shift)]
    named = {f"C{i}": xyz for i, xyz in enumerate(atoms, start=1)}
    oxygens = corners[[1, 4]] / 1.40 * 2.76
    return named | {"O1": oxygens[0] + shift, "O2": oxygens[1] - shift}


def _as_model(named: list[tuple[str, str, str, Atoms]]) -> AtomicModel:
    """Chain, name, kind and atoms of each residue as a model, numbered by chain."""
    names = [atom for *_, atoms in named for atom in atoms]
    owners = [index for index, (*_, atoms) in enumerate(named) for _ in atoms]
    chains = [chain for chain, *_ in named]
    residues = [
        Residue(chain, chains[: index + 1].count(chain), "", name, kind)
        for index, (chain, name, kind, _) in enumerate(named)
    ]
    return AtomicModel(
        positions=_positions([atoms for *_, atoms in named]),
        atomic_numbers=np.array([ELEMENTS[name[0]] for name in names], np.uint8),
        b_factors=np.full(len(names), B_FACTOR),
        occupancies=np.ones(len(names)),
        atom_names=np.array(names),
        alt_locs=np.full(len(names), ""),
        residue_indices=np.array(owners, np.int32),
        residues=tuple(residues),
        name="sample",
    )
