"""Maps on a dask.distributed cluster: two worker processes on this machine, one killed on the way."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from test_many import SOURCE, expected, make_map, names, run

from cryomap.batch import cluster
from cryomap.batch.many import plan
from cryomap.density import read_map
from cryomap.job import Options


class Cluster:
    """A scheduler, which can't import the engine, and two workers, which can: processes as `dask` starts them."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self.processes: dict[str, subprocess.Popen] = {}
        self._log = open(folder / "log.txt", "w")  # noqa: SIM115
        self._start("scheduler", {}, "--port", "0", "--host", "127.0.0.1", "--dashboard-address", ":0")

    def _start(self, name: str, environment: dict, *options: str) -> None:
        command = [sys.executable, "-m", "dask", name.partition(" ")[0]]
        command += ["--scheduler-file", str(self.file), *options]
        clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self.processes[name] = subprocess.Popen(
            command,
            env={**clean, "OMP_NUM_THREADS": "1", **environment},
            cwd=self.file.parent,
            stdout=self._log,
            stderr=self._log,
        )

    def start_worker(self, name: str) -> None:
        options = ("--name", name, "--nthreads", "2", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        self._start(f"worker {name}", {"PYTHONPATH": str(SOURCE)}, *options)

    def client(self):
        from distributed import Client

        return Client(scheduler_file=str(self.file), timeout=60)

    def kill_a_busy_worker(self) -> str:
        """Kill a worker while it has maps to do, and say which."""
        with self.client() as client:
            names = {address: facts["name"] for address, facts in workers(client).items()}
            while True:
                for address, tasks in client.processing().items():
                    if tasks and address in names:
                        self.processes[f"worker {names[address]}"].kill()
                        return names[address]
                time.sleep(0.02)

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self._log.close()


def workers(client) -> dict:
    return client.scheduler_info(n_workers=-1)["workers"]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        for name in ("one", "two"):
            cluster.start_worker(name)
        with cluster.client() as client:
            client.wait_for_workers(2, timeout=120)
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def maps(tmp_path):
    (tmp_path / "in").mkdir()
    return [make_map(tmp_path / "in" / f"{name}.mrc", 8 + i) for i, name in enumerate("abcdef")]


def test_a_worker_killed_on_the_way_costs_nothing(maps, folder, sharpener_weights, scheduler, capsys):
    maps[5].write_text("not a map\n" * 500)
    killed = []
    killer = threading.Thread(target=kill_a_busy_worker, args=(scheduler, folder, killed), daemon=True)
    killer.start()
    settings = ["--weights", sharpener_weights, "--contour", 0.3, "--device", "cpu", "--samples", 8]
    command = ["enhance", *maps, "-o", folder, "--dask", scheduler.file, *settings]
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


def kill_a_busy_worker(cluster, folder, killed) -> None:
    """Kill a worker while it computes, once a first result is there."""
    while not list(folder.glob("*.json")):
        time.sleep(0.02)
    killed.append(cluster.kill_a_busy_worker())


def test_closing_takes_back_what_was_not_begun(maps, folder, sharpener_weights, scheduler):
    settings = Options(weights=str(sharpener_weights), level=0.3, device="cpu", samples=20)
    coming = cluster.enhance_on_cluster(plan(maps, folder), settings, str(scheduler.file))
    assert next(coming).state == "done"
    coming.close()
    with scheduler.client() as client:
        end = time.monotonic() + 120
        while any(client.processing().values()):
            assert time.monotonic() < end
            time.sleep(0.1)
    assert len(list(folder.glob("*.json"))) < 6


def test_workers_that_do_not_see_the_folder(maps, tmp_path, scheduler):
    tasks = plan(maps, tmp_path / "nowhere")
    with pytest.raises(Exception, match="nowhere does not exist there"):
        list(cluster.enhance_on_cluster(tasks, Options(), str(scheduler.file)))


def test_no_scheduler_there(maps, folder, capsys, monkeypatch):
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 1)
    assert run("enhance", *maps, "-o", folder, "--dask", "tcp://127.0.0.1:9") == 2
    assert "no dask scheduler answers" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{}", "[]", '{"address": 5}', "", "\xff"])
def test_a_scheduler_file_that_is_none(maps, folder, tmp_path, capsys, content):
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    file = tmp_path / "s.json"
    file.write_text(content, encoding="latin-1")
    assert run("enhance", *maps, "-o", folder, "--dask", file) == 2
    told = capsys.readouterr().err
    assert "s.json: no scheduler file; give the one" in told and "Error" not in told


def test_dask_not_installed(maps, folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run("enhance", *maps, "-o", folder, "--dask", "tcp://127.0.0.1:9") == 2
    assert "pip install distributed" in capsys.readouterr().err
