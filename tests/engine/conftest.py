"""What the engine's tests share: where the development data are, and maps made up for the occasion."""

from pathlib import Path

import numpy as np
import pytest
import torch
from chimerax_program import bundle, chimerax, wheel  # noqa: F401
from pair_entries import archive, pair_folder  # noqa: F401
from torch import nn

from cryomap.density import DensityMap
from cryomap.grid import Grid
from cryomap.networks.card import Card
from cryomap.networks.checkpoint import save_weights
from cryomap.networks.superem import Generator

SHARED = Path(__file__).resolve().parents[2].parent / "shared"

torch.set_num_threads(1)  # the networks here are small; threads would only wait for each other


def shared(*parts: str) -> Path:
    """A file of the development data; skips the test where it isn't there."""
    path = SHARED.joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"needs ../shared/{'/'.join(parts)}, which is not here")
    return path


def blobs(grid: Grid, centers: np.ndarray, sigma: float) -> DensityMap:
    """Gaussians of height 1 and one sigma (A) at centers (n, 3) x, y, z in A: a map known at every point."""
    indices = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    points = grid.to_xyz(indices[..., ::-1])
    values = sum(np.exp(-((points - c) ** 2).sum(axis=-1) / (2 * sigma**2)) for c in centers)
    return DensityMap(np.asarray(values, np.float32), grid, "blobs")


@pytest.fixture(autouse=True)
def _same_networks_every_time() -> None:
    torch.manual_seed(7)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same ones every time."""
    return np.random.default_rng(7)


def sharpener() -> Generator:
    """A generator whose weights are set by hand: every voxel v becomes (tanh(4 v - 3) + 1) / 2, nothing moves."""
    network = Generator(channels=2, blocks=1, norm="none")
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    for layer in network.modules():
        if isinstance(layer, nn.PReLU):
            nn.init.ones_(layer.weight)
    with torch.no_grad():
        for convolution in (network.head[0], network.tail[0], network.project[0]):
            convolution.weight[0, 0, 1, 1, 1] = 1
        network.project[0].weight *= 4
        network.project[0].bias.fill_(-3)
    return network


def save_as(network: nn.Module, folder: Path, method: str = "superem", **card: object) -> Path:
    """The network as a weights file with its card, in a folder."""
    name = "superem" if isinstance(network, Generator) else "cryosamu"
    path = folder / f"{method}.safetensors"
    facts = {
        "version": "test",
        "architecture": {"name": name, "arguments": {}},
        "tile": 32,
        "margin": 4,
        "stride": 20,
        "normalization": {"name": "superem"},
    }
    save_weights(network, Card(method=method, **{**facts, **card}), path)
    return path


@pytest.fixture(scope="session")
def sharpener_weights(tmp_path_factory) -> Path:
    """A weights file of the `sharpener`."""
    arguments = {"channels": 2, "blocks": 1, "norm": "none"}
    architecture = {"name": "superem", "arguments": arguments}
    return save_as(sharpener(), tmp_path_factory.mktemp("weights"), architecture=architecture)


@pytest.fixture
def folder(tmp_path):
    """For results."""
    path = tmp_path / "out"
    path.mkdir()
    return path
