"""Grid against gemmi's unit cell and against geometry worked out by hand."""

import gemmi
import numpy as np
import pytest

from cryomap.grid import Grid, skew_matrix

TURN = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))  # x to y, y to -x


@pytest.mark.parametrize("angles", [(90, 90, 90), (90, 90, 120), (70, 82, 101), (110, 95, 64)])
def test_skew_matrix_is_the_orthogonalisation_of_a_unit_cell(angles):
    cell = gemmi.UnitCell(1, 1, 1, *angles)
    np.testing.assert_allclose(skew_matrix(angles), np.array(cell.orth.mat.tolist()), atol=1e-9)


def test_positions_follow_gemmis_fractional_coordinates():
    grid = Grid((40, 30, 20), (1.1, 0.9, 1.3), (5.0, -3.0, 12.0), (80, 95, 105))
    cell = gemmi.UnitCell(20 * 1.1, 30 * 0.9, 40 * 1.3, 80, 95, 105)
    indices = np.array([3.0, 17.0, 29.0])
    expected = cell.orthogonalize(gemmi.Fractional(*(indices / grid.size))).tolist()
    np.testing.assert_allclose(grid.to_xyz(indices), np.add(expected, grid.origin), atol=1e-6)


def test_indices_are_the_inverse_of_positions(rng):
    grid = Grid((9, 8, 7), (1.1, 0.9, 1.3), (5.0, -3.0, 12.0), (80, 95, 105), TURN)
    indices = rng.uniform(-5, 20, (50, 3))
    np.testing.assert_allclose(grid.to_indices(grid.to_xyz(indices)), indices, atol=1e-9)


def test_a_rotated_grid_turns_its_axes_about_its_origin():
    grid = Grid((5, 5, 5), (2.0, 2.0, 2.0), (10.0, 20.0, 30.0), rotation=TURN)
    np.testing.assert_allclose(grid.to_xyz([1, 0, 0]), [10, 22, 30])
    np.testing.assert_allclose(grid.to_xyz([0, 3, 0]), [4, 20, 30])


def test_voxel_volume_of_a_skewed_cell():
    cell = gemmi.UnitCell(1.1, 0.9, 1.3, 80, 95, 105)
    grid = Grid((5, 5, 5), (1.1, 0.9, 1.3), cell_angles=(80, 95, 105))
    assert grid.voxel_volume == pytest.approx(cell.volume)


def test_cubic_grid_covers_the_box_from_a_whole_number_of_steps():
    grid = Grid((20, 30, 40), (1.742, 1.742, 1.742), (-7.3, 3.0, 356.44))
    for step in (1.0, 0.7):
        cubic = grid.cubic(step)
        assert cubic.step[:2] == (step, step)
        starts = np.array(cubic.origin) / cubic.step
        np.testing.assert_allclose(starts, np.round(starts), atol=1e-9)
        first, last = grid.to_indices(cubic.origin), cubic.to_indices(grid.to_xyz(np.array(grid.size) - 1))
        assert (first <= 1e-4).all() and (first > -step / 1.742).all()
        end = np.array(cubic.size) - 1
        assert (last <= end + 1e-6).all() and (last > end - 1 - 1e-3).all()


@pytest.mark.parametrize("start", [(266, 116, 119), (-266, 90, 1000), (75, -75, 0)])
@pytest.mark.parametrize("step", [1.0, 0.83])
def test_cubic_grid_far_from_0_begins_at_the_corner(start, step):
    grid = Grid((20, 30, 40), (1.34, 1.34, 1.34), tuple(1.34 * n for n in start))
    cubic = grid.cubic(step)
    starts = np.array(cubic.origin) / cubic.step
    np.testing.assert_allclose(starts, np.round(starts), atol=1e-9)
    np.testing.assert_allclose(cubic.origin, grid.origin, atol=1e-3)
    np.testing.assert_allclose(cubic.step, step, rtol=0.005)
    # In a file the lengths of the cell are float32.
    np.testing.assert_array_equal(
        cubic.step, np.round(np.float32(np.array(cubic.size) * cubic.step) / cubic.size, 6)
    )
    assert cubic.cubic(step) == cubic


def test_cubic_grid_of_a_cubic_grid_is_the_same():
    turned = Grid((20, 30, 40), (1.0, 1.0, 1.0), (-7.25, 3.0, 11.0), rotation=TURN)
    straight = Grid((20, 30, 40), (1.1, 1.1, 1.1), (-7.25, 3.3, 391.6))
    assert turned.cubic(1.0) == turned and straight.cubic(1.1) == straight


@pytest.mark.parametrize("rotation", [Grid((1, 1, 1)).rotation, TURN])
def test_cubic_grid_covers_a_skewed_box(rotation):
    grid = Grid((20, 30, 40), (1.2, 1.1, 0.9), (4.0, 5.0, 6.0), (75, 100, 115), rotation)
    cubic = grid.cubic(1.0)
    corners = np.indices((2, 2, 2)).reshape(3, 8).T * (np.array(grid.size) - 1)
    indices = cubic.to_indices(grid.to_xyz(corners))
    assert cubic.cell_angles == (90, 90, 90) and cubic.rotation == rotation
    assert (indices >= -1e-6).all() and (indices <= np.array(cubic.size) - 1 + 1e-6).all()
    assert (indices.min(axis=0) < 1).all()


def test_a_crop_keeps_every_voxel_where_it_was():
    grid = Grid((20, 30, 40), (1.2, 1.1, 0.9), (4.0, 5.0, 6.0), (75, 100, 115), TURN)
    crop = grid.cropped((2, -3, 5), (4, 4, 4))
    assert crop.shape == (4, 4, 4)
    np.testing.assert_allclose(crop.to_xyz([1, 1, 1]), grid.to_xyz([6, -2, 3]))
    np.testing.assert_allclose(grid.center, grid.to_xyz([19.5, 14.5, 9.5]))
