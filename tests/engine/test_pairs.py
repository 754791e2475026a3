"""Experimental pairs: from a local archive or a folder to cubes, against the papers' own words."""

from __future__ import annotations

import csv
import gzip
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch
from archive_server import Archive
from scipy.interpolate import RegularGridInterpolator

import prepare_pairs
from cryomap.atoms import read_model
from cryomap.density import DensityMap, read_map, write_map
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.simulate import structure_factor_map
from training.entries import LISTS, read_list, scan_folder, split_of
from training.examine import make_pair
from training.identity import Relative, parse_hits, redundant, relatives, sequences
from training.pair_files import occupied, read_index, valid_starts
from training.pair_recipes import PAIR_RECIPES, map_model_correlation, objection, target
from training.pairs import EmbeddedPairCubes, PairCubes

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
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
def folder(tmp_path_factory) -> Path:
    """Two entries of unrelated sequence, a map and a model each."""
    where = tmp_path_factory.mktemp("entries")
    for number in (1, 2):
        structure = protein(number)
        write_model(structure, where / f"entry{number}.cif.gz")
        write_density(structure, where / f"entry{number}.map.gz", number)
    rows = [f"entry{n}.map.gz\tentry{n}.cif.gz\t4.5\t{s}" for n, s in ((1, "train"), (2, "validation"))]
    (where / "list.tsv").write_text("\n".join(["map_file\tmodel_file\tresolution_A\tsplit", *rows]) + "\n")
    return where


def prepare(method: str, out: Path, *arguments: str | Path) -> int:
    """Run the script in this process."""
    return prepare_pairs.main([method, "--out", str(out), "--max-identity", "100", *map(str, arguments)])


@pytest.fixture
def archive(folder, monkeypatch):
    """An EMDB and a PDB that hold the two entries as EMD-0001 / 1ABC and EMD-0002 / 2ABC."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Archive() as server:
        for n in (1, 2):
            server.files[f"/emdb/EMD-000{n}/map/emd_000{n}.map.gz"] = (
                folder / f"entry{n}.map.gz"
            ).read_bytes()
            server.files[f"/pdb/divided/mmCIF/ab/{n}abc.cif.gz"] = (folder / f"entry{n}.cif.gz").read_bytes()
        server.files["/emdb/EMD-0002/header/emd-0002.xml"] = b"<e><resolution>4.5</resolution></e>"
        yield server


def served(server: Archive) -> list[str]:
    return ["--emdb-server", server.url + "/emdb", "--pdb-server", server.url + "/pdb", "--attempts", "2"]


def test_the_papers_lists_are_complete():
    cryosamu, superem = read_list(LISTS / "cryosamu.tsv"), read_list(LISTS / "superem.tsv")
    counts = {split: sum(e.split == split for e in cryosamu) for split in ("train", "validation", "test")}
    # The text says 247 training maps; Table S1 prints 245.
    assert counts == {"train": 245, "validation": 62, "test": 75}
    assert len({e.emdb_id for e in cryosamu}) == len({e.pdb_id for e in cryosamu}) == 382
    assert (min(e.resolution for e in cryosamu), max(e.resolution for e in cryosamu)) == (4.0, 7.9)
    assert len(superem) == 36 and {e.split for e in superem} == {"test"}
    assert all(3 <= e.resolution <= 6 for e in superem)
    with open(LISTS / "superem.tsv", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    gains = [float(r["d_model_deposited_A"]) - float(r["d_model_superem_A"]) for r in rows]
    assert np.mean(gains) == pytest.approx(1.00277778, abs=0.001) and sum(g > 0 for g in gains) == 33


def test_two_entries_of_an_archive_become_cubes(archive, tmp_path, capsys):
    (tmp_path / "list.tsv").write_text(
        "emdb_id\tpdb_id\tresolution_A\tsplit\nEMD-1\t1ABC\t4.5\ttrain\n0002\t2abc\t\tvalidation\n"
    )
    archive.breaks["/emdb/EMD-0001/map/emd_0001.map.gz"] = [2000]
    out = tmp_path / "pairs"
    assert prepare("superem", out, "--list", tmp_path / "list.tsv", "--jobs", 2, *served(archive)) == 0
    assert archive.sent("/emdb/EMD-0001/map/emd_0001.map.gz") == [None, "bytes=2000-"]
    assert "2 of 2 entries" in capsys.readouterr().out
    rows = {row["entry"]: row for row in read_index(out)}
    assert {name: (r["split"], r["resolution_A"]) for name, r in rows.items()} == {
        "EMD-0001": ("train", "4.5"),
        "EMD-0002": ("validation", "4.5"),
    }
    for name, split in (("EMD-0001", "train"), ("EMD-0002", "validation")):
        cubes = PairCubes(out, split)
        assert cubes.entries == [name] and len(cubes) == int(rows[name]["cubes"]) > 0
        observed, target = cubes[len(cubes) - 1]
        assert observed.shape == target.shape == (1, 25, 25, 25) and observed.dtype == torch.float32
        assert observed.max() > 0 and target.max() > 0
    requests = len(archive.requests)
    assert prepare("superem", out, "--list", tmp_path / "list.tsv", *served(archive)) == 0
    assert len(archive.requests) == requests


def test_an_entry_that_fails_does_not_stop_the_others_and_is_tried_again(archive, tmp_path, capsys):
    (tmp_path / "list.tsv").write_text(
        "emdb_id\tpdb_id\tresolution_A\tsplit\nEMD-1\t9ABC\t4.5\ttrain\nEMD-2\t2ABC\t4.5\ttrain\n"
    )
    out = tmp_path / "pairs"
    assert prepare("superem", out, "--list", tmp_path / "list.tsv", *served(archive)) == 1
    error = capsys.readouterr().err
    assert "EMD-0001: 9abc.cif.gz: can't be downloaded" in error and "404" in error
    assert PairCubes(out).entries == ["EMD-0002"]
    archive.files["/pdb/obsolete/mmCIF/ab/9abc.cif.gz"] = archive.files["/pdb/divided/mmCIF/ab/1abc.cif.gz"]
    assert prepare("superem", out, "--list", tmp_path / "list.tsv", *served(archive)) == 0
    assert PairCubes(out).entries == ["EMD-0001", "EMD-0002"]


def test_the_input_is_the_map_at_1_A_scaled_by_the_whole_map(folder):
    density, model = read_map(folder / "entry1.map.gz"), read_model(folder / "entry1.cif.gz")
    pair = make_pair(density, model, PAIR_RECIPES["superem"], 4.5)
    grid = density.grid
    axes = [grid.origin[2 - a] + grid.step[2 - a] * np.arange(n) for a, n in enumerate(grid.shape)]
    interpolate = RegularGridInterpolator(
        axes, density.values.astype(float), bounds_error=False, fill_value=0
    )
    whole = grid.cubic(1.0)
    points = np.indices(whole.shape).reshape(3, -1).T + np.array(whole.origin)[::-1]
    # The padding where 1 A voxels reach past the last one of the map is left out of the comparison.
    inside = (points <= [a[-1] for a in axes]).all(axis=1).reshape(whole.shape)
    expected = np.clip(interpolate(points), 0, None).reshape(whole.shape)
    assert pair.shape[1:] == whole.shape
    assert pair[0][inside] == pytest.approx((expected / expected[inside].max())[inside], abs=2e-6)


@pytest.mark.parametrize(
    ("method", "resolution", "k", "cut"),
    [
        # Situs: exp(-1.5 r^2 / (R/2)^2) to sqrt(3) R/2; TEMPy2: sigma = 0.356 R.
        ("superem", 3.4, 1.5 / 0.9**2, 1.8 * 3**0.5 / 2),
        ("superem", 4.5, 1.5 / 1.5**2, 3.0 * 3**0.5 / 2),
        ("cryosamu", 4.5, 1 / (2 * 0.712**2), 4 * 0.712),
    ],
)
def test_the_target_is_the_papers_formula(folder, method, resolution, k, cut):
    density, model = read_map(folder / "entry1.map.gz"), read_model(folder / "entry1.cif.gz")
    wanted = make_pair(density, model, PAIR_RECIPES[method], resolution)[1]
    grid = density.grid.cubic(1.0)
    mass = {6: 12.011, 7: 14.007, 8: 15.999} if method == "superem" else {6: 6, 7: 7, 8: 8}
    rng = np.random.default_rng(0)
    chosen = np.argwhere((wanted > 0.02) & (wanted < 0.999))
    chosen = chosen[rng.choice(len(chosen), 60)]
    ratios = []
    for voxel in chosen:
        r2 = ((grid.to_xyz(voxel[::-1]) - model.positions) ** 2).sum(axis=1)
        weights = np.array([mass[int(z)] for z in model.atomic_numbers])
        ratios.append((weights * np.exp(-k * r2) * (r2 <= cut**2)).sum() / wanted[tuple(voxel)])
    assert np.std(ratios) / np.mean(ratios) < 1e-3


def test_cubes_are_valid_where_neither_map_is_all_zero():
    rng = np.random.default_rng(0)
    pair = np.zeros((2, 40, 33, 29), np.float32)
    pair[0, 5:20, 8:20, 3:29], pair[1, 18:30, 10:12, 9:14] = 1, rng.random((12, 2, 5))
    for size, stride, margin in ((9, 4, 0), (16, 10, 3)):
        starts = {tuple(s) for s in valid_starts(pair, size, stride, margin).tolist()}
        padded = np.pad(pair, [(0, 0)] + [(margin, size)] * 3)
        expected = set()
        for corner in np.ndindex(*(n for n in pair.shape[1:])):
            z, y, x = (c * stride - margin for c in corner)
            ends = [n - margin if margin else n - size + 1 for n in pair.shape[1:]]
            cube = padded[:, z + margin :, y + margin :, x + margin :][:, :size, :size, :size]
            if all(s < e for s, e in zip((z, y, x), ends, strict=True)) and cube.any(axis=(1, 2, 3)).all():
                expected.add((z, y, x))
        assert starts == expected and len(starts) > 5


def test_a_map_without_a_full_cube_has_none():
    assert len(valid_starts(np.ones((2, 10, 30, 30), np.float32), 25, 4)) == 0
    assert occupied(np.zeros((4, 4, 4)), [np.array([0])] * 3, 4).tolist() == [[[False]]]


def test_cutting_to_the_model_loses_no_valid_cube(folder):
    """A small model in a wide map: the cubes are those of scanning the whole map."""
    model = read_model(folder / "entry1.cif.gz")
    grid = Grid((120, 90, 240), (1.0,) * 3, (-45.0, -30.0, -40.0))
    values = np.random.default_rng(0).random(grid.shape).astype(np.float32)
    for method in ("superem", "cryosamu"):
        recipe = PAIR_RECIPES[method]
        part = make_pair(DensityMap(values, grid), model, recipe, 4.5)
        whole = np.stack([values, target(method, model, grid, 4.5).values])
        starts = valid_starts(part, recipe.size, recipe.stride, recipe.margin)
        assert part[0].size < 0.6 * values.size
        assert len(starts) == len(valid_starts(whole, recipe.size, recipe.stride, recipe.margin))


def test_cubes_are_those_of_the_files_also_in_worker_processes(folder, tmp_path):
    out = tmp_path / "pairs"
    assert prepare("cryosamu", out, "--list", folder / "list.tsv") == 0
    cubes = PairCubes(out, "train")
    maps, starts = np.load(out / "entry1.npy"), np.load(out / "entry1.starts.npy")
    assert maps.dtype == np.float16 and cubes.size == 64
    padded = np.pad(maps.astype(np.float32), [(0, 0), (64, 64), (64, 64), (64, 64)])
    assert starts.min() == -7
    for i, (z, y, x) in enumerate(starts + 64):
        expected = padded[:, z : z + 64, y : y + 64, x : x + 64]
        assert np.array_equal(torch.cat(cubes[i]).numpy(), expected)
    loader = torch.utils.data.DataLoader(cubes, batch_size=2, num_workers=1, multiprocessing_context="spawn")
    first = next(iter(loader))
    assert torch.equal(first[0][0], cubes[0][0])
    assert len(pickle.dumps(cubes)) < 5000
    with pytest.raises(IndexError):
        cubes[len(cubes)]
    with pytest.raises(InputError, match="'test'"):
        PairCubes(out, "test")


def test_cubes_come_with_their_structures_embedding(folder, tmp_path):
    out, embeddings = tmp_path / "pairs", tmp_path / "embeddings"
    embeddings.mkdir()
    prepare("cryosamu", out, "--list", folder / "list.tsv")
    with pytest.raises(InputError, match="no embedding of entry1"):
        EmbeddedPairCubes(PairCubes(out), embeddings)
    values = np.random.default_rng(0).random((800, 512)).astype(np.float32)
    np.save(embeddings / "entry1.npy", values)
    cubes = EmbeddedPairCubes(PairCubes(out), embeddings)
    observed, target, embedding = cubes[0]
    assert torch.equal(embedding, torch.from_numpy(values)) and observed.shape == target.shape == (
        1,
        64,
        64,
        64,
    )


def test_a_model_that_is_off_its_map_is_refused(folder, tmp_path, capsys):
    shutil.copy(folder / "entry1.map.gz", tmp_path / "off.map.gz")
    write_model(protein(1, shift=5.0), tmp_path / "off.cif")
    shutil.copy(folder / "entry1.map.gz", tmp_path / "away.map.gz")
    write_model(protein(1, shift=200.0), tmp_path / "away.cif")
    shutil.copy(folder / "entry1.map.gz", tmp_path / "right.map.gz")
    shutil.copy(folder / "entry1.cif.gz", tmp_path / "right.cif.gz")
    (tmp_path / "list.tsv").write_text(
        "map_file\tmodel_file\tresolution_A\tsplit\n"
        + "".join(
            f"{n}.map.gz\t{n}.cif{z}\t4.5\ttrain\n" for n, z in (("off", ""), ("away", ""), ("right", ".gz"))
        )
    )
    assert prepare("superem", tmp_path / "pairs", "--list", tmp_path / "list.tsv") == 0
    error = capsys.readouterr().err
    assert "off: correlation with its model 0." in error
    assert "away: " in error and "100 % of away.cif lies outside the map" in error
    assert PairCubes(tmp_path / "pairs").entries == ["right"]


def test_correlation_is_that_of_the_definition(folder):
    density, model = read_map(folder / "entry1.map.gz"), read_model(folder / "entry1.cif.gz")
    computed = structure_factor_map(model, density.grid, 4.5)
    assert map_model_correlation(computed, model, 4.5) == pytest.approx(1, abs=1e-3)
    assert 0.8 < map_model_correlation(density, model, 4.5) < 0.999
    flat = DensityMap(np.zeros(density.grid.shape, np.float32), density.grid)
    assert map_model_correlation(flat, model, 4.5) == 0


def test_what_the_papers_refuse(tmp_path):
    superem, cryosamu = PAIR_RECIPES["superem"], PAIR_RECIPES["cryosamu"]

    def model(edit=lambda chain: None):
        structure = protein(1)
        edit(structure[0]["A"])
        write_model(structure, tmp_path / "m.cif")
        return read_model(tmp_path / "m.cif")

    def rename(chain, names):
        for residue in chain:
            residue.name = names

    def bare(chain):
        for residue in chain:
            residue.remove_atom("CB", "\0")

    def add_nucleotide(chain):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "DA", gemmi.SeqId("99")
        for name in ("P", "C1'", "C3'", "O3'"):
            atom = gemmi.Atom()
            atom.name, atom.element, atom.occ = name, gemmi.Element(name[0]), 1.0
            residue.add_atom(atom)
        chain.add_residue(residue)

    assert objection(superem, model(), 3.0) == objection(superem, model(), 6.0) == ""
    assert "2.9 A is outside 3 to 6 A" in objection(superem, model(), 2.9)
    assert objection(cryosamu, model(), 4.0) == objection(cryosamu, model(), 8.0) == ""
    assert "outside" in objection(cryosamu, model(), 8.1)
    assert "UNK" in objection(cryosamu, model(lambda chain: rename(chain, "UNK")), 5)
    assert "side chains" in objection(cryosamu, model(bare), 5)
    assert "nucleic" in objection(cryosamu, model(add_nucleotide), 5)
    assert objection(superem, model(add_nucleotide), 5) == ""


@pytest.mark.parametrize("fault", ["model", "map", "flat"])
def test_a_bad_file_is_named_and_the_rest_goes_on(folder, tmp_path, capsys, fault):
    for name in ("entry1.map.gz", "entry1.cif.gz", "entry2.map.gz", "entry2.cif.gz", "list.tsv"):
        shutil.copy(folder / name, tmp_path / name)
    if fault == "model":
        (tmp_path / "entry1.cif.gz").write_bytes(gzip.compress(b"data_x\nloop_\n_nothing\n1\n"))
        message = "entry1.cif.gz"
    elif fault == "map":
        (tmp_path / "entry1.map.gz").write_bytes((folder / "entry1.map.gz").read_bytes()[:500])
        message = "entry1.map.gz: not a readable MRC/CCP4 map"
    else:
        grid = read_map(folder / "entry1.map.gz").grid
        write_map(DensityMap(np.full(grid.shape, -1, np.float32), grid), tmp_path / "entry1.map.gz")
        message = "entry1: "
    out = tmp_path / "pairs"
    prepare("superem", out, "--list", tmp_path / "list.tsv", "--min-correlation", "-2")
    assert message in capsys.readouterr().err
    assert [row["entry"] for row in read_index(out) if row["split"]] == ["entry2"]


def test_a_folder_pairs_files_of_the_same_name(folder, tmp_path):
    entries = scan_folder(folder)
    assert [(e.name, Path(e.map_file).name, Path(e.model_file).name) for e in entries] == [
        (f"entry{n}", f"entry{n}.map.gz", f"entry{n}.cif.gz") for n in (1, 2)
    ]
    with pytest.raises(InputError, match="no map with a model"):
        scan_folder(tmp_path)


def test_splits_depend_on_the_name_alone_and_have_the_papers_shares():
    splits = [split_of(f"EMD-{n}") for n in range(4000)]
    shares = [splits.count(s) / 4000 for s in ("train", "validation", "test")]
    assert shares == pytest.approx([0.65, 0.15, 0.20], abs=0.03)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("emdb_id\tresolution_A\nEMD-1\tfive\n", "line 2: resolution_A is 'five'"),
        ("emdb_id\tsplit\nEMD-1\tlearn\n", "split is 'learn'"),
        ("emdb_id\nEMD-1\nEMD-0001\n", "line 3: EMD-0001 stands there twice"),
        ("name\nx\n", "neither a column emdb_id nor map_file"),
        ("emdb_id\n", "no entries"),
        ("emdb_id\nEMD-x\n", "'EMD-x' is not an EMDB id"),
    ],
)
def test_a_bad_list_is_refused_with_its_line(tmp_path, capsys, text, message):
    (tmp_path / "list.tsv").write_text(text)
    assert prepare("superem", tmp_path / "pairs", "--list", tmp_path / "list.tsv") == 2
    assert message in capsys.readouterr().err


RUN = """
import sys, resource
sys.path[:0] = {paths!r}
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
import prepare_pairs
sys.exit(prepare_pairs.main({arguments!r}))
"""


def start(arguments: list[str], limit: int = 0) -> subprocess.Popen:
    code = RUN.format(paths=[str(SCRIPTS), str(SCRIPTS.parent / "src")], limit=limit, arguments=arguments)
    return subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_full_disk_and_a_killed_run_lose_nothing(folder, tmp_path):
    out = tmp_path / "pairs"
    arguments = ["superem", "--out", str(out), "--list", str(folder / "list.tsv"), "--max-identity", "100"]
    full = start(arguments, limit=50_000)
    error = full.communicate(timeout=60)[1]
    assert full.returncode == 2 and "entry1.npy: can't be written" in error and "Traceback" not in error
    assert not (out / "index.tsv").exists() and not list(out.glob("*.npy")) and not list(out.glob(".*"))

    killed = start(arguments)
    deadline = time.time() + 60
    while not (out / "entry1.npy").exists() and time.time() < deadline:
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    assert prepare_pairs.main(arguments) == 0
    records = {p.name: p.stat().st_mtime_ns for p in out.glob("*.npy")}
    assert len(records) == 4 and not [p for p in os.listdir(out) if p.startswith(".")]
    assert prepare_pairs.main(arguments) == 0
    assert {p.name: p.stat().st_mtime_ns for p in out.glob("*.npy")} == records
    assert json.loads((out / "settings.json").read_text())["size"] == 25

    other = start(["cryosamu", *arguments[1:]], limit=50_000)
    assert "can't be written" in other.communicate(timeout=60)[1]
    with pytest.raises(InputError, match=r"index\.tsv: no such file"):
        PairCubes(out)


def test_hits_of_mmseqs2_become_relatives():
    rows = [
        "0 0 1.000 1.000 1.000",
        "0 1 0.310 0.200 0.900",
        "1 0 0.330 0.900 0.200",
        "0 2 0.900 0.300 0.400",
    ]
    table = "\n".join(rows).replace(" ", "\t")
    assert parse_hits(table, ["a", "b", "c"]) == [Relative("a", "b", 33.0)]


def test_of_related_entries_the_first_is_kept():
    found = [Relative("a", "b", 40.0), Relative("b", "c", 90.0), Relative("c", "d", 24.0)]
    assert set(redundant(["a", "b", "c", "d"], found, 25.0)) == {"b"}
    assert set(redundant(["b", "a", "c", "d"], found, 25.0)) == {"a", "c"}
    assert redundant(["a", "b", "c", "d"], found, 95.0) == {}


def test_without_mmseqs2_the_message_says_what_to_do(monkeypatch, folder, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    code = prepare_pairs.main(["superem", "--out", str(tmp_path / "p"), "--list", str(folder / "list.tsv")])
    assert code == 2 and "--max-identity 100" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("mmseqs") is None, reason="MMseqs2 (mmseqs) is not on the PATH")
def test_related_proteins_are_found_by_mmseqs2(tmp_path, folder):
    rng = np.random.default_rng(5)
    letters = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
    first, other = ("".join(rng.choice(letters, 120)) for _ in range(2))
    changed = "".join(rng.choice(letters) if rng.random() < 0.4 else c for c in first)
    same = 100 * np.mean([a == b for a, b in zip(first, changed, strict=True)])
    found = relatives({"a": {"A": first, "B": first}, "b": {"A": changed}, "c": {"X": other}})
    assert [(r.first, r.second) for r in found] == [("a", "b")]
    assert found[0].identity == pytest.approx(same, abs=6)
    model = read_model(folder / "entry1.cif.gz")
    assert sequences(model)["A"] == "".join(
        gemmi.find_tabulated_residue(r.name).one_letter_code for r in model.residues
    )
