"""Downloads against a server on the loopback interface: every fault is a real one on a real socket."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from archive_server import Archive

from cryomap.errors import InputError
from pairs.archives import header_model, header_resolution, map_urls, model_urls
from pairs.checksums import Checksum, read_checksums
from pairs.download import fetch

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
CONTENT = np.random.default_rng(0).bytes(3_000_000)
PACKED = gzip.compress(CONTENT, 1)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def archive():
    with Archive() as server:
        server.files["/a.gz"] = PACKED
        yield server


def hidden(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


def test_a_file_comes_whole_with_its_receipt_and_is_not_asked_for_again(archive, tmp_path):
    path = fetch([archive.url + "/a.gz"], tmp_path / "sub" / "a.gz")
    assert path.read_bytes() == PACKED
    assert hidden(path.parent) == []
    # The line that `sha256sum --check` reads.
    expected = f"{hashlib.sha256(PACKED).hexdigest()}  a.gz\n"
    assert (path.parent / "a.gz.sha256").read_text() == expected
    fetch([archive.url + "/a.gz"], path)
    assert len(archive.requests) == 1


def test_a_broken_transfer_goes_on_where_it_stopped(archive, tmp_path):
    archive.breaks["/a.gz"] = [1_000_000, 500_000]
    path = fetch([archive.url + "/a.gz"], tmp_path / "a.gz", pause=0.01)
    assert path.read_bytes() == PACKED
    assert archive.sent("/a.gz") == [None, "bytes=1000000-", "bytes=1500000-"]


def test_what_came_is_kept_for_a_later_run(archive, tmp_path):
    archive.breaks["/a.gz"] = [1_000_000]
    with pytest.raises(InputError, match=r"broke off after 1000000 of"):
        fetch([archive.url + "/a.gz"], tmp_path / "a.gz", attempts=1)
    assert not (tmp_path / "a.gz").exists()
    fetch([archive.url + "/a.gz"], tmp_path / "a.gz", attempts=1)
    assert (tmp_path / "a.gz").read_bytes() == PACKED
    assert archive.sent("/a.gz")[-1] == "bytes=1000000-"


def test_a_file_that_changed_meanwhile_is_not_spliced(archive, tmp_path):
    archive.breaks["/a.gz"] = [1_000_000]
    with pytest.raises(InputError):
        fetch([archive.url + "/a.gz"], tmp_path / "a.gz", attempts=1)
    archive.files["/a.gz"], archive.tags["/a.gz"] = gzip.compress(CONTENT[::-1], 1), '"2"'
    fetch([archive.url + "/a.gz"], tmp_path / "a.gz", attempts=1)
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == CONTENT[::-1]


def test_a_server_without_ranges_starts_over(archive, tmp_path):
    archive.ignores_ranges, archive.breaks["/a.gz"] = True, [1_000_000]
    fetch([archive.url + "/a.gz"], tmp_path / "a.gz", pause=0.01)
    assert (tmp_path / "a.gz").read_bytes() == PACKED


def test_a_part_longer_than_the_file_is_thrown_away(archive, tmp_path):
    archive.breaks["/a.gz"] = [1_000_000]
    with pytest.raises(InputError):
        fetch([archive.url + "/a.gz"], tmp_path / "a.gz", attempts=1)
    with open(tmp_path / ".a.gz.part", "ab") as part:
        part.write(bytes(4_000_000))
    fetch([archive.url + "/a.gz"], tmp_path / "a.gz", pause=0.01)
    assert (tmp_path / "a.gz").read_bytes() == PACKED


def test_a_busy_server_is_asked_again_and_an_absent_file_on_the_next_server(archive, tmp_path):
    archive.statuses["/a.gz"] = [503, 429]
    fetch([archive.url + "/none.gz", archive.url + "/a.gz"], tmp_path / "a.gz", pause=0.01)
    assert [path for path, _ in archive.requests] == ["/none.gz", "/a.gz", "/a.gz", "/a.gz"]


def test_an_entry_nobody_has_is_named_and_leaves_nothing(archive, tmp_path):
    with pytest.raises(InputError, match=r"emd_9999\.map\.gz: can't be downloaded .*404"):
        fetch([archive.url + "/none.gz"], tmp_path / "emd_9999.map.gz")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="refused"):
        fetch(["http://127.0.0.1:9/a.gz"], tmp_path / "a.gz", attempts=1)


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_wrong_checksum_of_the_users_list(archive, tmp_path, algorithm):
    listing = tmp_path / "sums.txt"
    value = hashlib.new(algorithm, b"another file").hexdigest()
    listing.write_text(f"{value}  maps/a.gz\n")
    checksum = read_checksums(listing)["a.gz"]
    assert checksum == Checksum(algorithm, value)
    with pytest.raises(InputError, match=f"its {algorithm} is"):
        fetch([archive.url + "/a.gz"], tmp_path / "a.gz", checksum, pause=0.01)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sums.txt"]
    right = Checksum(algorithm, hashlib.new(algorithm, PACKED).hexdigest())
    fetch([archive.url + "/a.gz"], tmp_path / "a.gz", right)


@pytest.mark.parametrize("header", ["Repr-Digest", "Digest", "Content-MD5"])
def test_a_digest_the_server_announces_is_checked(archive, tmp_path, header):
    def value(content: bytes) -> str:
        md5, sha = hashlib.md5(content).digest(), hashlib.sha256(content).digest()
        encoded = base64.b64encode(md5 if header == "Content-MD5" else sha).decode()
        return {"Repr-Digest": f"sha-256=:{encoded}:", "Digest": f"SHA-256={encoded}"}.get(header, encoded)

    archive.headers["/a.gz"] = {header: value(b"another file")}
    with pytest.raises(InputError, match=r"its (md5|sha256) is"):
        fetch([archive.url + "/a.gz"], tmp_path / "a.gz", pause=0.01)
    archive.headers["/a.gz"] = {header: value(PACKED)}
    fetch([archive.url + "/a.gz"], tmp_path / "a.gz")


def test_bytes_changed_on_the_way_are_noticed_by_the_gzip_trailer(archive, tmp_path):
    damaged = bytearray(PACKED)
    damaged[len(damaged) // 2] ^= 0xFF
    archive.files["/bad.gz"] = bytes(damaged)
    fetch([archive.url + "/bad.gz", archive.url + "/a.gz"], tmp_path / "a.gz", pause=0.01)
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == CONTENT
    assert len(archive.sent("/bad.gz")) == 2


def test_a_file_damaged_later_is_replaced(archive, tmp_path):
    path = fetch([archive.url + "/a.gz"], tmp_path / "a.gz")
    path.write_bytes(PACKED[:-10])
    assert fetch([archive.url + "/a.gz"], path).read_bytes() == PACKED


def test_a_file_put_there_by_hand_is_used_if_it_is_whole(archive, tmp_path):
    (tmp_path / "a.gz").write_bytes(PACKED)
    fetch([archive.url + "/a.gz"], tmp_path / "a.gz")
    assert archive.requests == []
    (tmp_path / "a.gz").write_bytes(PACKED[:1000])
    assert fetch([archive.url + "/a.gz"], tmp_path / "a.gz").read_bytes() == PACKED


FETCH = """
import sys, resource
sys.path[:0] = {paths!r}
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from pathlib import Path
from pairs.download import fetch
from cryomap.errors import InputError
try:
    fetch([{url!r}], Path({path!r}), attempts=1)
except InputError as error:
    sys.exit(str(error))
"""


def run_fetch(archive, path: Path, limit: int = 0) -> subprocess.Popen:
    code = FETCH.format(
        paths=[str(SCRIPTS), str(SCRIPTS.parent / "src")],
        limit=limit,
        url=archive.url + "/a.gz",
        path=str(path),
    )
    environment = {**os.environ, "no_proxy": "127.0.0.1"}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)


def test_a_full_disk_loses_nothing(archive, tmp_path):
    # The operating system itself refuses to write on, by a limit on the size of files.
    process = run_fetch(archive, tmp_path / "a.gz", limit=1_500_000)
    message = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert "can't be written (File too large)" in message and "Traceback" not in message
    assert not (tmp_path / "a.gz").exists()
    fetch([archive.url + "/a.gz"], tmp_path / "a.gz")
    assert archive.sent("/a.gz")[-1] == "bytes=1500000-"
    assert (tmp_path / "a.gz").read_bytes() == PACKED


def test_a_killed_run_loses_nothing(archive, tmp_path):
    archive.stall["/a.gz"] = 1_000_000
    process = run_fetch(archive, tmp_path / "a.gz")
    part, deadline = tmp_path / ".a.gz.part", time.time() + 30
    while not (part.exists() and part.stat().st_size == 1_000_000):
        assert time.time() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert not (tmp_path / "a.gz").exists()
    archive.stall.clear()
    fetch([archive.url + "/a.gz"], tmp_path / "a.gz")
    assert archive.sent("/a.gz")[-1] == "bytes=1000000-"
    assert (tmp_path / "a.gz").read_bytes() == PACKED


def test_addresses_follow_the_archives_layout():
    assert map_urls("EMD-93", ("S",)) == ["S/EMD-0093/map/emd_0093.map.gz"]
    assert map_urls("30342", ("S",)) == ["S/EMD-30342/map/emd_30342.map.gz"]
    assert model_urls("7CEC", ("S",)) == ["S/divided/mmCIF/ce/7cec.cif.gz", "S/obsolete/mmCIF/ce/7cec.cif.gz"]
    for call, wrong in ((map_urls, "EMD-x"), (model_urls, "CEC")):
        with pytest.raises(InputError, match=wrong):
            call(wrong)


def test_the_model_is_read_from_a_header_of_either_version(tmp_path):
    path = tmp_path / "emd-1.xml"
    path.write_text(
        "<emd><crossreferences><pdb_list><pdb_reference><pdb_id>7cec</pdb_id></pdb_reference>"
        "<pdb_reference><pdb_id>1abc</pdb_id></pdb_reference></pdb_list></crossreferences></emd>"
    )
    assert header_model(path) == "7cec"
    path.write_text("<e><fittedPDBEntryIdList><fittedPDBEntryId>3mfp</fittedPDBEntryId></fittedPDBEntryIdList></e>")
    assert header_model(path) == "3mfp"
    path.write_text("<emd><pdb_id> </pdb_id></emd>")
    with pytest.raises(InputError, match=r"emd-1\.xml: names no model"):
        header_model(path)


def test_resolution_is_read_from_a_header_of_either_version(tmp_path):
    path = tmp_path / "emd-1.xml"
    path.write_text('<emd><fr><resolution units="A" res_type="BY AUTHOR">3.9</resolution></fr></emd>')
    assert header_resolution(path) == 3.9
    path.write_text("<emdEntry><resolutionByAuthor>6.6</resolutionByAuthor></emdEntry>")
    assert header_resolution(path) == 6.6
    for content in ("<emd></emd>", "not xml"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"emd-1\.xml"):
            header_resolution(path)
