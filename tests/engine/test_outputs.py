"""Outputs are checked before the work, by file identity; nothing is lost that someone else made."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cryomap.errors import InputError, WriteError
from cryomap.outputs import require_map_output, require_outputs
from cryomap.replacing import replacing

unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


@pytest.fixture
def given(tmp_path):
    path = tmp_path / "in.mrc"
    path.write_text("given")
    return path


def test_what_is_read_is_not_written(tmp_path, given, monkeypatch):
    (tmp_path / "link.mrc").symlink_to(given)
    os.link(given, tmp_path / "hard.mrc")
    (tmp_path / "folder").symlink_to(tmp_path)
    names = (given, tmp_path / "link.mrc", tmp_path / "hard.mrc", tmp_path / "folder" / "in.mrc")
    for name in names:
        with pytest.raises(InputError, match=r"the same file as .*in\.mrc"):
            require_outputs([name], [None, tmp_path / "absent", given])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="the same file"):
        require_outputs(["./in.mrc"], [given])
    require_outputs([tmp_path / "out.mrc"], [given])


def test_nothing_is_written_twice(tmp_path):
    (tmp_path / "folder").symlink_to(tmp_path)
    for other in (tmp_path / "out.mrc", tmp_path / "folder" / "out.mrc", tmp_path / "OUT.mrc"):
        with pytest.raises(InputError, match=r"(another output|the same file as .*out\.mrc)"):
            require_outputs([tmp_path / "out.mrc", other])


@pytest.mark.parametrize(
    ("name", "what"), [("", "empty"), ("a\0b", "no name"), (".", "folder"), ("no/out.mrc", "does not exist")]
)
def test_what_is_no_place_for_a_file(tmp_path, monkeypatch, name, what):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=what):
        require_outputs([name])


@unix
def test_pipes_sockets_and_loops_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets must be short
    os.mkfifo(tmp_path / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind("socket")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "socket", "loop"):
        with pytest.raises(InputError):
            require_outputs([tmp_path / name])
        assert stat.S_IFMT(os.lstat(tmp_path / name).st_mode) not in (0, stat.S_IFREG)


@unix
def test_a_closed_folder_is_noticed_first(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    code = "import sys; from cryomap.outputs import require_outputs; require_outputs(sys.argv[1:])"
    command = [sys.executable, "-c", code, closed / "out.mrc"]
    drop = (
        ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    )
    closed.chmod(0o555)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}
    try:
        told = subprocess.run([*drop, *command], capture_output=True, text=True, env=environment)
    except FileNotFoundError:
        pytest.skip("as root, and without setpriv to be less")
    finally:
        closed.chmod(0o755)
    assert "WriteError" in told.stderr and "Permission denied" in told.stderr


@unix
def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    with replacing(tmp_path / "link") as temporary:
        Path(temporary).write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "new"


@unix
def test_a_device_is_written_into(tmp_path):
    null = Path(os.devnull)
    require_outputs([null, null])
    with replacing(null) as temporary:
        Path(temporary).write_text("gone")
    assert stat.S_ISCHR(null.stat().st_mode)


def test_rights_that_can_not_be_changed_lose_no_result(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refused)
    with replacing(tmp_path / "out") as temporary:
        Path(temporary).write_text("result")
    assert (tmp_path / "out").read_text() == "result"


@unix
@pytest.mark.parametrize("name", ["x" * 251 + ".mrc", "é" * 125 + ".mrc"])
def test_the_longest_names_are_written(tmp_path, name):
    require_outputs([tmp_path / name])
    with replacing(tmp_path / name) as left:
        Path(left).write_text("whole")
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == "whole"
    leftover = tmp_path / Path(left).name
    leftover.write_text("of a process that was killed")
    with replacing(tmp_path / name):
        assert not leftover.exists()
    with pytest.raises(WriteError):
        require_outputs([tmp_path / f"{name}xx"])


@unix
def test_only_what_a_dead_process_left_of_the_same_file_is_removed(tmp_path):
    ours = [".out.mrc.abcdefgh.tmp", ".out.mrc.x1y2z3_9.tmp"]
    foreign = [
        ".out.mrc.swp",
        ".out.mrc.backup",
        ".out.mrc.ABC.tmp",
        ".other.mrc.abcdefgh.tmp",
        "out.mrc.tmp",
    ]
    for name in (*ours, *foreign):
        (tmp_path / name).write_text("")
    with replacing(tmp_path / "out.mrc") as first, replacing(tmp_path / "out.mrc") as second:
        Path(first).write_text("first")
        Path(second).write_text("second")
        assert not any((tmp_path / name).exists() for name in ours)
    assert sorted(os.listdir(tmp_path)) == sorted([*foreign, "out.mrc"])
    assert (tmp_path / "out.mrc").read_text() == "first"


def test_names_of_maps():
    for name in ("a.mrc", "a.MAP", "a.ccp4.gz", "a.mrc.bz2", "emd_1.5.rec", "plain", "/dev/null"):
        require_map_output(name)
    for name in ("a.hdf", "a.txt", "a.zip", "a.mrc.zip", "a.txt.gz", "a.pdb", "-"):
        with pytest.raises(InputError):
            require_map_output(name)
    assert issubclass(WriteError, InputError)
