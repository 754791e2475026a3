"""Workers that die, fail, or are stopped: a clear error, and nothing is left behind."""

import contextlib
import os
import tempfile
import threading
import time
from pathlib import Path

from chimerax.core.commands import run
from chimerax.core.errors import UserError
from support import leftovers, open_map, use_fake_engine, user_error


def test_killed_worker(session):
    use_fake_engine()
    open_map(session, name="crash")
    with user_error("killed", "memory"):
        run(session, "enhance #1")
    assert leftovers() == []
    assert session.models[0].display


def test_worker_that_fails(session):
    use_fake_engine()
    open_map(session, name="garbage")
    with user_error("exit status 1", "garbage was asked for"):
        run(session, "enhance #1")
    assert leftovers() == []


def test_the_list_of_tasks_says_how_each_ended(session):
    from chimerax.map_enhance.enhance.job import EnhanceJob

    use_fake_engine()
    for name in ("good", "bad", "crash"):
        open_map(session, name=name)
    for number in (1, 2, 3):
        with contextlib.suppress(UserError):
            run(session, f"enhance #{number}")
    tasks = session.tasks.find_by_class(EnhanceJob)[-3:]
    assert [str(task.state) for task in tasks] == ["finished", "failed", "failed"]
    assert "failed" in str(tasks[-1]) and all(task.runtime for task in tasks)
    run(session, f"taskman kill {tasks[-1].id}")
    assert tasks[-1] not in session.tasks.values()


def test_out_of_memory(session):
    use_fake_engine()
    open_map(session, name="memory")
    with user_error("memory: out of memory on cpu"):
        run(session, "enhance #1")
    assert leftovers() == []


def test_bad_map_among_good_ones(session):
    use_fake_engine()
    for name in ("one", "bad", "three"):
        open_map(session, name=name)
    with user_error("bad: the map is constant"):
        run(session, "enhance #1-3")
    names = {model.name for model in session.models}
    assert {"one superem", "three superem"} <= names and "bad superem" not in names


def stop_soon(session, seconds=1.0):
    """Stop the job as the task manager would, while the command waits."""

    def stop():
        from chimerax.map_enhance.enhance.job import EnhanceJob

        for job in session.tasks.find_by_class(EnhanceJob):
            job.terminate()

    threading.Timer(seconds, stop).start()


def test_stopped_worker(session):
    use_fake_engine()
    volume = open_map(session, name="slow")
    stop_soon(session)
    began = time.monotonic()
    with user_error("stopped"):
        run(session, "enhance #1")
    assert time.monotonic() - began < 20  # it would take a minute
    assert leftovers() == [] and volume.display
    assert len(session.models.list(type=type(volume))) == 1
    assert workers() == []


def test_interrupted_command(session):
    import signal

    use_fake_engine()
    open_map(session, name="slow")
    # What a shell runs in the background ignores Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        run(session, "enhance #1")
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("Ctrl-C did not end the command")
    finally:
        signal.signal(signal.SIGINT, before)
    assert leftovers() == [] and workers() == []


def workers():
    """Command lines of worker processes that still run on this temporary folder's jobs (where /proc tells)."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [
        line
        for line in lines
        if "cryomap.worker" in line and f"{tempfile.gettempdir()}/chimerax_enhance_" in line
    ]
