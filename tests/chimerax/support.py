"""What the tests inside ChimeraX share."""

import contextlib
import json
import tempfile
from pathlib import Path

import numpy as np
from chimerax.core.commands import run
from chimerax.core.errors import UserError
from chimerax.geometry import rotation
from chimerax.map import volume_from_grid_data
from chimerax.map_data import ArrayGridData

PYTHON = ""  # set by run.py
FAKE_ENGINE = Path(__file__).resolve().parent / "fake_engine"


class Skipped(Exception):
    """The test can't be run here; the message says why."""


def fresh(session):
    """No models, the Python that runs the tests' engine chosen, the real engine in place."""
    from chimerax.map_enhance.enhance import job as engine_job
    from chimerax.map_enhance.runtime import engine_python

    run(session, "close session", log=False)
    engine_job.ENGINE_FOLDER = engine_python.ENGINE_FOLDER
    use_python(session, PYTHON)


@contextlib.contextmanager
def settings_kept(session):
    """Whatever Python the block chooses, the user's choice is as before afterwards."""
    from chimerax.map_enhance.runtime import engine_python

    before = engine_python.settings(session).python
    try:
        yield
    finally:
        use_python(session, before)


def use_python(session, path):
    from chimerax.map_enhance.runtime import engine_python

    chosen = engine_python.settings(session)
    chosen.python = path
    chosen.save()


def use_fake_engine():
    from chimerax.map_enhance.enhance import job as engine_job

    engine_job.ENGINE_FOLDER = FAKE_ENGINE


def asked(weights):
    """What the fake engine was asked, which it tells as a report's weights."""
    return json.loads(weights)


def blobs(shape=(24, 28, 32), seed=1):
    """Some Gaussian blobs: float32 (z, y, x), no two alike."""
    random = np.random.default_rng(seed)
    points = np.indices(shape).reshape(3, -1).T
    values = np.zeros(len(points))
    for _ in range(12):
        center = random.uniform(0.25, 0.75, 3) * shape
        values += random.uniform(0.5, 1.5) * np.exp(-((points - center) ** 2).sum(1) / 8)
    return values.reshape(shape).astype(np.float32)


def open_map(session, name="blobs", shape=(24, 28, 32), level=0.3, seed=1, **grid):
    """A new map; `grid` is what ArrayGridData takes: origin, step, cell_angles, rotation."""
    volume = volume_from_grid_data(ArrayGridData(blobs(shape, seed), name=name, **grid), session)
    volume.set_parameters(surface_levels=[level])
    return volume


def tilted():
    """A rotation matrix about no special axis."""
    return rotation((1, 2, 3), 40).matrix[:, :3]


@contextlib.contextmanager
def user_error(*words):
    """The block must raise a UserError whose message has all the words."""
    try:
        yield
    except UserError as error:
        missing = [word for word in words if word not in str(error)]
        assert not missing, f"{missing} not in: {error}"
    else:
        raise AssertionError("no UserError")


def leftovers():
    """Temporary folders of enhance."""
    return list(Path(tempfile.gettempdir()).glob("chimerax_enhance_*"))


def assert_lies_on(result, volume, tolerance=1e-4):
    """The result's voxels have the values that the input has at the same places of the scene."""
    shape = result.full_matrix().shape
    indices = np.indices(shape)[::-1].reshape(3, -1).T.astype(np.float32)
    to_scene = result.scene_position * result.data.ijk_to_xyz_transform
    there, outside = volume.interpolated_values(indices, to_scene, out_of_bounds_list=True)
    inside = np.ones(len(indices), bool)
    inside[outside] = False
    assert inside.mean() > 0.6, f"{inside.mean():.0%} of the result lies in the input's box"
    here = result.full_matrix().reshape(-1)
    worst = np.abs(there - here)[inside].max()
    assert worst < tolerance, f"values differ by up to {worst}"
