"""Maps on a dask.distributed cluster: two worker processes on this machine, one killed on the way."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from test_many import expected, make_map, names, run

from cryomap.density import read_map
from cryomap.enhance import cluster
from cryomap.enhance.files import Settings
from cryomap.enhance.many import plan


@pytest.fixture(scope="module")
def scheduler():
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    options = {"n_workers": 2, "threads_per_worker": 2, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as local:
        yield local


@pytest.fixture
def maps(tmp_path):
    (tmp_path / "in").mkdir()
    return [make_map(tmp_path / "in" / f"{name}.mrc", 8 + i) for i, name in enumerate("abcdef")]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    return path


def test_a_worker_killed_on_the_way_costs_nothing(maps, folder, sharpener_weights, scheduler, capsys):
    maps[5].write_text("not a map\n" * 500)
    killed = []
    killer = threading.Thread(target=kill_a_busy_worker, args=(scheduler, folder, killed), daemon=True)
    killer.start()
    settings = ["--weights", sharpener_weights, "--contour", 0.3, "--device", "cpu", "--samples", 8]
    command = ["enhance", *maps, "-o", folder, "--dask", scheduler.scheduler_address, *settings]
    assert run(*command) == 2
    killer.join(10)
    assert len(killed) == 1
    told = capsys.readouterr()
    # A worker may die between writing a result and telling; then the next one finds it there.
    assert ("5 done, 0 there" in told.err) or ("4 done, 1 there" in told.err), told.err
    assert "1 failed" in told.err and "not an MRC" in told.err
    assert names(folder) == expected("abcde")
    before = {name: (folder / name).stat().st_mtime_ns for name in names(folder)}
    make_map(maps[5], 14)
    assert run(*command) == 0
    assert "6 maps: 1 done, 5 there already, 0 failed" in capsys.readouterr().err
    assert {name: (folder / name).stat().st_mtime_ns for name in before} == before
    alone = folder / "alone.mrc"
    assert run("enhance", maps[0], "-o", alone, *settings) == 0
    assert np.allclose(read_map(alone).values, read_map(folder / "a_enhanced.mrc").values, atol=2e-3)


def kill_a_busy_worker(local, folder, killed) -> None:
    """Kill a worker while it computes, once a first result is there."""
    while not list(folder.glob("*.json")):
        time.sleep(0.02)
    while not killed:
        for worker in local.scheduler.workers.values():
            if worker.processing:
                process = local.workers[worker.name].process.process
                killed.append(process.pid)
                os.kill(process.pid, signal.SIGKILL)
                return
        time.sleep(0.02)


def test_closing_takes_back_what_was_not_begun(maps, folder, sharpener_weights, scheduler):
    settings = Settings(weights=str(sharpener_weights), contour=0.3, device="cpu", samples=20)
    coming = cluster.enhance_on_cluster(plan(maps, folder), settings, scheduler.scheduler_address)
    assert next(coming).state == "done"
    coming.close()
    end = time.monotonic() + 60
    while any(worker.processing for worker in scheduler.scheduler.workers.values()):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert len(list(folder.glob("*.json"))) < 6


def test_workers_that_do_not_see_the_folder(maps, tmp_path, scheduler):
    tasks = plan(maps, tmp_path / "nowhere")
    with pytest.raises(Exception, match="nowhere does not exist there"):
        list(cluster.enhance_on_cluster(tasks, Settings(), scheduler.scheduler_address))


def test_no_scheduler_there(maps, folder, capsys, monkeypatch):
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 1)
    assert run("enhance", *maps, "-o", folder, "--dask", "tcp://127.0.0.1:9") == 2
    assert "no dask scheduler answers" in capsys.readouterr().err


def test_dask_not_installed(maps, folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run("enhance", *maps, "-o", folder, "--dask", "tcp://127.0.0.1:9") == 2
    assert "pip install distributed" in capsys.readouterr().err
