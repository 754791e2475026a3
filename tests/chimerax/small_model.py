"""A small model and a map of it, as the tests of what needs a model open them."""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from chimerax.core.commands import run
from chimerax.map import volume_from_grid_data
from chimerax.map_data import ArrayGridData
from support import Skipped

ORIGIN, STEP, SIZE = (-3.0, 4.0, 2.0), 1.2, 36


def pdb_text():
    """Two short strands, one atom with two conformations, a haem iron stand-in, a ligand and a water."""
    random = np.random.default_rng(3)
    lines, serial = [], 0

    def add(name, residue, chain, number, xyz, element, alt=" ", occupancy=1.0, b=30.0, kind="ATOM"):
        nonlocal serial
        serial += 1
        padded = f" {name:<3s}" if len(element) == 1 else f"{name:<4s}"
        x, y, z = xyz
        lines.append(
            f"{kind:<6s}{serial:5d} {padded}{alt}{residue:>3s} {chain}{number:4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}{b:6.2f}          {element:>2s}"
        )

    for chain, y in (("A", 17.0), ("B", 29.0)):
        for number in range(1, 9):
            start = np.array([4.0 + 3.6 * number, y, 22.0 + 2 * (number % 2)])
            for name, shift in (("N", 0), ("CA", 1.3), ("C", 2.5), ("O", 2.6), ("CB", 1.4)):
                off = {"O": 1.2, "CB": -1.5}.get(name, 0)
                at = start + np.array([shift, off, 0.2 * random.normal()])
                element = name[0]
                if (chain, number, name) == ("A", 3, "CB"):
                    add(name, "ALA", chain, number, at, element, "A", 0.7, 25)
                    add(name, "ALA", chain, number, at + np.array([0.2, -0.1, 1.1]), element, "B", 0.3, 45)
                else:
                    add(name, "ALA", chain, number, at, element)
        lines.append("TER")
    for i, name in enumerate(("C1", "C2", "O1", "C3")):
        add(name, "XYZ", "A", 101, (15 + 1.4 * i, 23.0 + (i % 2), 30), name[0], kind="HETATM")
    add("MG", "MG", "B", 102, (28.0, 22.5, 18.0), "MG", kind="HETATM")
    add("O", "HOH", "B", 201, (24.0, 24.0, 14.0), "O", kind="HETATM")
    return "\n".join([*lines, "END", ""])


def open_model(session):
    """The structure of `pdb_text`, read by ChimeraX."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "small.pdb")
        path.write_text(pdb_text())
        (model,) = run(session, f"open {path}")
    return model


def true_map(session, model, noise=0.2, without=None, name="true"):
    """A map computed from the model, some atoms left out, with some noise."""
    from chimerax.map_enhance.cryomap.grid import Grid
    from chimerax.map_enhance.cryomap.simulate import structure_factor_map
    from chimerax.map_enhance.scene.models import atomic_model

    atoms, _ = atomic_model(model.atoms, model.scene_position)
    if without:
        names = np.array([residue.name for residue in atoms.residues])
        atoms = atoms.subset(names[atoms.residue_indices] != without)
    grid = Grid((SIZE,) * 3, (STEP,) * 3, ORIGIN)
    values = structure_factor_map(atoms, grid, 3.0).values
    values = values + noise * values.std() * np.random.default_rng(0).normal(size=values.shape)
    data = ArrayGridData(values.astype(np.float32), ORIGIN, (STEP,) * 3, name=name)
    volume = volume_from_grid_data(data, session)
    volume.set_parameters(surface_levels=[2.5 * float(values.std())])
    return volume


def scene(session, **options):
    """#1 the model, #2 its map."""
    if find_spec("gemmi") is None:
        raise Skipped("this ChimeraX lacks gemmi")
    model = open_model(session)
    return model, true_map(session, model, **options)
