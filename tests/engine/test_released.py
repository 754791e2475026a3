"""The SuperEM authors' own weights: recognised by their keys, run by their own pipeline."""

import json

import numpy as np
import pytest
import torch
from conftest import blobs, shared

from cryomap.cli import main as cli
from cryomap.density import read_map
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.run import enhance
from cryomap.errors import InputError
from cryomap.grid import Grid

CHANNELS = 32


def released_keys() -> dict[str, tuple[int, ...]]:
    """The 249 keys of the released state dict and their shapes, written out from the file's listing."""
    cube, line = (CHANNELS, CHANNELS, 3, 3, 3), (CHANNELS,)
    keys = {"block1.0.weight": (CHANNELS, 1, 9, 9, 9), "block1.0.bias": line, "block1.1.weight": (1,)}
    for i in range(15):
        for n in (1, 2):
            keys[f"model.{i}.conv{n}.weight"] = cube
            keys[f"model.{i}.conv{n}.bias"] = line
            keys[f"model.{i}.relu{n}.weight"] = (1,)
            for name in ("weight", "bias", "running_mean", "running_var"):
                keys[f"model.{i}.bn{n}.{name}"] = line
            keys[f"model.{i}.bn{n}.num_batches_tracked"] = ()
    keys |= {"blockSLast.0.weight": cube, "blockSLast.0.bias": line, "blockSLast.1.weight": (1,)}
    return keys | {"blockLast.0.weight": (1, *cube[1:]), "blockLast.0.bias": (1,), "blockLast.1.weight": (1,)}


def state() -> dict[str, torch.Tensor]:
    """Small random weights under those keys, with running variances that stay positive."""
    generator = torch.Generator().manual_seed(5)
    made = {}
    for key, shape in released_keys().items():
        if key.endswith("num_batches_tracked"):
            made[key] = torch.tensor(100)
        elif key.endswith("running_var"):
            made[key] = torch.rand(shape, generator=generator) + 0.5
        else:
            made[key] = torch.randn(shape, generator=generator) * 0.05
    return made


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("released") / "G_model"
    torch.save(state(), path)
    return path


def test_the_authors_key_layout_loads(weights):
    assert len(released_keys()) == 249
    method = load_method(None, weights, "cpu")
    assert method.is_released and method.card.method == "superem"
    parameters = sum(p.numel() for p in method.predictor.network.parameters())
    assert parameters == 884_258


def by_the_book(network, values: np.ndarray, contour: float) -> np.ndarray:
    """The authors' pipeline on a lattice, written as plainly as can be: cubes, then the mean of overlaps."""
    scaled = np.where(values > contour, (values - contour) / (values.max() - contour), 0).astype(np.float32)
    sums, counts = np.zeros(values.shape), np.zeros(values.shape)
    lattice = [(z, y, x) for z in range(0, 40, 4) for y in range(0, 40, 4) for x in range(0, 40, 4)]
    for corner in lattice:
        if len({c % 8 for c in corner}) > 1 or any(
            c + 25 > n for c, n in zip(corner, values.shape, strict=True)
        ):
            continue  # not on the body-centred lattice, or not wholly inside
        if values[tuple(c + 12 for c in corner)] <= contour:
            continue
        cube = tuple(slice(c, c + 25) for c in corner)
        with torch.inference_mode():
            sums[cube] += network(torch.from_numpy(scaled[cube])[None, None])[0, 0].float().numpy()
        counts[cube] += 1
    return sums / np.maximum(counts, 1)


def test_their_pipeline_is_followed(weights):
    density = blobs(Grid((41, 33, 29)), np.array([[12.0, 14.0, 15.0], [15.0, 12.0, 19.0]]), 4.0)
    method = load_method(None, weights, "cpu")
    result, report = enhance(density, method, level=0.6)
    expected = by_the_book(method.predictor.network, density.values, 0.6)
    covered = expected > 0
    assert 0 < report.tiles_run < report.tiles_total and covered.mean() > 0.5
    np.testing.assert_array_equal(result.values[~covered], 0)
    np.testing.assert_allclose(result.values, expected, atol=0.01)


class Payload:
    """Runs code of its own when it is unpickled."""

    def __reduce__(self):
        return eval, ("1 + 1",)


def test_code_in_a_weights_file_is_never_run(tmp_path):
    torch.save({**state(), "extra": Payload()}, tmp_path / "G_model")
    with pytest.raises(InputError, match="not a plain"):
        load_method(None, tmp_path / "G_model", "cpu")


@pytest.mark.parametrize("change", ["missing", "shape", "garbage", "truncated"])
def test_spoiled_released_weights_are_refused(tmp_path, weights, change):
    path, spoiled = tmp_path / "G_model", state()
    if change == "missing":
        del spoiled["model.7.conv1.weight"]
    elif change == "shape":
        spoiled["block1.0.weight"] = torch.zeros(32, 1, 3, 3, 3)
    torch.save(spoiled, path)
    if change == "garbage":
        path.write_bytes(b"nothing like it" * 99)
    elif change == "truncated":
        path.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(InputError, match="G_model"):
        load_method(None, path, "cpu")


def test_agreement_with_the_released_program(tmp_path, capsys):
    source, weights = (shared("peers", "em_gan", name) for name in ("emd30342A_in_1A.mrc", "G_model"))
    official = shared("peers", "em_gan", "emd30342A_official_EMGAN.mrc")
    arguments = [
        "enhance",
        source,
        "-o",
        tmp_path / "out.mrc",
        "--weights",
        weights,
        "--contour",
        0.02,
        "--json",
    ]
    assert cli.main([str(a) for a in arguments]) == 0
    ours = read_map(tmp_path / "out.mrc").values
    theirs = read_map(official).values[: ours.shape[0], : ours.shape[1], : ours.shape[2]]  # they pad behind
    above = theirs > 0
    assert np.corrcoef(ours[above], theirs[above])[0, 1] >= 0.999
    facts = json.loads(capsys.readouterr().out)
    print(
        f"network: {facts['network_cpu_seconds']} CPU seconds, {facts['tiles_run']} tiles, {facts['precision']}"
    )
