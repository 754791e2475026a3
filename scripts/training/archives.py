"""Where EMDB and the PDB keep an entry's files, and what an EMDB header says."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

from cryomap.errors import InputError

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


def emdb_number(emdb_id: str) -> str:
    """The digits of an EMDB id, at least four: EMD-93, emd_0093 and 93 are all "0093".

    Raises:
        InputError: not an EMDB id.
    """
    match = re.fullmatch(r"(?:EMD[-_]?)?(\d{1,6})", emdb_id.strip(), re.IGNORECASE)
    if not match:
        raise InputError(f"{emdb_id!r} is not an EMDB id such as EMD-30342")
    return match[1].lstrip("0").zfill(4)


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
    if not re.fullmatch(r"[0-9][a-z0-9]{3}", code):
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
    path = Path(path)
    try:
        elements = ElementTree.parse(path).getroot().iter()
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f"{path}: not an EMDB header ({error})") from None
    for element in elements:
        # `resolution` in version 3 of the data model, `resolutionByAuthor` before.
        if element.tag.rpartition("}")[2] in ("resolution", "resolutionByAuthor") and element.text:
            try:
                return float(element.text)
            except ValueError:
                continue
    raise InputError(f"{path}: names no resolution; give it in the list of entries")
