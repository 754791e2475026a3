"""prepare_pairs.py from an archive, a folder or a list, and what it does when something goes wrong."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from pair_entries import prepare, protein, served, write_model

import prepare_pairs
from cryomap.density import DensityMap, read_map, write_map
from cryomap.errors import InputError
from pairs.datasets import PairCubes
from pairs.entries import scan_folder
from pairs.files import read_index

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


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


def test_the_size_is_said_first_and_must_fit(archive, tmp_path, capsys, monkeypatch):
    (tmp_path / "list.tsv").write_text("emdb_id\tpdb_id\tresolution_A\nEMD-1\t1ABC\t4.5\n")
    size = sum(len(archive.files[f]) for f in archive.files if "0001" in f or "1abc" in f)
    usage = shutil.disk_usage(tmp_path)._replace(free=size - 1)
    monkeypatch.setattr(prepare_pairs.shutil, "disk_usage", lambda folder: usage)
    words = ["--list", tmp_path / "list.tsv", "--splits", "train,validation,test", *served(archive)]
    assert prepare("superem", tmp_path / "pairs", *words) == 2
    assert "won't fit into" in capsys.readouterr().err and not archive.requests
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert prepare("superem", tmp_path / "pairs", *words) == 0
    assert f"{size / 1e9:.2f} GB to download" in capsys.readouterr().out


def test_maps_are_kept_only_if_asked_for(archive, tmp_path):
    (tmp_path / "list.tsv").write_text("emdb_id\tpdb_id\tresolution_A\tsplit\nEMD-1\t1ABC\t4.5\ttrain\n")
    out, words = tmp_path / "pairs", ["--list", tmp_path / "list.tsv", *served(archive)]
    assert prepare("superem", out, *words) == 0
    assert not list(out.glob("downloads/*.map.gz*")) and list(out.glob("downloads/*.cif.gz"))
    requests, cubes = len(archive.requests), len(PairCubes(out))
    assert prepare("superem", out, *words) == 0 and len(archive.requests) == requests
    assert len(PairCubes(out)) == cubes
    assert prepare("superem", tmp_path / "other", *words, "--keep-archives") == 0
    assert list(tmp_path.glob("other/downloads/*.map.gz"))


@pytest.mark.parametrize("wrong", ["--emdb-server=file:///etc", "--pdb-server=ftp://127.0.0.1/pdb"])
def test_nothing_but_http_is_downloaded_from(archive, tmp_path, capsys, wrong):
    (tmp_path / "list.tsv").write_text("emdb_id\tpdb_id\tresolution_A\nEMD-1\t1ABC\t4.5\n")
    words = [wrong] + ([] if "emdb" in wrong else ["--emdb-server", archive.url + "/emdb"])
    code = prepare(
        "superem",
        tmp_path / "p",
        "--list",
        tmp_path / "list.tsv",
        "--splits",
        "train,validation,test",
        *words,
    )
    assert code in (1, 2)
    assert "only http:// and https://" in capsys.readouterr().err


@pytest.mark.parametrize("ids", ["EMD-\u0661\u0662\t1ABC", "EMD-1\t7\u212aEC"])
def test_ids_are_ascii(tmp_path, capsys, ids):
    """Arabic digits, and a Kelvin sign that lower() makes a k."""
    (tmp_path / "list.tsv").write_text(f"emdb_id\tpdb_id\tresolution_A\n{ids}\t4.5\n")
    words = [
        "--list",
        tmp_path / "list.tsv",
        "--splits",
        "train,validation,test",
        "--emdb-server",
        "http://127.0.0.1:9",
    ]
    assert prepare("superem", tmp_path / "p", *words, "--attempts", "1") in (1, 2)
    assert "is not a" in capsys.readouterr().err


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


def test_a_model_that_is_off_its_map_is_refused(pair_folder, tmp_path, capsys):
    shutil.copy(pair_folder / "entry1.map.gz", tmp_path / "off.map.gz")
    write_model(protein(1, shift=5.0), tmp_path / "off.cif")
    shutil.copy(pair_folder / "entry1.map.gz", tmp_path / "away.map.gz")
    write_model(protein(1, shift=200.0), tmp_path / "away.cif")
    shutil.copy(pair_folder / "entry1.map.gz", tmp_path / "right.map.gz")
    shutil.copy(pair_folder / "entry1.cif.gz", tmp_path / "right.cif.gz")
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


def test_another_model_of_the_same_name_makes_other_targets(pair_folder, tmp_path):
    for name in ("entry1.map.gz", "entry1.cif.gz"):
        shutil.copy(pair_folder / name, tmp_path / name)
    (tmp_path / "list.tsv").write_text(
        "map_file\tmodel_file\tresolution_A\tsplit\nentry1.map.gz\tentry1.cif.gz\t4.5\ttrain\n"
    )
    words = ["--list", tmp_path / "list.tsv", "--min-correlation", "-2"]
    targets = []
    for shift in (0.0, 4.0):
        write_model(protein(1, shift=shift), tmp_path / "entry1.cif.gz")
        assert prepare("superem", tmp_path / "pairs", *words) == 0
        targets.append(np.load(tmp_path / "pairs" / "entry1.npy")[1])
    assert targets[0].shape != targets[1].shape or not np.array_equal(*targets)


@pytest.mark.parametrize("fault", ["model", "map", "flat"])
def test_a_bad_file_is_named_and_the_rest_goes_on(pair_folder, tmp_path, capsys, fault):
    for name in ("entry1.map.gz", "entry1.cif.gz", "entry2.map.gz", "entry2.cif.gz", "list.tsv"):
        shutil.copy(pair_folder / name, tmp_path / name)
    if fault == "model":
        (tmp_path / "entry1.cif.gz").write_bytes(gzip.compress(b"data_x\nloop_\n_nothing\n1\n"))
        message = "entry1.cif.gz"
    elif fault == "map":
        (tmp_path / "entry1.map.gz").write_bytes((pair_folder / "entry1.map.gz").read_bytes()[:500])
        message = "entry1.map.gz: not a readable MRC/CCP4 map"
    else:
        grid = read_map(pair_folder / "entry1.map.gz").grid
        write_map(DensityMap(np.full(grid.shape, -1, np.float32), grid), tmp_path / "entry1.map.gz")
        message = "entry1: "
    out = tmp_path / "pairs"
    prepare("superem", out, "--list", tmp_path / "list.tsv", "--min-correlation", "-2")
    assert message in capsys.readouterr().err
    assert [row["entry"] for row in read_index(out) if row["split"]] == ["entry2"]


def test_a_folder_pairs_files_of_the_same_name(pair_folder, tmp_path):
    entries = scan_folder(pair_folder)
    assert [(e.name, Path(e.map_file).name, Path(e.model_file).name) for e in entries] == [
        (f"entry{n}", f"entry{n}.map.gz", f"entry{n}.cif.gz") for n in (1, 2)
    ]
    with pytest.raises(InputError, match="no map with a model"):
        scan_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("emdb_id\tresolution_A\nEMD-1\tfive\n", "line 2: resolution_A is 'five'"),
        ("emdb_id\tsplit\nEMD-1\tlearn\n", "split is 'learn'"),
        ("emdb_id\nEMD-1\nEMD-0001\n", "line 3: EMD-0001 stands there twice"),
        ("name\nx\n", "neither a column emdb_id nor map_file"),
        ("emdb_id\n", "no entries"),
        ("emdb_id\nEMD-x\n", "'EMD-x' is not an EMDB id"),
        ("map_file\tmodel_file\n../a.mrc\ta.pdb\n", "map_file '../a.mrc' leads out of its folder"),
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


def test_a_full_disk_and_a_killed_run_lose_nothing(pair_folder, tmp_path):
    out = tmp_path / "pairs"
    arguments = [
        "superem",
        "--out",
        str(out),
        "--list",
        str(pair_folder / "list.tsv"),
        "--max-identity",
        "100",
    ]
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
