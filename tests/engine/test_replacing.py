"""Files are there whole or not at all, and a disk that can't take them is no fault of the input."""

import os
from pathlib import Path

import pytest

from cryomap.errors import InputError, WriteError
from cryomap.replacing import replacing


def test_a_file_takes_its_place_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with replacing(path) as temporary:
        Path(temporary).write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after" and os.listdir(tmp_path) == ["a.txt"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_what_fails_leaves_what_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(InputError, match="bad input") as failed, replacing(path):
        raise InputError("bad input")
    assert not isinstance(failed.value, WriteError)
    with (
        pytest.raises(WriteError, match=r"a\.txt: can't be written \(No space"),
        replacing(path) as temporary,
    ):
        Path(temporary).write_text("half")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["a.txt"]


def test_folders_are_made_where_that_is_asked_for(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    with pytest.raises(WriteError, match="No such file"), replacing(path):
        pass
    assert not path.parent.exists()
    with replacing(path, make_folders=True) as temporary:
        Path(temporary).write_text("there")
    assert path.read_text() == "there"
