"""What only a ChimeraX with a window does: go on while a worker runs. Skipped without one."""

import time

from chimerax.core.commands import run
from support import Skipped, leftovers, open_map, use_fake_engine


def need_window(session):
    if not session.ui.is_gui:
        raise Skipped("no window")
    use_fake_engine()


def wait(session, until, seconds=30):
    """Let the window live until something is so; returns the longest time it did not answer."""
    end, longest = time.monotonic() + seconds, 0
    while not until():
        assert time.monotonic() < end, "waited too long"
        began = time.monotonic()
        session.ui.processEvents()
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.01)
    return longest


def logged(session):
    """Install a log that keeps what it's told: (level, message)."""
    from chimerax.core.logger import PlainTextLog

    class Keep(PlainTextLog):
        excludes_other_logs = True  # no error dialog in tests

        def __init__(self):
            super().__init__()
            self.lines, self.status_lines = [], []

        def log(self, level, msg):
            self.lines.append((level, msg))
            return True

        def status(self, msg, color, secondary):
            self.status_lines.append(msg)
            return False

    log = Keep()
    session.logger.add_log(log)
    return log


def test_typed_command_returns_at_once(session):
    need_window(session)
    volume = open_map(session, name="slow map")
    began = time.monotonic()
    job = run(session, "enhance #1 block false")
    assert time.monotonic() - began < 2
    seen, log = [], logged(session)
    job.triggers.add_handler("progress", lambda _, progress: seen.append(progress))
    longest = wait(session, lambda: len(seen) > 20)
    session.logger.remove_log(log)
    assert longest < 0.5, f"the window did not answer for {longest:.2f} s"
    assert 0 < seen[-1].fraction < 1 and seen[-1].seconds_left > 0
    assert any("slow map on CPU" in line and "left" in line for line in log.status_lines)
    run(session, f"taskman kill {job.id}")
    wait(session, lambda: job.done)
    assert job.stopped and volume.display and leftovers() == []
    assert job.id not in session.tasks


def test_result_arrives(session):
    need_window(session)
    volume = open_map(session)
    done = []
    job = run(session, "enhance #1 block false")
    job.triggers.add_handler("done", lambda _, task: done.append(task.results))
    wait(session, lambda: done)
    assert [v.name for v in done[0]] == ["blobs superem"] and not volume.display
    assert job.error is None and leftovers() == []


def test_blocks_in_scripts(session):
    need_window(session)
    open_map(session)
    with session.in_script:
        (result,) = run(session, "enhance #1")
    assert result.name == "blobs superem"


def test_two_at_a_time(session):
    need_window(session)
    for seed in (1, 2):
        open_map(session, seed=seed)
    jobs = [run(session, f"enhance #{number} block false") for number in (1, 2)]
    wait(session, lambda: all(job.done for job in jobs))
    assert [len(job.results) for job in jobs] == [1, 1]


def test_jobs_wait_for_each_other(session):
    """One worker at a time; who waits says so, and can be stopped, and those behind it go on."""
    need_window(session)
    open_map(session, name="slow")
    open_map(session, name="blobs")
    jobs = [run(session, f"enhance #{number} method superem block false") for number in (1, 2, 2)]
    wait(session, lambda: all("waits" in str(job) for job in jobs[1:]))
    assert "slow" in str(jobs[0]) and "superem" in str(jobs[0]) and f"task {jobs[0].id}" in str(jobs[1])
    run(session, f"taskman kill {jobs[1].id}")
    wait(session, lambda: jobs[1].done)
    assert jobs[1].stopped and not jobs[0].done and not jobs[2].done
    run(session, f"taskman kill {jobs[0].id}")
    wait(session, lambda: jobs[2].done)
    assert len(jobs[2].results) == 1 and leftovers() == []


def test_a_script_waits_for_the_job_before(session):
    need_window(session)
    open_map(session, name="slow")
    open_map(session, name="blobs")
    job = run(session, "enhance #1 block false")
    wait(session, lambda: "running" in str(job))
    job.terminate()
    with session.in_script:
        (result,) = run(session, "enhance #2")
    assert result.name == "blobs superem"
    wait(session, lambda: job.done)


def test_closing_the_map_stops_the_worker(session):
    need_window(session)
    open_map(session, name="slow")
    job = run(session, "enhance #1 block false")
    seen = []
    job.triggers.add_handler("progress", lambda _, progress: seen.append(progress))
    wait(session, lambda: seen)
    run(session, "close #1")
    wait(session, lambda: job.done)
    assert job.stopped and leftovers() == []


def test_closing_one_of_two_maps(session):
    need_window(session)
    for name in ("slow", "blobs"):
        open_map(session, name=name)
    job = run(session, "enhance #1,2 block false")
    run(session, "close #2")
    session.ui.processEvents()
    assert not job.stopped
    job.terminate()
    wait(session, lambda: job.done)


def test_failure_is_reported(session):
    need_window(session)
    open_map(session, name="crash")
    log = logged(session)
    job = run(session, "enhance #1 block false")
    wait(session, lambda: job.done)
    session.logger.remove_log(log)
    errors = [text for level, text in log.lines if level == log.LEVEL_ERROR]
    assert len(errors) == 1 and "memory ran out" in errors[0]
    assert "failed" in str(job) and job in session.tasks.values()
    assert leftovers() == []
