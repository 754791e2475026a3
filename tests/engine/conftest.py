"""What the engine's tests share: where the development data are, and maps made up for the occasion."""

from pathlib import Path

import numpy as np
import pytest

from cryomap.density import DensityMap
from cryomap.grid import Grid

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


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


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same ones every time."""
    return np.random.default_rng(7)
