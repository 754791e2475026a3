"""Runs the reference programs of cctbx, each as a process of its own, on a map and model given as ours."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
MAPS = HERE.parents[1].parent / "shared" / "data" / "maps"

HAVE_CCTBX = importlib.util.find_spec("mmtbx") is not None
needs_cctbx = pytest.mark.skipif(not HAVE_CCTBX, reason="cctbx-base is not installed")


def write_inputs(folder: Path, density, model, resolution: float) -> Path:
    """Write map, facts and model (the map's first voxel moved to the origin) for a reference program."""
    import gemmi

    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "map.npy", density.values)
    (folder / "facts.json").write_text(json.dumps({"step": density.grid.step, "resolution": resolution}))
    structure = gemmi.Structure()
    structure.add_model(to_gemmi(model, density.grid))
    structure.cell = gemmi.UnitCell(*(np.array(density.grid.size) * density.grid.step), 90, 90, 90)
    structure.spacegroup_hm = "P 1"
    structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    return folder


def to_gemmi(model, grid):
    """The atoms as a gemmi.Model, shifted so that the grid's first voxel is the origin."""
    import gemmi

    result = gemmi.Model(1)
    rows = [[] for _ in model.residues]
    for index, residue in enumerate(model.residue_indices):
        rows[residue].append(index)
    chains = {}
    for residue, atoms in zip(model.residues, rows, strict=True):
        if not atoms:
            continue
        chain = chains.setdefault(residue.chain_id, gemmi.Chain(residue.chain_id))
        item = gemmi.Residue()
        item.name = residue.name
        item.seqid = gemmi.SeqId(f"{residue.number}{residue.insertion_code}")
        for index in atoms:
            atom = gemmi.Atom()
            atom.name = str(model.atom_names[index])
            atom.pos = gemmi.Position(*(model.positions[index] - grid.origin))
            atom.element = gemmi.Element(int(model.atomic_numbers[index]))
            atom.b_iso, atom.occ = model.b_factors[index], model.occupancies[index]
            if model.alt_locs[index]:
                atom.altloc = str(model.alt_locs[index])
            item.add_atom(atom)
        chain.add_residue(item)
    for chain in chains.values():
        result.add_chain(chain)
    return result


def run(program: str, *arguments) -> list[dict]:
    """The results that tests/engine/PROGRAM prints, one for each folder."""
    command = [sys.executable, str(HERE / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr[-2000:]}")
    return json.loads(done.stdout[done.stdout.index('{"results"') :])["results"]


def load(map_file: str, model_file: str):
    """A map and its model as `assess` would compare them: atoms outside left out, absent B factors replaced."""
    from cryomap.atoms import read_model
    from cryomap.density import read_map
    from cryomap.metrics.inputs import prepare_model

    density, model = read_map(MAPS / map_file), read_model(MAPS / model_file)
    return density, prepare_model(model, [density]).model
