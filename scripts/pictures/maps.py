"""Maps before and after at equal enclosed volume: a helix and a strand at 4 A, an interface at 6 A, a whole map.

superem 0.11.0 was trained on all three: to show what users can expect, take the half that left them out, or other maps.
"""

from __future__ import annotations

from pathlib import Path

from chimerax.atomic import Residue
from chimerax.core.commands import run

from . import places
from .scenes import Entry, Pair, both, open_pair, save_sheet

TOOLS = Path(__file__).resolve().parents[2] / "src" / "docs" / "user" / "tools"
FILAMENT = Entry("EMD-5925", "emd_5925_zone.map.gz", "3J6J_A.pdb.gz", 3.64, 0.35, "origin")
INTEGRIN = Entry("EMD-30342", "emd_30342_chainA_zone.map.gz", "7CEC_A.cif.gz", 3.9, 0.35, "origin")
ACTIN = Entry("EMD-5168", "emd_5168.map.gz", "3MFP_helix.pdb.gz", 6.6, 0.5, "nstart")
PLACE, VIEW = (400, 210), (400, 400)


def save_all(session, folder: Path) -> Pair:
    """Pictures of three places, and of all of a map; returns the latter, which is open."""
    pair = open_pair(session, folder, FILAMENT)
    helix = places.longest(pair.model, Residue.SS_HELIX)
    rows = [(labels(pair, "helix"), atoms_in_map(session, pair, helix))]
    pair = open_pair(session, folder, INTEGRIN)
    strands = places.with_neighbors(pair.model, places.longest(pair.model, Residue.SS_STRAND))
    rows.append((labels(pair, "strands"), atoms_in_map(session, pair, strands)))
    pair = open_pair(session, folder, ACTIN)
    residues = places.touching(pair.model, places.interface(pair.model))
    rows.append((labels(pair, "interface"), ribbons_in_map(session, pair, residues)))
    save_sheet(rows, TOOLS / "enhance-evaluation.png")
    save_sheet([whole(session, pair)], TOOLS / "enhance-views.png")
    return pair


def labels(pair: Pair, what: str) -> tuple[str, str]:
    """What is written above input and result."""
    method = pair.result.name.rpartition(" ")[2]
    return f"{pair.entry.name}, {pair.entry.resolution:g} Å, {what}: deposited", f"enhanced ({method})"


def atoms_in_map(session, pair: Pair, residues: list[Residue]) -> list:
    """Both maps about residues, which are shown as sticks."""
    spec, model = places.spec(residues), pair.model.atomspec
    run(
        session,
        f"hide {model} atoms; hide {model} cartoons; hide pseudobonds; show {spec} atoms; style {spec} stick",
    )
    run(session, f"color {model} tan; color {model} byhetero; hide H")
    places.look_at(session, residues)
    return both(session, pair, PLACE, spec)


def ribbons_in_map(session, pair: Pair, residues: list[Residue]) -> list:
    """Both maps about residues, the chains as ribbons of their colors."""
    model = pair.model.atomspec
    run(session, f"hide {model} atoms; cartoon {model}; color bychain; hide pseudobonds")
    places.look_at(session, residues, pad=0.1)
    run(session, "clip near -12 far 12 position " + places.spec(residues))
    return both(session, pair, PLACE)


def whole(session, pair: Pair) -> tuple[tuple[str, str], list]:
    """Both maps, all of them, as a row with its labels."""
    model = pair.model.atomspec
    run(session, f"hide {model} atoms; cartoon {model}; color {model} bychain; hide pseudobonds; clip off")
    run(session, f"view orient; turn x 90; view {model}; zoom 1.6")  # the filament from its side
    return labels(pair, "an actin filament"), both(session, pair, VIEW)
