"""Where EMDB and the PDB keep an entry's files, and what an EMDB header says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from xml.etree import ElementTree

from cryomap.errors import InputError
from cryomap.model_files import read_structure

from .checksums import Checksum
from .download import announced_size, fetch
from .entries import Entry, emdb_number

EMDB_SERVERS = (
    "https://ftp.ebi.ac.uk/pub/databases/emdb/structures",
    "https://files.wwpdb.org/pub/emdb/structures",
    "https://ftp.pdbj.org/pub/emdb/structures",
)
PDB_SERVERS = (
    "https://files.wwpdb.org/pub/pdb/data/structures",
    "https://ftp.ebi.ac.uk/pub/databases/pdb/data/structures",
    "https://ftp.pdbj.org/pub/pdb/data/structures",
)
_LOCKS: dict[Path, Lock] = {}


@dataclass(frozen=True)
class Sources:
    """Where an entry's files come from, and go to.

    Attributes:
        folder: for what is downloaded.
        emdb: base URLs, in order of preference.
        pdb: base URLs, in order of preference.
        checksums: known beforehand, by file name.
        attempts: per server and file.
    """

    folder: Path
    emdb: tuple[str, ...] = EMDB_SERVERS
    pdb: tuple[str, ...] = PDB_SERVERS
    checksums: dict[str, Checksum] = field(default_factory=dict)
    attempts: int = 6


@dataclass(frozen=True)
class Located:
    """An entry whose files are here and whose resolution (A) is known."""

    name: str
    map_file: str
    model_file: str
    resolution: float


def located(entry: Entry, sources: Sources) -> Located:
    """Bring an entry's files here, as far as they aren't.

    Raises:
        InputError: neither file nor id of the map or of the model, a file that is not there or can't be
            downloaded, or no resolution to be found.
    """

    def bring(urls: list[str]) -> str:
        path = _place(urls, sources)
        with _LOCKS.setdefault(path, Lock()):  # entries may share a file
            return str(fetch(urls, path, sources.checksums.get(path.name), sources.attempts))

    for path in (entry.map_file, entry.model_file):
        if path and not Path(path).is_file():
            raise InputError(f"{path}: no such file")
    if not (entry.map_file or entry.emdb_id):
        raise InputError("neither a map file nor an EMDB id")
    if entry.model_file:
        model_file = str(Path(entry.model_file).resolve())
    else:
        pdb_id = entry.pdb_id or _look_up_model(entry, bring, sources)
        model_file = bring(model_urls(pdb_id, sources.pdb))
    map_file = (
        str(Path(entry.map_file).resolve())
        if entry.map_file
        else bring(map_urls(entry.emdb_id, sources.emdb))
    )
    resolution = entry.resolution or _look_up_resolution(entry, model_file, bring, sources)
    return Located(entry.name, str(Path(map_file).resolve()), str(Path(model_file).resolve()), resolution)


def size_to_come(entry: Entry, sources: Sources) -> int:
    """Bytes of the entry's map and model that are still to be downloaded, as far as a server says so."""
    wanted = []
    try:
        if entry.emdb_id and not entry.map_file:
            wanted.append(map_urls(entry.emdb_id, sources.emdb))
        if entry.pdb_id and not entry.model_file:
            wanted.append(model_urls(entry.pdb_id, sources.pdb))
    except InputError:  # `located` will say so
        return 0
    return sum(announced_size(urls) for urls in wanted if not _place(urls, sources).is_file())


def _place(urls: list[str], sources: Sources) -> Path:
    return sources.folder / urls[0].rpartition("/")[2]


def _look_up_model(entry: Entry, bring, sources: Sources) -> str:
    if not entry.emdb_id:
        raise InputError("neither a model file nor a PDB id")
    return header_model(bring(header_urls(entry.emdb_id, sources.emdb)))


def _look_up_resolution(entry: Entry, model_file: str, bring, sources: Sources) -> float:
    if entry.emdb_id and not entry.map_file:
        return header_resolution(bring(header_urls(entry.emdb_id, sources.emdb)))
    resolution = read_structure(model_file)[0].resolution
    if not resolution > 0:
        raise InputError(f"{model_file}: names no resolution; give resolution_A in a list of entries")
    return resolution


def map_urls(emdb_id: str, servers: tuple[str, ...] = EMDB_SERVERS) -> list[str]:
    """The addresses of an entry's primary map, emd_NNNN.map.gz."""
    number = emdb_number(emdb_id)
    return [f"{server}/EMD-{number}/map/emd_{number}.map.gz" for server in servers]


def header_urls(emdb_id: str, servers: tuple[str, ...] = EMDB_SERVERS) -> list[str]:
    """The addresses of an entry's header, emd-NNNN.xml."""
    number = emdb_number(emdb_id)
    return [f"{server}/EMD-{number}/header/emd-{number}.xml" for server in servers]


def model_urls(pdb_id: str, servers: tuple[str, ...] = PDB_SERVERS) -> list[str]:
    """The addresses of an entry's mmCIF file; of an obsolete entry, the archive keeps it in another place.

    Raises:
        InputError: not a PDB id.
    """
    code = pdb_id.strip().lower().removeprefix("pdb_0000")
    if not (pdb_id.isascii() and re.fullmatch(r"[0-9][a-z0-9]{3}", code)):
        raise InputError(f"{pdb_id!r} is not a PDB id such as 7CEC")
    return [
        f"{server}/{state}/mmCIF/{code[1:3]}/{code}.cif.gz"
        for state in ("divided", "obsolete")
        for server in servers
    ]


def header_resolution(path: str | os.PathLike) -> float:
    """The resolution in A that the authors of an EMDB entry report, from its header file.

    Raises:
        InputError: the file is no EMDB header, or names no resolution.
    """
    # `resolution` in version 3 of the data model, `resolutionByAuthor` before.
    for text in _texts(path, ("resolution", "resolutionByAuthor")):
        try:
            return float(text)
        except ValueError:
            continue
    raise InputError(f"{path}: names no resolution; give it in the list of entries")


def header_model(path: str | os.PathLike) -> str:
    """The PDB id of the model that was fitted into an EMDB entry, the first if there are several, from its header.

    Raises:
        InputError: the file is no EMDB header, or names no model.
    """
    # `pdb_id` in version 3 of the data model, `fittedPDBEntryId` before.
    for text in _texts(path, ("pdb_id", "fittedPDBEntryId")):
        return text.strip()
    raise InputError(f"{path}: names no model that was fitted; give a PDB id in the list of entries")


def _texts(path: str | os.PathLike, tags: tuple[str, ...]) -> Iterator[str]:
    """The texts of an EMDB header's elements of these names.

    Raises:
        InputError: the file is no EMDB header.
    """
    try:
        elements = ElementTree.parse(path).getroot().iter()
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f"{path}: not an EMDB header ({error})") from None
    for element in elements:
        if element.tag.rpartition("}")[2] in tags and element.text and element.text.strip():
            yield element.text
