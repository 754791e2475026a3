"""Runs the reference programs of cctbx, each as a process of its own, on a map and model given as ours."""

import gzip
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
needs_maps = pytest.mark.skipif(not MAPS.is_dir(), reason="no ../shared/data/maps here")


def write_inputs(folder: Path, density, model) -> list[str]:
    """Write map, grid and model (first voxel moved to the origin) for a reference program; its arguments."""
    import gemmi

    np.save(folder / "map.npy", density.values)
    (folder / "grid.json").write_text(json.dumps({"step": density.grid.step}))
    structure = gemmi.Structure()
    structure.add_model(to_gemmi(model, density.grid))
    structure.cell = gemmi.UnitCell(*(np.array(density.grid.size) * density.grid.step), 90, 90, 90)
    structure.spacegroup_hm = "P 1"
    structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    return [str(folder / name) for name in ("map.npy", "grid.json", "model.cif")]


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


def run(program: str, *arguments) -> dict:
    """The JSON that tests/engine/PROGRAM prints."""
    command = [sys.executable, str(HERE / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr[-2000:]}")
    return json.loads(done.stdout[done.stdout.index("{") :])


def gunzip(path: Path, folder: Path) -> Path:
    """An uncompressed copy of a .gz file."""
    target = folder / path.stem
    target.write_bytes(gzip.decompress(path.read_bytes()))
    return target
