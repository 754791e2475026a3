"""Headers that lie, that were never set, and that can't be: read as ChimeraX reads them, or refused by name."""

import bz2
import gzip
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest

import cryomap
from cryomap.density import DensityMap, read_map, write_map
from cryomap.errors import InputError
from cryomap.grid import Grid

SHAPE = (11, 13, 17)  # z, y, x
PLACES = {"size": 0, "mode": 12, "start": 16, "intervals": 28, "lengths": 40, "angles": 52, "axes": 64}
PLACES |= {
    "range": 76,
    "space_group": 88,
    "extended": 92,
    "imod": 152,
    "origin": 196,
    "map": 208,
    "label": 224,
}
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(cryomap.__file__).parents[1])}
FLOATS = ("lengths", "angles", "range", "origin")


def patched(content: bytes, **words) -> bytes:
    """The file with words of its header replaced."""
    content = bytearray(content)
    for name, value in words.items():
        if not isinstance(value, bytes):
            value = np.array(value, "<f4" if name in FLOATS else "<i4").tobytes()
        content[PLACES[name] : PLACES[name] + len(value)] = value
    return bytes(content)


@pytest.fixture
def values(rng):
    """Density that stays off the faces of the box."""
    values = np.zeros(SHAPE, np.float32)
    values[2:-2, 3:-3, 3:-3] = rng.uniform(0.1, 1, (7, 7, 11))
    return values


@pytest.fixture
def good(tmp_path, values):
    """The bytes of a good file, by mrcfile."""
    with mrcfile.new(tmp_path / "good.mrc") as mrc:
        mrc.set_data(values)
        mrc.set_volume()
        mrc.voxel_size = 1.5
        mrc.header.nxstart, mrc.header.nystart, mrc.header.nzstart = 3, 4, 5
    return (tmp_path / "good.mrc").read_bytes()


@pytest.fixture
def read(tmp_path):
    """Reads bytes as a map of a name."""

    def read(content: bytes, name: str = "m.mrc") -> DensityMap:
        (tmp_path / name).write_bytes(content)
        return read_map(tmp_path / name)

    return read


def noted(density: DensityMap, words: str) -> bool:
    return any(words in note and density.name in note for note in density.notes)


# Bytes and shorts without a sign.


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"imod": (1146047817, 0)}, "IMOD"),
        ({"map": bytes(8)}, "before 2000"),
        ({"range": (0, 255, 60)}, "maximum is 255"),
    ],
)
def test_bytes_without_a_sign(read, good, values, words, why):
    scaled = np.round(values * 255).astype(np.uint8)
    density = read(patched(good[:1024], mode=0, range=(0, -1, -2)) + scaled.tobytes())
    assert density.values.min() < 0 and not density.notes  # as the format has it
    density = read(patched(good[:1024], mode=0, **{"range": (0, -1, -2), **words}) + scaled.tobytes())
    np.testing.assert_array_equal(density.values, scaled)
    assert noted(density, why)


def test_bytes_with_a_sign(read, good, values):
    scaled = np.round(values * 200 - 100).astype(np.int8)
    for words in ({"imod": (1146047817, 1)}, {"range": (-100, 100, 0)}, {"range": (0, 127, 3)}):
        density = read(patched(good[:1024], mode=0, **words) + scaled.tobytes())
        np.testing.assert_array_equal(density.values, scaled)
        assert not density.notes


def test_shorts_without_a_sign(read, good, values):
    scaled = np.round(values * 60000).astype(np.uint16)
    density = read(patched(good[:1024], mode=1, range=(0, 60000, 9000)) + scaled.tobytes())
    np.testing.assert_array_equal(density.values, scaled)


# Where the map is.


def test_an_origin_that_was_never_set(read, good):
    for origin in ((1e30, 0, 0), (float("nan"), 1, 1), (0, float("inf"), 0)):
        density = read(patched(good, origin=origin))
        assert density.grid.origin == (4.5, 6.0, 7.5) and density.frame == "nstart"
        assert noted(density, "ORIGIN")


def test_nstart_that_was_never_set(read, good):
    density = read(patched(good, start=(3, -2000000000, 5)))
    assert density.grid.origin == (0, 0, 0) and noted(density, "NSTART")
    assert read(patched(good, start=(-160, 0, 0))).grid.origin == (-240, 0, 0)


def test_chimerax_reads_nstart_of_map_files(read, good):
    both = patched(good, origin=(50, 60, 70))
    assert read(both, "m.mrc").grid.origin == (50, 60, 70)
    for name in ("m.map", "M.CCP4"):
        density = read(both, name)
        assert density.grid.origin == (4.5, 6.0, 7.5) and noted(density, "disagree")
    assert read(gzip.compress(both), "m.map.gz").grid.origin == (4.5, 6.0, 7.5)
    alone = read(patched(both, start=(0, 0, 0)), "m.map")
    assert alone.grid.origin == (50, 60, 70) and noted(alone, "ChimeraX")
    assert not read(patched(good, origin=(4.5, 6.0, 7.5)), "m.map").notes


def test_an_old_header_has_no_origin(read, good):
    assert read(patched(good, origin=(50, 60, 70), map=bytes(8))).grid.origin == (4.5, 6.0, 7.5)


def test_axes_that_are_none(read, good, values):
    for axes in ((-1, 2, 3), (1, 1, 3), (0, 0, 0)):
        density = read(patched(good, axes=axes))
        np.testing.assert_array_equal(density.values, values)
        assert noted(density, "no axes") == any(axes)


def test_the_rotation_of_chimeras_label(read, good, tmp_path):
    label = b"Chimera rotation:   0.00000000   0.00000000   2.00000000  90.00000000".ljust(80, b"\0")
    density = read(patched(good, label=label))
    assert density.grid.to_xyz((2, 0, 0)) == pytest.approx((4.5, 9.0, 7.5))
    assert density.grid.to_xyz((0, 2, 0)) == pytest.approx((1.5, 6.0, 7.5))
    assert noted(density, "Chimera rotation")
    write_map(density, tmp_path / "again.mrc")
    np.testing.assert_allclose(read_map(tmp_path / "again.mrc").grid.axes, density.grid.axes, atol=1e-6)
    with pytest.raises(InputError, match=r"m\.mrc.*no rotation"):
        read(patched(good, label=b"Chimera rotation: 0 0 0 90".ljust(80, b"\0")))


# What comes before and after the voxels.


@pytest.mark.parametrize("promised", [80, 2**31 - 1, -7])
def test_an_extended_header_that_is_not_there(read, good, values, promised):
    for name, pack in (("m.mrc", bytes), ("m.mrc.gz", gzip.compress), ("m.mrc.bz2", bz2.compress)):
        density = read(pack(patched(good, extended=promised)), name)
        np.testing.assert_array_equal(density.values, values)
        assert noted(density, "extended header")


@pytest.mark.parametrize("filling", [bytes(2048), b"some text of a microscope " * 80])
def test_an_extended_header_that_is_not_announced(read, good, values, filling):
    density = read(good[:1024] + filling[:2048] + good[1024:])
    np.testing.assert_array_equal(density.values, values)
    assert noted(density, "not announced")


def test_an_announced_extended_header(read, good, values):
    density = read(patched(good[:1024], extended=161) + bytes(range(161)) + good[1024:])
    np.testing.assert_array_equal(density.values, values)
    assert not density.notes


def test_bytes_behind_the_voxels(read, good, values):
    for behind in (bytes(2048), b"remark", bytes(1 << 21)):
        density = read(good + behind)
        np.testing.assert_array_equal(density.values, values)
        assert noted(density, "ignored")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"mode": 0}, "longer than"),
        ({"size": (16, 13, 11)}, "longer than"),
        ({"size": (17, 13, 10)}, "longer than"),
        ({"size": (18, 13, 11)}, "truncated"),
        ({"size": (60000, 60000, 60000)}, "truncated"),
        ({"size": (-17, 13, 11)}, "-17 x 13 x 11"),
        ({"size": (-(2**31), 2**31 - 1, 11)}, "-2147483648"),
        ({"mode": 101}, "4-bit"),
        ({"angles": (30, 30, 90)}, "angles"),
        ({"angles": (120, 120, 120)}, "angles"),
        ({"angles": (1e-3, 90, 90)}, "angles"),
        ({"angles": (float("nan"), 90, 90)}, "angles"),
        ({"lengths": (1e30, 10, 10)}, "voxel size"),
        ({"lengths": (float("nan"), 10, 10)}, "voxel size"),
    ],
)
def test_numbers_that_can_not_be_are_refused(read, good, words, what):
    for name, pack in (("m.mrc", bytes), ("m.map.gz", gzip.compress)):
        with pytest.raises(InputError, match=what) as error:
            read(pack(patched(good, **words)), name)
        assert name in str(error.value) and "\n" not in str(error.value)


def test_angles_that_were_never_set_are_right(read, good):
    assert read(patched(good, angles=(0, 0, 0))).grid.cell_angles == (90, 90, 90)


# What it isn't, and what it costs to find out.


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (bytes(5000), "zeros"),
        (b"\x89HDF\r\n\x1a\n" + bytes(5000), "HDF5"),
        (b"PK\3\4" + bytes(5000), "zip"),
        (b"\xfd7zXZ\0" + bytes(5000), "xz"),
        (gzip.compress(gzip.compress(bytes(5000))), "gzip"),
        (b"m.mrc" + bytes(252) + b"ustar\00000" + bytes(5000), "tar archive"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "PNG"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "Git LFS"),
        (b"HEADER  a text file\n" * 300, "text"),
        (np.full(600, 47.0, "<f4").tobytes(), "not an MRC"),
    ],
)
def test_other_files_are_called_what_they_are(read, content, what):
    with pytest.raises(InputError, match=rf"m\.mrc: .*{what}"):
        read(content)


def test_bytes_behind_gzip_data_are_told(read, good):
    with pytest.raises(InputError, match=r"m\.mrc: .*other bytes follow its gzip data; unpack it"):
        read(gzip.compress(good) + b"behind")


def test_what_is_no_file_is_called_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to(tmp_path / "gone")
    named = {
        "pipe": "pipe",
        "a": "back to itself",
        "c": "gone, which does not exist",
        ".": "folder",
        "d": "no such",
    }
    for name, what in named.items():
        with pytest.raises(InputError, match=what):
            read_map(tmp_path / name)
    with pytest.raises(InputError, match=r"https://example\.org/x\.map: an address"):
        read_map("https://example.org/x.map")


def test_a_name_that_is_not_utf8(tmp_path, good, values):
    path = tmp_path / os.fsdecode(b"caf\xe9.mrc")
    path.write_bytes(good)
    np.testing.assert_array_equal(read_map(path).values, values)


def peak(path: Path) -> float:
    """Memory in MB that reading takes beyond that of the program."""
    code = """
import resource, sys
from cryomap.density import read_map
from cryomap.errors import InputError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try: read_map(sys.argv[1])
except InputError: pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in Linux's units")
def test_memory_stays_in_proportion_to_the_file(tmp_path, good):
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
    padded = gzip.compress(good + bytes(200_000_000), 1)
    absurd = patched(good, size=(1500, 1500, 1500))
    for name, content in {
        "padded.map.gz": padded,
        "promise.map": absurd,
        "promise.map.gz": gzip.compress(absurd),
        "promise.map.bz2": bz2.compress(absurd),
        "extended.map": patched(good, extended=2**31 - 1) + b"x",
        "text.map": b"a line of text\n" * 9000,
    }.items():
        (tmp_path / name).write_bytes(content)
        assert peak(tmp_path / name) < 30, name


# What is written.


def test_both_words_say_the_same_place(tmp_path, values):
    write_map(DensityMap(values, Grid(SHAPE, (1.1, 1.2, 1.3), (-11.0, 24.0, 39.0))), tmp_path / "m.map")
    header = (tmp_path / "m.map").read_bytes()[:1024]
    assert struct.unpack_from("<3i", header, 16) == (-10, 20, 30)
    assert struct.unpack_from("<3f", header, 196) == (-11, 24, 39)


@pytest.mark.parametrize(
    ("name", "shift", "told"),
    [
        ("m.map", 0, False),
        ("m.mrc", 0.4, False),
        ("m.map", 0.4, True),
        ("m.CCP4.gz", 0.4, True),
        ("m.map", 1100, True),
    ],
)
def test_a_place_that_chimerax_will_not_read_is_told(tmp_path, values, caplog, name, shift, told):
    grid = Grid(SHAPE, (1.1, 1.2, 1.3), (-11.0 + shift, 24.0, 39.0))
    write_map(DensityMap(values, grid), tmp_path / name)
    assert ("0, 0, 0" in caplog.text) == told


@pytest.mark.parametrize("name", ["m.mrc", "m.mrc.gz", "m.map.bz2"])
def test_the_same_map_makes_the_same_bytes(tmp_path, values, name):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_map(DensityMap(values, Grid(SHAPE)), tmp_path / folder / name)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    np.testing.assert_array_equal(read_map(tmp_path / "one" / name).values, values)
