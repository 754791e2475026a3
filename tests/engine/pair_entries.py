"""Two made-up entries, a map and a model each, and an archive that serves them."""

from __future__ import annotations

import gzip
from pathlib import Path

import gemmi
import numpy as np
import pytest
from archive_server import Archive

import prepare_pairs
from cryomap.atoms import read_model
from cryomap.density import DensityMap, write_map
from cryomap.grid import Grid
from cryomap.simulate import structure_factor_map

NAMES = [gemmi.expand_one_letter(c, gemmi.ResidueKind.AA) for c in "ACDEFGHIKLMNPQRSTVWY"]


def protein(seed: int, shift: float = 0.0, length: int = 16) -> gemmi.Structure:
    """Two helices of random sequence, side by side."""
    rng, chain = np.random.default_rng(seed), gemmi.Chain("A")
    atoms = (
        ("N", 1.55, -28, -0.87),
        ("CA", 2.28, 0, 0),
        ("C", 1.68, 26, 1.15),
        ("O", 2.0, 20, 2.35),
        ("CB", 3.3, -18, 0.3),
    )
    for number in range(2 * length):
        residue = gemmi.Residue()
        residue.name, residue.seqid = NAMES[rng.integers(20)], gemmi.SeqId(str(number + 1))
        across, i = divmod(number, length)
        for name, radius, phase, height in atoms:
            angle = np.radians(100 * i + phase)
            atom = gemmi.Atom()
            atom.name, atom.element, atom.b_iso, atom.occ = name, gemmi.Element(name[0]), 40.0, 1.0
            x, y, z = (
                radius * np.cos(angle) + 12 + 10 * across,
                radius * np.sin(angle) + 16,
                1.5 * i + height + 6,
            )
            atom.pos = gemmi.Position(x + shift, y + shift, z + shift)
            residue.add_atom(atom)
        chain.add_residue(residue)
    structure = gemmi.Structure()
    structure.add_model(gemmi.Model(1))
    structure[0].add_chain(chain)
    structure.setup_entities()
    return structure


def write_model(structure: gemmi.Structure, path: Path) -> None:
    """Write a model as mmCIF, compressed where the name says so."""
    text = structure.make_mmcif_document().as_string()
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def write_density(structure: gemmi.Structure, path: Path, seed: int = 0) -> None:
    """Write a map of a model at 4.5 A with noise, 1.25 A a voxel, its corner off the origin."""
    model_path = path.parent / f"{path.name}.model.pdb"
    structure.write_pdb(str(model_path))
    grid = Grid((32, 28, 28), (1.25,) * 3, (1.0, -0.5, 0.25))
    density = structure_factor_map(read_model(model_path), grid, 4.5)
    model_path.unlink()
    noise = np.random.default_rng(seed).normal(scale=0.05 * density.values.max(), size=grid.shape)
    write_map(DensityMap(density.values + noise.astype(np.float32), grid), path)


@pytest.fixture(scope="module")
def pair_folder(tmp_path_factory) -> Path:
    """Two entries of unrelated sequence, a map and a model each."""
    where = tmp_path_factory.mktemp("entries")
    for number in (1, 2):
        structure = protein(number)
        write_model(structure, where / f"entry{number}.cif.gz")
        write_density(structure, where / f"entry{number}.map.gz", number)
    rows = [f"entry{n}.map.gz\tentry{n}.cif.gz\t4.5\t{s}" for n, s in ((1, "train"), (2, "validation"))]
    (where / "list.tsv").write_text("\n".join(["map_file\tmodel_file\tresolution_A\tsplit", *rows]) + "\n")
    return where


@pytest.fixture
def archive(pair_folder, monkeypatch):
    """An EMDB and a PDB that hold the two entries as EMD-0001 / 1ABC and EMD-0002 / 2ABC."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Archive() as server:
        for n in (1, 2):
            server.files[f"/emdb/EMD-000{n}/map/emd_000{n}.map.gz"] = (
                pair_folder / f"entry{n}.map.gz"
            ).read_bytes()
            server.files[f"/pdb/divided/mmCIF/ab/{n}abc.cif.gz"] = (
                pair_folder / f"entry{n}.cif.gz"
            ).read_bytes()
        server.files["/emdb/EMD-0002/header/emd-0002.xml"] = b"<e><resolution>4.5</resolution></e>"
        yield server


def prepare(method: str, out: Path, *arguments: str | Path) -> int:
    """Run the script in this process."""
    return prepare_pairs.main([method, "--out", str(out), "--max-identity", "100", *map(str, arguments)])


def served(server: Archive) -> list[str]:
    return ["--emdb-server", server.url + "/emdb", "--pdb-server", server.url + "/pdb", "--attempts", "2"]
