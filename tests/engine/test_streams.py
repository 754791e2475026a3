"""What surrounds a command: readers that go away, closed streams, code pages, limits, signals at any time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import blobs

from cryomap.density import write_map
from cryomap.grid import Grid

SOURCE = Path(__file__).resolve().parents[2] / "src"
GRID = Grid((20, 20, 20), (1.5,) * 3)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="streams and signals of Unix")


@pytest.fixture
def maps(tmp_path):
    for number, name in enumerate(("a.mrc", "漢.mrc", os.fsdecode(b"caf\xe9.mrc"))):
        write_map(blobs(GRID, GRID.center[None] + number, 3.0), tmp_path / name)
    return tmp_path


def shell(folder: Path, text: str, **environment: str) -> subprocess.CompletedProcess:
    """A shell command, in which cryomap stands for the program."""
    program = f"{sys.executable} -m cryomap"
    return subprocess.run(
        ["bash", "-c", text.replace("cryomap", program)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        errors="replace",
    )


COMPARE = "cryomap mapcc a.mrc --to 漢.mrc --metrics cc --resolution 5"


def test_a_reader_that_goes_away_stops_nothing(maps):
    done = shell(maps, f"({COMPARE} --csv o.csv; echo status $? >&2) | true")
    assert "status 0" in done.stderr and "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert (maps / "o.csv").stat().st_size > 0


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_stop_nothing(maps, closed):
    done = shell(maps, f"{COMPARE} --csv o.csv {closed}")
    assert done.returncode == 0 and (maps / "o.csv").read_text().startswith("map,")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_standard_output_is_said(maps):
    done = shell(maps, f"{COMPARE} > /dev/full")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert (
        done.stderr.strip().splitlines()[-1]
        == "error: standard output can't be written (No space left on device)"
    )


def test_names_that_a_code_page_lacks_are_escaped(maps):
    done = shell(maps, COMPARE.replace("a.mrc", "$'caf\\xe9.mrc'"), PYTHONIOENCODING="cp1252")
    assert done.returncode == 0 and "\\u6f22" in done.stdout


def test_a_line_is_one_line(maps):
    done = shell(maps, "cryomap mapcc $'no\\n\\x1b[2Jfile.mrc' --to a.mrc")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "\x1b" not in done.stderr


@pytest.mark.parametrize("number", ["-3e-3", "-.5e1"])
def test_numbers_below_zero_are_no_options(maps, number):
    done = shell(maps, f"{COMPARE} --contour {number}")
    assert done.returncode == 0, done.stderr


def test_a_working_folder_that_is_gone_is_said(maps):
    done = shell(maps, "mkdir gone; cd gone; rmdir ../gone; cryomap mapcc ../a.mrc --to ../漢.mrc")
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("error: the working folder is gone")
    assert "Traceback" not in done.stderr


def test_a_name_commands_no_terminal(maps):
    (maps / "a.mrc").rename(maps / "\x1b[2J\x9b.mrc")
    done = shell(maps, "cryomap mapcc *2J*.mrc --to 漢.mrc --metrics cc --resolution 5")
    assert done.returncode == 0 and "\\x1b[2J" in done.stdout and "\\x1b[2J" in done.stderr
    assert not {"\x1b", "\x9b"} & {*done.stdout, *done.stderr}


@pytest.mark.parametrize("megabytes", [60, 120, 220, 500, 1000])
def test_a_limit_in_which_nothing_can_start_is_said(maps, megabytes):
    # Two threads: with one, fewer of these limits make OpenBLAS ask for memory without end.
    command = f"ulimit -v {megabytes}000; timeout -s KILL 60 cryomap info"
    done = shell(maps, command, OMP_NUM_THREADS="2")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "address space" in done.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_at_any_time_ends_in_one_line_and_leaves_nothing(maps, name):
    write_map(blobs(Grid((90, 90, 90)), np.array([[40.0, 40, 40]]), 5.0), maps / "large.mrc")
    number = getattr(signal, name)
    for delay in (0.4, 3.0):
        command = [
            sys.executable,
            "-m",
            "cryomap",
            "enhance",
            "large.mrc",
            "-o",
            "o.mrc.gz",
            "--grid-spacing",
            "0.3",
        ]
        process = subprocess.Popen(
            command,
            cwd=maps,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        )
        time.sleep(delay)
        process.send_signal(number)
        errors = process.communicate(timeout=120)[1]
        assert "Traceback" not in errors
        assert process.returncode in (128 + number, -number)  # the latter before the program has begun
        assert not list(maps.glob(".o*")) and not (maps / "o.mrc.gz").exists()
        if number == signal.SIGINT and process.returncode == 130:
            assert errors.splitlines()[-1] == "stopped; nothing was written"
