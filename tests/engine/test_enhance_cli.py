"""The command line as a user runs it: files, exit codes, one clear line for bad input, nothing half-written."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from conftest import blobs

from cryomap.cli import main as cli
from cryomap.density import DensityMap, read_map, write_map
from cryomap.enhancement import trusted
from cryomap.enhancement.device import choose_precision
from cryomap.grid import Grid

SOURCE = Path(cli.__file__).resolve().parents[2]
GRID = Grid((30, 32, 34), (1.3,) * 3, (10.0, -20.0, 30.0))
CENTERS = np.array([[30.0, 0.0, 48.0], [25.0, 5.0, 54.0]])


@pytest.fixture
def map_file(tmp_path):
    path = tmp_path / "in.mrc"
    write_map(blobs(GRID, CENTERS, 3.0), path)
    return path


def run(*arguments) -> int:
    return cli.main([str(a) for a in arguments])


def test_a_map_in_a_map_out(tmp_path, map_file, sharpener_weights, capsys):
    out = tmp_path / "out.map.gz"
    before = map_file.read_bytes()
    assert run("enhance", map_file, "-o", out, "--weights", sharpener_weights, "--contour", 0.3) == 0
    result = read_map(out)
    assert result.grid == GRID.cubic(1.0) and 0.9 < result.values.max() <= 1
    assert map_file.read_bytes() == before
    assert "superem" in capsys.readouterr().out


def test_the_json_object(tmp_path, map_file, sharpener_weights, capsys):
    out = tmp_path / "out.mrc"
    options = (
        "--weights",
        sharpener_weights,
        "--contour",
        0.3,
        "--device",
        "cpu",
        "--json",
        "--grid-spacing",
        1.5,
    )
    assert run("enhance", map_file, "-o", out, *options) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["method"] == "superem" and facts["weights"] == str(sharpener_weights)
    assert facts["device"] == "cpu" and facts["precision"] in ("float32", "bfloat16")
    assert facts["seconds"] > 0 and 0 < facts["tiles_run"] <= facts["tiles_total"]
    assert facts["contour_in"] == 0.3 and 0 < facts["contour_out"] < 1
    assert facts["input_grid"]["step"] == [1.3, 1.3, 1.3]
    assert facts["output_grid"]["step"] == [1.5, 1.5, 1.5]
    assert facts["output_grid"]["shape"] == list(read_map(out).grid.shape)


def test_a_model_goes_to_the_judgement(tmp_path, map_file, sharpener_weights, capsys, monkeypatch):
    told, judge = [], trusted.judge
    monkeypatch.setattr(
        trusted, "judge", lambda *maps, **how: told.append(how["model"]) or judge(*maps, **how)
    )
    zinc = tmp_path / "zinc.pdb"
    zinc.write_text(
        "HETATM    1 ZN    ZN A 301      10.000 -20.000  30.000  1.00 20.00          ZN\n", encoding="ascii"
    )
    words = [
        "enhance",
        map_file,
        "-o",
        tmp_path / "out.mrc",
        "--weights",
        sharpener_weights,
        "--contour",
        0.3,
    ]
    assert run(*words, "--model", zinc) == 0
    assert [str(residue) for residue in told[0].residues] == ["/A:301 ZN"]
    (tmp_path / "out.mrc").unlink()
    assert run(*words, "--model", tmp_path / "none.pdb") == 2
    assert "none.pdb" in capsys.readouterr().err and not (tmp_path / "out.mrc").exists()
    both = tmp_path / "both.pdb"
    line = zinc.read_text()
    both.write_text(f"MODEL        1\n{line}ENDMDL\nMODEL        2\n{line.replace('301', '302')}ENDMDL\n")
    assert run(*words, "--model", both, "--model-number", 2) == 0
    assert [str(residue) for residue in told[1].residues] == ["/A:302 ZN"]
    (tmp_path / "out.mrc").unlink()
    missing = ["--model", both, "--model-number", 3], "no MODEL 3"
    for wrong, message in (missing, (["--model-number", 1], "file, too")):
        capsys.readouterr()
        assert run(*words, *wrong) == 2
        assert message in capsys.readouterr().err and not (tmp_path / "out.mrc").exists()


def test_as_a_program_of_its_own(tmp_path, map_file, sharpener_weights):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "cryomap", "enhance", map_file, "-o", tmp_path / "out.mrc", "--json"]
    done = subprocess.run(
        [*command, "--weights", sharpener_weights], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tiles_run"] > 0
    done = subprocess.run([*command, "--device", "abacus"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert "abacus" in done.stderr and "Traceback" not in done.stderr


def copy_with(path: Path, map_file: Path, **changes) -> Path:
    """A copy of a map with header words changed."""
    path.write_bytes(map_file.read_bytes())
    with mrcfile.open(path, "r+") as mrc:
        for key, value in changes.items():
            mrc.header[key] = value
    return path


def test_permuted_axes_and_shifted_nstart_make_no_difference(tmp_path, map_file, sharpener_weights):
    density = read_map(map_file)
    other = tmp_path / "other.mrc"
    with mrcfile.new(other) as mrc:
        mrc.set_data(np.ascontiguousarray(density.values.transpose(1, 2, 0)))  # columns z, rows x, sections y
        mrc.voxel_size = 1.3
        mrc.header.mapc, mrc.header.mapr, mrc.header.maps = 3, 1, 2
        mrc.header.mx, mrc.header.my, mrc.header.mz = GRID.size
        mrc.header.cella = tuple(1.3 * n for n in GRID.size)
        mrc.header.nxstart, mrc.header.nystart, mrc.header.nzstart = 23, 8, -15  # z, x, y
    placed = replace(density.grid, origin=(8 * 1.3, -15 * 1.3, 23 * 1.3))
    write_map(replace(density, grid=placed), tmp_path / "placed.mrc")
    results = []
    for source in (tmp_path / "placed.mrc", other):
        out = tmp_path / "out.mrc"
        assert run("enhance", source, "-o", out, "--weights", sharpener_weights) == 0
        results.append(read_map(out))
    # ORIGIN is float32; bfloat16 makes more of its last bit.
    tolerance = 1e-6 if choose_precision(torch.device("cpu")) == torch.float32 else 2e-3
    np.testing.assert_allclose(results[0].values, results[1].values, atol=tolerance)
    assert results[0].grid == results[1].grid
    corner = results[1].grid.to_indices(
        placed.origin
    )  # a whole number of steps, up to one before the input's
    assert ((corner >= -1e-3) & (corner < 1)).all()
    header = (tmp_path / "out.mrc").read_bytes()[:1024]
    start, origin = np.frombuffer(header, "<i4", 3, 16), np.frombuffer(header, "<f4", 3, 196)
    assert start.any() and np.allclose(start * results[1].grid.step, origin, atol=1e-4)


def spoiled(tmp_path: Path, name: str, values: np.ndarray, step: float = 1.3) -> Path:
    path = tmp_path / f"{name}.mrc"
    write_map(DensityMap(np.asarray(values, np.float32), Grid(values.shape, (step,) * 3)), path)
    return path


def bad_inputs(tmp_path: Path, map_file: Path, weights: Path):
    """What is wrong, the arguments that it is wrong in, and a word the message must hold."""
    good = blobs(GRID, CENTERS, 3.0).values
    truncated = tmp_path / "truncated.mrc"
    truncated.write_bytes(map_file.read_bytes()[:-500])
    text = tmp_path / "text.mrc"
    text.write_text("not a map\n" * 500)
    corrupt = tmp_path / "corrupt.safetensors"
    corrupt.write_bytes(weights.read_bytes()[:-50])
    corrupt.with_suffix(".json").write_bytes(weights.with_suffix(".json").read_bytes())
    unknown = tmp_path / "unknown.safetensors"
    unknown.write_bytes(weights.read_bytes())
    card = json.loads(weights.with_suffix(".json").read_text())
    unknown.with_suffix(".json").write_text(
        json.dumps({**card, "architecture": {"name": "oracle", "arguments": {}}})
    )
    nan = good.copy()
    nan[3, 3, 3] = np.nan
    return {
        "no such map": ([tmp_path / "no.mrc"], "no such file"),
        "not a map": ([text], "not an MRC"),
        "truncated": ([truncated], "truncated"),
        "NaN": ([spoiled(tmp_path, "nan", nan)], "NaN"),
        "constant": ([spoiled(tmp_path, "constant", good * 0 + 1)], "every voxel"),
        "negative": ([spoiled(tmp_path, "negative", -np.abs(good))], "no positive density"),
        "voxel size 0": ([copy_with(tmp_path / "zero.mrc", map_file, cella=(0, 0, 0))], "voxel size"),
        "negative voxel size": (
            [copy_with(tmp_path / "minus.mrc", map_file, cella=(-9, 9, 9))],
            "voxel size",
        ),
        "stack": ([copy_with(tmp_path / "stack.mrc", map_file, ispg=0, mz=1)], "stack"),
        "3 voxels": ([spoiled(tmp_path, "three", good[14:17, 14:17, 14:17])], "too small"),
        "0.3 A": ([spoiled(tmp_path, "fine", good, 0.3)], "voxel size 0.3"),
        "8 A": ([spoiled(tmp_path, "coarse", good, 8.0)], "voxel size 8"),
        "labels": ([spoiled(tmp_path, "labels", good > 0.2)], "segmentation"),
        "other method": ([map_file, "--method", "cryosamu"], "weights of superem"),
        "unknown architecture": ([map_file, "--weights", unknown], "oracle"),
        "corrupt weights": ([map_file, "--weights", corrupt], "corrupt"),
        "missing weights": ([map_file, "--weights", tmp_path / "no.safetensors"], "no such weights"),
        "unknown device": ([map_file, "--device", "tpu"], "'tpu'"),
        "contour": ([map_file, "--contour", "99"], "contour level 99"),
        "resolution": ([map_file, "--resolution", "-3"], "resolution -3"),
        "grid spacing": ([map_file, "--grid-spacing", "0"], "grid spacing 0"),
        "missing mask": ([map_file, "--mask", tmp_path / "no.mrc"], "no such file"),
    }


def test_bad_input_is_one_clear_line_and_exit_code_2(tmp_path, map_file, sharpener_weights, capsys):
    for what, (arguments, word) in bad_inputs(tmp_path, map_file, sharpener_weights).items():
        before = sorted(tmp_path.iterdir())
        code = run("enhance", "-o", tmp_path / "out.mrc", "--weights", sharpener_weights, *arguments)
        printed = capsys.readouterr()
        assert code == 2, f"{what}: {printed.err}"
        lines = [line for line in printed.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1 and word in lines[0], f"{what}: {printed.err}"
        assert printed.out == "" and "Traceback" not in printed.err
        assert sorted(tmp_path.iterdir()) == before, what


def test_files_are_found_from_any_folder(tmp_path, monkeypatch):
    """Workers of a cluster have working folders of their own; a selection stays what it is."""
    monkeypatch.chdir(tmp_path)
    words = ["enhance", "a.mrc", "-o", "out/", "--mask", "m.mrc", "--preserve", "m.pdb://A/301"]
    options = cli.enhance_cli._options(cli._parser().parse_args(words))
    assert (options.mask, options.preserve) == (f"{tmp_path}/m.mrc", f"{tmp_path}/m.pdb://A/301")


def test_a_2d_image_is_refused(tmp_path, capsys):
    with mrcfile.new(tmp_path / "image.mrc") as mrc:
        mrc.set_data(np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32))
        mrc.voxel_size = 1.0
    assert run("enhance", tmp_path / "image.mrc", "-o", tmp_path / "out.mrc") == 2
    assert "2D image" in capsys.readouterr().err


def test_a_gpu_that_is_absent_is_said_so(tmp_path, map_file, sharpener_weights, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    options = ("--weights", sharpener_weights, "--device", "cuda")
    assert run("enhance", map_file, "-o", tmp_path / "out.mrc", *options) == 2
    assert "no such GPU" in capsys.readouterr().err


def test_a_missing_folder_and_the_input_as_output_are_refused_before_the_work(tmp_path, map_file, capsys):
    before = map_file.read_bytes()
    assert run("enhance", map_file, "-o", tmp_path / "no" / "out.mrc") == 2
    assert run("enhance", map_file, "-o", map_file) == 2
    assert "does not exist" in capsys.readouterr().err
    assert map_file.read_bytes() == before


def test_a_full_disk_leaves_nothing(tmp_path, map_file, sharpener_weights, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cryomap.density.header_bytes", full)
    out = tmp_path / "results"
    out.mkdir()
    assert run("enhance", map_file, "-o", out / "out.mrc", "--weights", sharpener_weights) == 2
    assert "No space left" in capsys.readouterr().err and not list(out.iterdir())


def test_running_out_of_memory_is_said_so(tmp_path, map_file, sharpener_weights, capsys, monkeypatch):
    def none(*_):
        raise MemoryError("not enough memory for a single tile")

    monkeypatch.setattr("cryomap.enhancement.device.Predictor.__call__", none)
    assert run("enhance", map_file, "-o", tmp_path / "out.mrc", "--weights", sharpener_weights) == 1
    assert "out of memory" in capsys.readouterr().err and not (tmp_path / "out.mrc").exists()


def test_the_method_chosen_is_explained(tmp_path, map_file, capsys, monkeypatch, sharpener_weights):
    monkeypatch.setattr("cryomap.networks.checkpoint.BUNDLED", sharpener_weights.parent)
    assert run("enhance", map_file, "-o", tmp_path / "out.mrc", "--resolution", 4.0) == 0
    assert "method superem, since 4 A" in capsys.readouterr().err


def test_info(capsys):
    assert run("info", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["versions"]["torch"] and facts["device"] in ("cpu", "cuda", "mps")
    assert set(facts["weights"]) <= {"superem", "cryosamu"}
    assert run("info") == 0
    assert "torch" in capsys.readouterr().out
