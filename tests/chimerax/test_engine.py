"""`enhance` with the real engine and the bundled weights."""

import numpy as np
from chimerax.core.commands import run
from chimerax.geometry import rotation, translation
from support import Skipped, open_map, tilted, user_error


def need_weights(method):
    from chimerax.map_enhance.runtime.engine_python import ENGINE_FOLDER

    if not (ENGINE_FOLDER / "cryomap" / "weights" / f"{method}.safetensors").exists():
        raise Skipped(f"the bundle holds no weights of {method}")


def enclosed(volume):
    """A^3 of the voxels at or above the level that is shown."""
    (surface,) = volume.surfaces
    return float((volume.full_matrix() >= surface.level).sum() * volume.data.voxel_volume())


def enhance_and_check(session, method, **grid):
    need_weights(method)
    volume = open_map(session, name="sample", shape=(36, 40, 44), level=0.35, **grid)
    volume.position = rotation((0, 1, 1), 30) * translation((5, 6, 7))
    before = enclosed(volume)
    (result,) = run(session, f"enhance #1 method {method} device cpu")
    values = result.full_matrix()
    assert result.name == f"sample {method}" and not volume.display
    assert values.dtype == np.float32 and values.min() >= 0 and 0.2 < values.max() <= 1
    assert abs(enclosed(result) / before - 1) < 0.02
    return volume, result


def shifted_correlations(result, volume):
    """Correlation of the result with the input moved by -2, 0 and 2 A along its x, y and z: 7 numbers."""
    indices = np.indices(result.full_matrix().shape)[::-1].reshape(3, -1).T.astype(np.float32)
    to_scene = result.scene_position * result.data.ijk_to_xyz_transform
    here = result.full_matrix().ravel()
    shifts = [np.zeros(3), *(2 * np.eye(3)), *(-2 * np.eye(3))]
    return [
        np.corrcoef(here, volume.interpolated_values(indices, translation(shift) * to_scene))[0, 1]
        for shift in shifts
    ]


def check_method(session, method):
    volume, result = enhance_and_check(session, method, origin=(3, -2, 5), rotation=tilted())
    assert result.data.size == volume.data.size
    assert np.allclose(result.data.ijk_to_xyz_transform.matrix, volume.data.ijk_to_xyz_transform.matrix)
    at_zero, *moved = shifted_correlations(result, volume)
    assert at_zero > 0.5 and at_zero > max(moved), (at_zero, moved)


def test_superem(session):
    check_method(session, "superem")


def test_cryosamu(session):
    check_method(session, "cryosamu")


def test_coarse_map_gets_a_finer_grid(session):
    volume, result = enhance_and_check(session, "superem", step=(1.4, 1.5, 1.6), cell_angles=(90, 90, 90))
    assert np.allclose(result.data.step, 1)
    box = [np.array(v.data.size) * v.data.step for v in (volume, result)]
    assert np.abs(box[0] - box[1]).max() < 2
    at_zero, *moved = shifted_correlations(result, volume)
    assert at_zero > max(moved), (at_zero, moved)


def test_bad_map(session):
    need_weights("superem")
    volume = open_map(session, name="flat")
    volume.data.array[:] = 1
    volume.data.values_changed()
    with user_error("flat"):
        run(session, "enhance #1 level 0.5")
    assert volume.display


def test_bad_weights(session):
    import tempfile

    open_map(session)
    with tempfile.NamedTemporaryFile(suffix=".pt") as file, user_error(file.name):
        file.write(b"nothing of use")
        file.flush()
        run(session, f"enhance #1 weights {file.name}")
