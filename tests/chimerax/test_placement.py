"""The result lies on the input, however that is placed; checked with an engine that changes nothing."""

import numpy as np
from chimerax.core.commands import run
from chimerax.core.models import Model
from chimerax.geometry import rotation, translation
from support import assert_lies_on, blobs, open_map, tilted, use_fake_engine


def enhance(session, command):
    use_fake_engine()
    return run(session, command)


def test_grid_is_chimerax_grid(session):
    from chimerax.map_enhance.scene.volumes import input_region, region_grid

    volume = open_map(
        session, origin=(5, -3, 7), step=(1.1, 1.3, 0.9), cell_angles=(80, 95, 110), rotation=tilted()
    )
    grid = region_grid(volume, input_region(volume))
    indices = np.random.default_rng(0).uniform(0, 20, (50, 3))
    assert np.allclose(grid.to_xyz(indices), volume.data.ijk_to_xyz(indices), atol=1e-3)


def test_rotated_and_skewed(session):
    volume = open_map(
        session, origin=(5, -3, 7), step=(1.1, 1.3, 0.9), cell_angles=(80, 95, 110), rotation=tilted()
    )
    (result,) = enhance(session, f"enhance #{volume.id_string}")
    assert result.data.size == volume.data.size
    assert_lies_on(result, volume)


def test_moved(session):
    volume = open_map(session, step=(1.5, 1.5, 1.5))
    volume.position = translation((20, -30, 5)) * rotation((0, 1, 1), 75)
    (result,) = enhance(session, "enhance #1")
    assert_lies_on(result, volume)


def test_moved_by_its_group(session):
    volume = open_map(session)
    group = Model("group", session)
    session.models.add([group])
    group.add([volume])
    group.position = rotation((1, 0, 0), 30)
    volume.position = translation((3, 4, 5))
    (result,) = enhance(session, f"enhance #{volume.id_string}")
    assert_lies_on(result, volume)


def test_region(session):
    volume = open_map(session, origin=(1, 2, 3), rotation=tilted())
    run(session, "volume #1 region 4,5,6,25,20,18")
    (result,) = enhance(session, "enhance #1")
    assert result.data.size == (22, 16, 13)
    assert np.array_equal(result.full_matrix(), volume.full_matrix()[6:19, 5:21, 4:26])
    assert_lies_on(result, volume)


def test_subsampled_display_is_enhanced_whole(session):
    volume = open_map(session)
    run(session, "volume #1 step 3")
    (result,) = enhance(session, "enhance #1")
    assert result.data.size == volume.data.size
    assert_lies_on(result, volume)


def test_subsampled_grid(session):
    open_map(session, origin=(2, 3, 4), cell_angles=(90, 100, 90))
    run(session, "volume copy #1 subregion 2,2,2,29,25,21 step 2 modelId 5")
    volume = session.models[[model.id_string for model in session.models].index("5")]
    (result,) = enhance(session, "enhance #5")
    assert result.data.size == volume.data.size
    assert_lies_on(result, volume)


def test_one_plane_stands_for_the_map(session):
    volume = open_map(session)
    run(session, "volume #1 region 0,0,12,31,27,12 style image")
    (result,) = enhance(session, "enhance #1")
    assert result.data.size == volume.data.size


def test_integer_values(session):
    from chimerax.map import volume_from_grid_data
    from chimerax.map_data import ArrayGridData

    data = ArrayGridData((blobs() * 100).astype(np.int16), name="integers")
    volume = volume_from_grid_data(data, session)
    (result,) = enhance(session, "enhance #1")
    assert_lies_on(result, volume)


def test_mask_is_taken_where_it_lies(session):
    volume = open_map(session)
    mask = open_map(session, name="mask", shape=(10, 10, 10), seed=3)
    mask.data.array[:] = 1  # a full box of 10 voxels, moved onto voxels 5..14 of the map in x, y, z
    mask.data.values_changed()
    mask.set_parameters(surface_levels=[0.5])
    volume.position = rotation((0, 0, 1), 90)
    mask.position = volume.position * translation((5, 5, 5))
    use_fake_engine()
    from chimerax.map_enhance.scene.volumes import input_region, mask_on

    inside = mask_on(mask, volume, input_region(volume))
    expected = np.zeros_like(inside)
    expected[5:15, 5:15, 5:15] = True
    # The faces of the box lie on grid points, so rounding decides there.
    assert inside[6:14, 6:14, 6:14].all()
    assert not inside[~expected].any()
