"""DensityMap: reading and writing against gemmi and mrcfile, resampling against maps known at every point."""

import bz2
import gzip
import itertools
import time

import gemmi
import mrcfile
import numpy as np
import pytest
from conftest import blobs
from scipy import ndimage

from cryomap.density import DensityMap, read_map, resample, write_map
from cryomap.errors import InputError
from cryomap.grid import Grid

SHAPE = (6, 8, 10)  # z, y, x


def write_mrc(
    path, values, step=(1.0, 1.0, 1.0), order=(1, 2, 3), start=(0, 0, 0), origin=(0, 0, 0), angles=None
):
    """An MRC file by mrcfile alone. `values` is (z, y, x); `order` says which of x, y, z is mapc, mapr, maps."""
    column, row, section = order
    axes = [3 - axis for axis in (section, row, column)]
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(np.ascontiguousarray(values.transpose(axes)))
        mrc.set_volume()
        mrc.header.mapc, mrc.header.mapr, mrc.header.maps = order
        mrc.header.mx, mrc.header.my, mrc.header.mz = values.shape[::-1]
        mrc.header.cella = tuple(n * s for n, s in zip(values.shape[::-1], step, strict=True))
        if angles:
            mrc.header.cellb = angles
        mrc.header.nxstart, mrc.header.nystart, mrc.header.nzstart = (start[axis - 1] for axis in order)
        mrc.header.origin = origin
    return path


@pytest.fixture
def values(rng):
    return rng.normal(size=SHAPE).astype(np.float32)


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_every_axis_order_reads_alike(tmp_path, values, order):
    path = write_mrc(tmp_path / "m.mrc", values, (1.1, 1.2, 1.3), order, start=(3, -4, 5))
    read = read_map(path)
    np.testing.assert_array_equal(read.values, values)
    assert read.values.flags.c_contiguous
    np.testing.assert_allclose(read.grid.step, (1.1, 1.2, 1.3), atol=1e-6)
    np.testing.assert_allclose(read.grid.origin, (3.3, -4.8, 6.5), atol=1e-5)
    assert read.frame == "nstart"


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 1, 3)])
def test_a_skewed_map_lies_where_gemmi_puts_it(tmp_path, values, order):
    angles, start = (80.0, 95.0, 105.0), (3, -4, 5)
    path = write_mrc(tmp_path / "m.mrc", values, (1.1, 1.2, 1.3), order, start, angles=angles)
    read = read_map(path)
    other = gemmi.read_ccp4_map(str(path))
    cell = other.grid.unit_cell
    for indices in ((0, 0, 0), (9, 7, 5), (2, 6, 1)):
        fraction = [(i + s) / n for i, s, n in zip(indices, start, SHAPE[::-1], strict=True)]
        expected = cell.orthogonalize(gemmi.Fractional(*fraction)).tolist()
        np.testing.assert_allclose(read.grid.to_xyz(indices), expected, atol=1e-4)


def test_the_origin_words_go_before_nstart(tmp_path, values):
    path = write_mrc(tmp_path / "m.mrc", values, start=(3, 4, 5), origin=(10.5, -20.0, 30.0))
    assert read_map(path).grid.origin == (10.5, -20.0, 30.0)
    assert read_map(path).frame == "origin"


def test_a_crop_of_a_larger_cell_keeps_its_voxel_size(tmp_path, values):
    path = write_mrc(tmp_path / "m.mrc", values)
    with mrcfile.open(path, "r+") as mrc:
        mrc.header.mx, mrc.header.my, mrc.header.mz = 100, 50, 25
        mrc.header.cella = (200.0, 75.0, 25.0)
    assert read_map(path).grid.step == (2.0, 1.5, 1.0)


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.float32, np.uint16, np.float16])
def test_every_mode(tmp_path, rng, kind):
    values = (rng.uniform(0, 100, SHAPE)).astype(kind)
    read = read_map(write_mrc(tmp_path / "m.mrc", values))
    assert read.values.dtype == np.float32
    np.testing.assert_array_equal(read.values, values.astype(np.float32))


def test_big_endian(tmp_path, values):
    path = tmp_path / "m.mrc"
    with mrcfile.new(path) as mrc:
        mrc.set_data(values.astype(">f4"))
        mrc.voxel_size = 1.5
        assert mrc.header.byteswap is not None
    with mrcfile.open(path) as mrc:
        assert mrc.header.nx.dtype.byteorder in "><"
    np.testing.assert_array_equal(read_map(path).values, values)
    assert read_map(path).grid.step == (1.5, 1.5, 1.5)


@pytest.mark.parametrize(("ending", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_compressed(tmp_path, values, ending, compress):
    plain = write_mrc(tmp_path / "m.map", values)
    packed = tmp_path / f"m.map{ending}"
    packed.write_bytes(compress(plain.read_bytes()))
    np.testing.assert_array_equal(read_map(packed).values, values)


def bad_files(tmp_path, values):
    """A bad file and a word its message must hold, by what is wrong with it."""
    good = write_mrc(tmp_path / "good.mrc", values)
    content = good.read_bytes()
    packed = gzip.compress(content)
    text = b"HEADER    a text file, and not a short one\n" * 100
    for name, data, word in [
        ("missing", None, "no such file"),
        ("empty", b"", "empty"),
        ("text", text, "not an MRC"),
        ("half header", content[:700], "not a readable"),
        ("truncated", content[:-100], "truncated"),
        ("truncated gz", packed[:-50], "not a readable"),
        ("corrupt gz", packed[:60] + bytes(200) + packed[260:], "not a readable"),
    ]:
        path = tmp_path / f"{name}{'.gz' if 'gz' in name else '.mrc'}"
        if data is not None:
            path.write_bytes(data)
        yield path, word


def test_bad_files_are_refused_by_name(tmp_path, values):
    for path, word in bad_files(tmp_path, values):
        with pytest.raises(InputError, match=word) as error:
            read_map(path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"cella": (0, 0, 0)}, "voxel size"),
        ({"cella": (-10, 8, 6)}, "voxel size"),
        ({"ispg": 0, "mz": 1}, "stack"),
        ({"mode": 4}, "transform|truncated"),
        ({"mode": 77}, "not an MRC"),
    ],
)
def test_bad_headers_are_refused(tmp_path, values, change, word):
    path = write_mrc(tmp_path / "m.mrc", values)
    with mrcfile.open(path, "r+") as mrc:
        for key, value in change.items():
            mrc.header[key] = value
    with pytest.raises(InputError, match=word):
        read_map(path)


def test_images_and_stacks_are_refused(tmp_path, rng):
    for data in (rng.normal(size=(20, 20)), rng.normal(size=(3, 6, 6, 6)), rng.normal(size=(1, 9, 9))):
        path = tmp_path / "m.mrc"
        with mrcfile.new(path, overwrite=True) as mrc:
            mrc.set_data(data.astype(np.float32))
            mrc.voxel_size = 1.0
        with pytest.raises(InputError, match=r"image|stack"):
            read_map(path)


def test_a_fourier_transform_is_refused(tmp_path):
    path = tmp_path / "m.mrc"
    with mrcfile.new(path) as mrc:
        mrc.set_data(np.ones((4, 4, 4), np.complex64))
        mrc.voxel_size = 1.0
    with pytest.raises(InputError, match="transform"):
        read_map(path)


@pytest.mark.parametrize("name", ["out.mrc", "out.map.gz"])
def test_what_is_written_is_read_back(tmp_path, values, name):
    grid = Grid(SHAPE, (1.1, 1.2, 1.3), (3.3, -4.8, 6.51), (80.0, 95.0, 105.0))
    write_map(DensityMap(values, grid), tmp_path / name)
    read = read_map(tmp_path / name)
    np.testing.assert_array_equal(read.values, values)
    np.testing.assert_allclose(read.grid.axes, grid.axes, atol=1e-5)
    np.testing.assert_allclose(read.grid.origin, grid.origin, atol=1e-5)


def test_mrcfile_finds_a_written_map_valid(tmp_path, values):
    write_map(DensityMap(values, Grid(SHAPE, (1.1,) * 3, (1, 2, 3))), tmp_path / "m.mrc")
    assert mrcfile.validate(tmp_path / "m.mrc")


def test_an_origin_of_whole_voxels_is_written_both_ways(tmp_path, values):
    write_map(DensityMap(values, Grid(SHAPE, (2.0, 2.0, 2.0), (6.0, -8.0, 10.0))), tmp_path / "m.mrc")
    with mrcfile.open(tmp_path / "m.mrc") as mrc:
        assert (mrc.header.nxstart, mrc.header.nystart, mrc.header.nzstart) == (3, -4, 5)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, values, monkeypatch):
    target = tmp_path / "m.mrc"
    target.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cryomap.density.header_bytes", full)
    with pytest.raises(InputError, match=r"m\.mrc.*No space left"):
        write_map(DensityMap(values, Grid(SHAPE)), target)
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


CENTERS = np.array([[22.0, 20.0, 24.0], [30.0, 28.0, 18.0], [26.0, 33.0, 31.0]])
COARSE = Grid((34, 36, 38), (1.4, 1.3, 1.5), (1.0, -2.0, 0.5))
C, S = np.cos(0.5), np.sin(0.5)


@pytest.mark.parametrize(
    "source",
    [
        COARSE,
        Grid((45, 45, 45), (1.2, 1.2, 1.2), (10.0, 0.0, 0.0), (80, 100, 110)),
        Grid((50, 50, 50), (1.2, 1.2, 1.2), (20.0, -10.0, 0.0), rotation=((C, -S, 0), (S, C, 0), (0, 0, 1))),
    ],
    ids=["anisotropic", "skewed", "rotated"],
)
@pytest.mark.parametrize(("order", "error"), [(1, 0.09), (3, 0.002)])
def test_resampling_agrees_with_the_density_itself(source, order, error):
    target = Grid((22, 22, 22), (0.9, 0.9, 0.9), (16.0, 16.0, 14.0))
    resampled = resample(blobs(source, CENTERS, 3.0), target, order)
    truth = blobs(target, CENTERS, 3.0).values
    assert resampled.grid == target
    assert abs(resampled.values - truth).max() < error


@pytest.mark.parametrize("order", [1, 3])
def test_resampling_in_slabs_changes_nothing(order, rng):
    source = DensityMap(rng.normal(size=(90, 12, 14)).astype(np.float32), Grid((90, 12, 14), (1.4,) * 3))
    target = Grid((140, 16, 18), (1.0,) * 3, (-3.0, 1.0, -2.0), rotation=((1, 0, 0), (0, C, -S), (0, S, C)))
    matrix = (np.linalg.inv(source.grid.axes) @ target.axes)[::-1, ::-1]
    offset = source.grid.to_indices(target.origin)[::-1]
    whole = ndimage.affine_transform(
        source.values.astype(float), matrix, offset, target.shape, order=order, mode="grid-constant"
    )
    np.testing.assert_allclose(resample(source, target, order).values, whole, atol=2e-5)


def test_density_outside_the_box_is_zero(rng):
    source = DensityMap(rng.normal(size=(9, 9, 9)).astype(np.float32) + 5, Grid((9, 9, 9)))
    far = resample(source, Grid((4, 4, 4), origin=(100.0, 0.0, 0.0)))
    assert not far.values.any()
    near = resample(source, Grid((9, 9, 9), origin=(6.0, 0.0, 0.0)))
    np.testing.assert_allclose(near.values[:, :, :3], source.values[:, :, 6:], atol=1e-6)
    assert not near.values[:, :, 4:].any()


def test_resampling_onto_the_same_grid_is_the_same_map():
    density = blobs(COARSE, CENTERS, 3.0)
    assert resample(density, COARSE, 3) is density


def test_values_must_fit_the_grid():
    with pytest.raises(ValueError, match="do not fit"):
        DensityMap(np.zeros((3, 3, 3), np.float32), Grid((3, 3, 4)))


@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz"])
def test_the_same_map_gives_the_same_bytes_and_keeps_its_labels(tmp_path, rng, name):
    density = DensityMap(rng.standard_normal((8, 9, 10)).astype(np.float32), Grid((8, 9, 10)), labels=("a", "b c"))
    written = []
    for _ in range(2):
        write_map(density, tmp_path / name)
        written.append((tmp_path / name).read_bytes())
        time.sleep(1.1)  # the header's time stamp, and that of gzip, count seconds
    assert written[0] == written[1]
    assert read_map(tmp_path / name).labels == ("a", "b c")
