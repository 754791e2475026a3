"""Many maps into a folder: what is skipped, what is made anew, what goes wrong; in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from conftest import blobs

from cryomap.batch.files import beside
from cryomap.batch.many import Outcome, Task, enhance_one, exit_code, plan, require_places
from cryomap.batch.processes import enhance_in_processes, gpus
from cryomap.batch.record import record_path
from cryomap.cli import main as cli
from cryomap.density import read_map, write_map
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.job import Options

SOURCE = Path(cli.__file__).resolve().parents[2]
GRID = Grid((24, 24, 24), (1.0,) * 3)


def make_map(path: Path, place: float = 12.0) -> Path:
    write_map(blobs(GRID, np.array([[place, 11.0, 12.0]]), 3.0), path)
    return path


@pytest.fixture(autouse=True)
def _one_thread_a_process(monkeypatch):
    monkeypatch.setenv(
        "OMP_NUM_THREADS", "1"
    )  # the networks are tiny; threads would only wait for each other


@pytest.fixture
def maps(tmp_path):
    (tmp_path / "in").mkdir()
    return [make_map(tmp_path / "in" / f"{name}.mrc", 10 + i) for i, name in enumerate("abcd")]


@pytest.fixture
def settings(sharpener_weights):
    return Options(weights=str(sharpener_weights), level=0.3, device="cpu")


def run(*arguments) -> int:
    return cli.main([str(a) for a in arguments])


def names(folder: Path) -> list[str]:
    """All that is in the folder, hidden files too."""
    return sorted(os.listdir(folder))


def states(tasks, settings) -> list[str]:
    return [enhance_one(task, settings).state for task in tasks]


def test_the_names_of_results(tmp_path):
    paths = ["x/emd_1.map.gz", "x/emd_1.5A.mrc", "x/plain", "x/emd_1.map.gz"]
    tasks = plan([tmp_path / path for path in paths], tmp_path)
    assert [task.result.name for task in tasks] == [
        "emd_1_enhanced.mrc",
        "emd_1.5A_enhanced.mrc",
        "plain_enhanced.mrc",
    ]
    assert all(task.result.parent == tmp_path and task.source.is_absolute() for task in tasks)
    assert beside("a/map_1.5A.mrc.gz", "_sd") == Path("a/map_1.5A_sd.mrc.gz")


def test_results_that_would_overwrite_each_other_or_a_map_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"b/run\.mrc.*overwrite that of .*a/run\.map"):
        plan([tmp_path / "a/run.map", tmp_path / "b/run.mrc"], tmp_path)
    with pytest.raises(InputError, match=r"x_enhanced\.mrc: is the place"):
        plan([tmp_path / "x.mrc", tmp_path / "x_enhanced.mrc"], tmp_path)


def test_what_is_done_is_skipped_and_what_changed_is_done_anew(maps, folder, settings, tmp_path):
    tasks = plan(maps[:2], folder)
    assert states(tasks, settings) == ["done", "done"]
    assert names(folder) == ["a_enhanced.json", "a_enhanced.mrc", "b_enhanced.json", "b_enhanced.mrc"]
    before = read_map(tasks[0].result)
    assert states(tasks, settings) == ["skipped", "skipped"]
    os.utime(maps[0])  # a new date alone is no change
    assert states(tasks, settings) == ["skipped", "skipped"]
    make_map(maps[0], 15)
    assert states(tasks, settings) == ["done", "skipped"]
    assert not np.array_equal(read_map(tasks[0].result).values, before.values)
    other = Options(weights=settings.weights, level=0.4, device="cpu", samples=2)
    assert states(tasks, other) == ["done", "done"]
    assert "a_enhanced_sd.mrc" in names(folder)
    assert states(tasks, settings) == ["done", "done"]
    assert "a_enhanced_sd.mrc" not in names(folder)  # it belonged to the other settings
    tasks[0].result.unlink()
    record_path(tasks[1].result).write_text("{")
    assert states(tasks, settings) == ["done", "done"]


def test_other_weights_in_the_same_file_are_another_setting(maps, folder, settings, tmp_path):
    weights, card = tmp_path / "w.safetensors", tmp_path / "w.json"
    weights.write_bytes(Path(settings.weights).read_bytes())
    card.write_text(Path(settings.weights).with_suffix(".json").read_text())
    own = Options(weights=str(weights), level=0.3, device="cpu")
    task = plan(maps[:1], folder)[0]
    assert states([task, task], own) == ["done", "skipped"]
    card.write_text(card.read_text().replace('"stride": 20', '"stride": 16'))
    assert states([task, task], own) == ["done", "skipped"]


def test_the_record_tells_what_was_done(maps, folder, settings):
    (task,) = plan(maps[:1], folder)
    outcome = enhance_one(task, settings)
    record = json.loads(record_path(task.result).read_text())
    assert record["input"]["path"] == str(maps[0]) and len(record["input"]["sha256"]) == 64
    assert record["settings"]["contour"] == 0.3 and record["report"]["method"] == "superem"
    assert record["report"]["tiles_run"] == outcome.report["tiles_run"] > 0


def test_a_record_of_before_counts_and_a_new_option_at_its_default_changes_nothing(maps, folder, settings):
    (task,) = plan(maps[:1], folder)
    assert states([task], settings) == ["done"]
    path = record_path(task.result)
    record = json.loads(path.read_text())
    before = {
        "method",
        "resolution",
        "contour",
        "weights",
        "grid_spacing",
        "mask",
        "keep_lost",
        "samples",
        "model",
    }
    assert before <= set(record["settings"])
    record["settings"] = {key: record["settings"][key] for key in before}
    path.write_text(json.dumps(record))
    assert states([task], settings) == ["skipped"]
    record["settings"]["keep_lost"] = True
    path.write_text(json.dumps(record))
    assert states([task], settings) == ["done"]


def test_the_network_is_loaded_once(maps, folder, settings, monkeypatch):
    from cryomap.batch import files
    from cryomap.enhancement import methods

    files._load_once.cache_clear()
    loaded, original = [], methods.load_method
    monkeypatch.setattr(methods, "load_method", lambda *a: loaded.append(a) or original(*a))
    assert states(plan(maps, folder), settings) == ["done"] * 4
    assert len(loaded) == 1


def test_the_result_of_another_map_is_kept(maps, folder, settings, tmp_path):
    (task,) = plan(maps[:1], folder)
    assert states([task], settings) == ["done"]
    before = task.result.read_bytes()
    (tmp_path / "elsewhere").mkdir()
    other = make_map(tmp_path / "elsewhere" / "a.mrc", 16)
    (clash,) = plan([other], folder)
    outcome = enhance_one(clash, settings)
    assert outcome.kind == "input" and str(maps[0]) in outcome.message
    assert task.result.read_bytes() == before
    maps[0].unlink()  # nobody's any more
    assert states([clash], settings) == ["done"]


def test_leftovers_of_a_killed_process_are_removed(maps, folder, settings):
    (task,) = plan(maps[:1], folder)
    (folder / ".a_enhanced.mrc.x1y2z3ab.tmp").write_bytes(b"half")
    kept = [".a_enhanced.json.swp", ".a_enhanced.mrc.backup", ".b_enhanced.mrc.x1y2z3ab.tmp"]
    for name in kept:
        (folder / name).write_bytes(b"of an editor, or of another map")
    assert states([task], settings) == ["done"]
    assert names(folder) == sorted([*kept, "a_enhanced.json", "a_enhanced.mrc"])


def test_what_others_made_stays(maps, folder, settings):
    (task,) = plan(maps[:1], folder)
    for path, content in ((task.result, "precious"), (record_path(task.result), '{"my": "notes"}')):
        path.write_text(content)
        outcome = enhance_one(task, settings)
        assert outcome.kind == "input" and str(path) in outcome.message
        assert path.read_text() == content
        path.unlink()
    assert states([task], settings) == ["done"]


def test_a_run_that_fails_leaves_the_result_that_was_there(maps, folder, settings):
    (task,) = plan(maps[:1], folder)
    assert states([task], settings) == ["done"]
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for changes in ({"level": 1e9}, {"mask": str(folder / "none.mrc")}, {"weights": str(maps[0])}):
        wrong = Options(**{"weights": settings.weights, "device": "cpu", **changes})
        assert states([task], wrong) == ["failed"]
        assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert states([task], settings) == ["skipped"]


def test_a_result_that_is_not_what_its_record_says_is_made_again(maps, folder, settings):
    (task,) = plan(maps[:1], folder)
    assert states([task], settings) == ["done"]
    whole = task.result.read_bytes()
    for spoiled in (whole[:-1000], whole[:2000] + bytes(4) + whole[2004:], b""):
        task.result.write_bytes(spoiled)
        assert states([task], settings) == ["done"]
        assert task.result.read_bytes() == whole
    record = json.loads(record_path(task.result).read_text())
    del record["outputs"]  # as records were before
    record_path(task.result).write_text(json.dumps(record))
    assert states([task], settings) == ["skipped"]
    task.result.write_bytes(whole[:-1000])
    assert states([task], settings) == ["done"]


def test_results_through_a_linked_folder_are_results_all_the_same(maps, folder, settings, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    inner = make_map(folder / "a_enhanced.mrc", 16)
    before = inner.read_bytes()
    tasks = plan([maps[0], inner], tmp_path / "link")
    with pytest.raises(InputError, match="the same file as"):
        require_places(tasks, settings)
    assert inner.read_bytes() == before


def test_the_exit_code():
    task = Task(Path("a"), Path("b"))
    fine, bad, broken = Outcome(task, "done"), *(Outcome(task, "failed", k) for k in ("input", "memory"))
    assert [exit_code(o) for o in ([], [fine], [fine, bad], [bad, broken])] == [0, 0, 2, 1]


def test_every_cuda_device_gets_a_process(monkeypatch):
    assert gpus("cpu") == [None]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert gpus("auto") == gpus("cuda") == [0, 1, 2]
    with pytest.raises(InputError, match="abacus"):
        gpus("abacus")


def test_a_bad_map_does_not_stop_the_others(maps, folder, settings, capfd):
    maps[1].write_text("not a map\n" * 500)
    command = ["enhance", *maps, "-o", folder, "--weights", settings.weights, "--device", "cpu"]
    assert run(*command, "--json") == 2
    told = capfd.readouterr()
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert [line["state"] for line in lines] == ["done", "failed", "done", "done"]
    assert lines[1]["kind"] == "input" and "not an MRC" in lines[1]["message"]
    assert lines[0]["tiles_run"] > 0 and lines[0]["output"] == str(folder / "a_enhanced.mrc")
    assert "4 maps: 3 done, 0 there already, 1 failed" in told.err and "b.mrc" in told.err.splitlines()[-1]
    make_map(maps[1])
    assert run(*command) == 0
    told = capfd.readouterr()
    assert told.out.count("there already") == 3 and "4 maps: 1 done, 3 there already, 0 failed" in told.err
    assert len(names(folder)) == 8


def test_a_folder_that_makes_no_sense(maps, tmp_path, capsys):
    file = maps[0]
    for output, word in (
        (tmp_path / "x.mrc", "need a folder"),
        (tmp_path / "no" / "out", "does not exist"),
        (file, "need a folder"),
    ):
        assert run("enhance", *maps, "-o", output) == 2
        assert word in capsys.readouterr().err
    assert run("enhance", file, "-o", tmp_path / "x.mrc", "--dask", "localhost:1") == 2
    assert "folder of results" in capsys.readouterr().err
    assert run("enhance", *maps[:2], "-o", tmp_path / "x.mrc", "--half-maps", "--dask", "localhost:1") == 2
    assert "without --dask" in capsys.readouterr().err


def slow(settings: Options) -> Options:
    """Twenty times the work, for what happens meanwhile."""
    return Options(weights=settings.weights, level=0.3, device="cpu", samples=20)


def test_a_process_that_is_killed_is_replaced(maps, folder, settings):
    tasks = plan(maps, folder)
    threading.Thread(target=kill_one_when_busy, daemon=True).start()
    outcomes = list(enhance_in_processes(tasks, slow(settings), [None, None]))
    assert sorted(outcome.state for outcome in outcomes) == ["done", "done", "done", "failed"]
    (failed,) = [outcome for outcome in outcomes if outcome.state == "failed"]
    assert failed.kind == "memory" and "killed" in failed.message
    assert {outcome.task for outcome in outcomes} == set(tasks)
    assert active_children() == []


def kill_one_when_busy() -> None:
    while not (children := [c for c in active_children() if cpu_seconds(c.pid) > 0.5]):
        time.sleep(0.05)
    os.kill(children[0].pid, signal.SIGKILL)


def cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()
    except OSError:
        return 1.0  # no /proc: any time will do
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_on_the_way_it_goes_on_later(maps, folder, settings, number):
    command = [sys.executable, "-m", "cryomap", "enhance", *maps, "-o", folder, "--device", "cpu"]
    command += ["--weights", settings.weights, "--contour", "0.3", "--samples", "6"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    # What a shell runs in the background ignores Ctrl-C, and so would what this starts.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, **pipes, start_new_session=True, preexec_fn=heard)
    assert "a_enhanced.mrc" in process.stdout.readline()
    os.killpg(process.pid, number)  # as a terminal's Ctrl-C does: to the processes of the maps, too
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "1 done" in errors and "left" in errors and "goes on" in errors and "Traceback" not in errors
    assert names(folder) in (expected("a"), expected("ab"))
    done = subprocess.run(command, **pipes, timeout=120)
    assert done.returncode == 0 and "there already" in done.stdout, done.stderr
    assert names(folder) == expected("abcd")


def expected(done: str) -> list[str]:
    return sorted(f"{n}_enhanced{end}" for n in done for end in (".json", ".mrc", "_sd.mrc"))
