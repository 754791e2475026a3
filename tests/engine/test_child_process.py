import os
import sys
import time

import pytest

from runtime.child_process import ChildProcess, clean_environment

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def python(program: str, **options) -> ChildProcess:
    return ChildProcess([sys.executable, "-c", program], environment=clean_environment(), **options)


def test_lines_and_exit_code():
    child = python("import sys; print('eins'); print('zwei Å', file=sys.stderr); sys.exit(3)")
    assert sorted(child.lines()) == ["eins", "zwei Å"]
    assert child.exit_code == 3


def test_errors_elsewhere(tmp_path):
    with open(tmp_path / "errors", "w") as errors:
        child = python("import sys; print('out'); print('err', file=sys.stderr)", errors=errors)
        assert list(child.lines()) == ["out"]
    assert (tmp_path / "errors").read_text() == "err\n"


def test_missing_program():
    with pytest.raises(OSError):
        ChildProcess(["/nowhere/python"], environment=clean_environment())


def test_stop():
    child = python("import time; print('up', flush=True); time.sleep(60)")
    lines = child.lines()
    assert next(lines) == "up" and child.exit_code is None
    began = time.monotonic()
    child.stop()
    assert list(lines) == [] and child.exit_code != 0
    assert time.monotonic() - began < 4


@posix
def test_stop_of_a_stubborn_one():
    child = python(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', flush=True); time.sleep(60)"
    )
    lines = child.lines()
    next(lines)
    child.stop()
    assert list(lines) == [] and child.exit_code == -9


@posix
def test_stop_reaches_grandchildren():
    child = python(
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    lines = child.lines()
    grandchild = int(next(lines))
    child.stop()
    assert list(lines) == []  # the pipe closes when the last of them is gone
    with pytest.raises(ProcessLookupError):
        for _ in range(50):
            os.kill(grandchild, 0)
            time.sleep(0.1)


def test_environment(monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/somewhere")
    monkeypatch.setenv("KEPT", "yes")
    environment = clean_environment(PYTHONPATH="here")
    assert "PYTHONHOME" not in environment
    assert environment["KEPT"] == "yes" and environment["PYTHONPATH"] == "here"
