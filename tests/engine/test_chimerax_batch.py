"""ChimeraX without a window as scripts and other programs use it: exit codes, results, REST."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from chimerax_program import TOP
from conftest import blobs

from cryomap.density import DensityMap, read_map, write_map
from cryomap.grid import Grid

GRID = Grid((30, 30, 30), (1.0,) * 3, (5.0, 6.0, 7.0))
BATCH = """
import sys
from chimerax.core.commands import run

folder, *maps = sys.argv[1:]
for path in maps:
    run(session, f"open {path}")
for volume in run(session, "enhance #1-3 method superem device cpu"):
    name = volume.name.replace(".mrc superem", "")
    run(session, f"save {folder}/{name}_better.mrc models #{volume.id_string}")
"""


@pytest.fixture
def maps(tmp_path) -> list[Path]:
    """Three good maps and a constant one."""
    paths = [tmp_path / f"{name}.mrc" for name in ("one", "two", "three", "constant")]
    for number, path in enumerate(paths[:3]):
        write_map(blobs(GRID, np.array([[15.0 + number, 20, 21], [22, 21, 26]]), 3.0), path)
    write_map(DensityMap(np.ones(GRID.shape, np.float32), GRID), paths[3])
    return paths


@pytest.fixture
def prepare(bundle) -> str:
    return f"runscript {TOP / 'tests' / 'chimerax' / 'use_bundle.py'} {bundle} {sys.executable}"


def batch(chimerax: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [chimerax, "--nogui", "--exit", *arguments], capture_output=True, text=True, timeout=300
    )


def test_many_maps_by_a_script_take_one_worker(chimerax, prepare, maps, tmp_path):
    script = tmp_path / "batch.py"
    script.write_text(BATCH)
    files = " ".join(map(str, maps[:3]))
    done = batch(chimerax, "--cmd", prepare, "--script", f"{script} {tmp_path} {files}")
    assert done.returncode == 0, done.stdout + done.stderr
    for path in maps[:3]:
        result = read_map(tmp_path / f"{path.stem}_better.mrc")
        assert result.grid.shape == GRID.shape and np.allclose(result.grid.origin, GRID.origin, atol=0.1)
        assert 0.2 < result.values.max() <= 1
    loaded = re.findall("INFO:\n.*bundled superem .* on CPU", done.stdout)  # the status line says it, too
    assert len(loaded) == 1, done.stdout


def test_a_command_that_fails_gives_an_exit_code(chimerax, prepare, maps):
    good = batch(chimerax, "--cmd", f"{prepare}; open {maps[0]}; enhance #1 method superem device cpu")
    assert good.returncode == 0, good.stderr
    for command, word in (
        (f"open {maps[3]}; enhance #1 method superem device cpu", "every voxel"),
        ("enhance #1", "no maps given"),
        (f"open {maps[0]}; mapcc #1 to #9", "UserError"),
    ):
        done = batch(chimerax, "--cmd", f"{prepare}; {command}")
        assert done.returncode != 0 and word in done.stderr, (command, done.stdout, done.stderr)


def test_a_script_that_fails_gives_an_exit_code(chimerax, prepare, maps, tmp_path):
    script = tmp_path / "batch.py"
    script.write_text(BATCH)
    done = batch(chimerax, "--cmd", prepare, "--script", f"{script} {tmp_path} {maps[0]} {maps[3]}")
    assert done.returncode != 0 and "every voxel" in done.stderr, done.stdout + done.stderr
    assert not list(tmp_path.glob("*_better.mrc"))


def test_rest_tells_what_was_made(chimerax, prepare, maps):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = f"{prepare}; open {maps[0]}; remotecontrol rest start port {port} json true"
    process = subprocess.Popen(
        [chimerax, "--nogui", "--cmd", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        made = ask(port, "enhance #1 method superem device cpu", process)
        assert made["error"] is None
        (facts,) = json.loads(made["json values"][0])["maps"]
        assert facts["name"] == "one.mrc superem" and facts["report"]["tiles_run"] > 0
        failed = ask(port, "enhance #99", process)
        assert failed["error"]["type"] == "UserError" and "no maps" in failed["error"]["message"]
        figures = ask(port, f"mapcc #1 to #{facts['id']} metrics cc", process)
        if figures["error"] and "gemmi" in figures["error"]["message"]:
            pytest.skip("this ChimeraX lacks gemmi")
        assert figures["error"] is None, figures
        assert len(json.loads(figures["json values"][0])["maps"]) == 1
    finally:
        process.kill()
        process.communicate()


def ask(port: int, command: str, process: subprocess.Popen) -> dict:
    """A command's answer, from a ChimeraX that may still be starting."""
    url = f"http://127.0.0.1:{port}/run?" + urllib.parse.urlencode({"command": command})
    for _ in range(120):
        try:
            with urllib.request.urlopen(url, timeout=240) as answer:
                return json.loads(answer.read())
        except urllib.error.URLError:
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.5)
    raise AssertionError("the REST server never answered")
