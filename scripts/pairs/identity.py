"""Entries with related proteins, found by MMseqs2 (Steinegger and Soeding 2017)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryomap.atoms import AtomicModel, read_model
from cryomap.errors import InputError

# An alignment of less than half of the shorter chain says little about the two proteins.
COVERAGE = 0.5
SHORTEST = 20
FORMAT = "query,target,fident,qcov,tcov"


@dataclass(frozen=True)
class Relative:
    """The most similar two chains of two entries: `identity` in percent over the alignment."""

    first: str
    second: str
    identity: float


def sequences(model: AtomicModel) -> dict[str, str]:
    """One-letter sequence of the modelled protein residues, by chain; X where a residue has no letter."""
    import gemmi

    found: dict[str, list[str]] = {}
    for residue in model.residues:
        if residue.kind == "protein":
            letter = gemmi.find_tabulated_residue(residue.name).one_letter_code.upper()
            found.setdefault(residue.chain_id, []).append(letter if letter.strip() else "X")
    return {chain: "".join(letters) for chain, letters in found.items() if len(letters) >= SHORTEST}


def sequences_of_file(path: str | os.PathLike) -> dict[str, str]:
    """`sequences` of a file; none of one that isn't a model."""
    try:
        return sequences(read_model(path))
    except InputError:
        return {}


def mmseqs() -> str:
    """Where MMseqs2 is; to be asked before long work that ends with it.

    Raises:
        InputError: `mmseqs` is not on the PATH.
    """
    program = shutil.which("mmseqs")
    if program is None:
        raise InputError(
            "sequence identity needs MMseqs2, and no `mmseqs` is on the PATH: install it (conda, Homebrew and "
            "Debian have it), or pass --max-identity 100 to prepare_pairs.py to keep related proteins"
        )
    return program


def relatives(entries: dict[str, dict[str, str]], threads: int = 1) -> list[Relative]:
    """The pairs of entries any of whose chains MMseqs2 aligns (E-value up to 1e-3, its highest sensitivity).

    Args:
        entries: sequences by chain, by entry.
        threads: for MMseqs2.

    Raises:
        InputError: `mmseqs` is not on the PATH, or it fails.
    """
    program = mmseqs()
    # Equal chains of an entry count once; names are numbers, since MMseqs2 cuts them at spaces and bars.
    chains = [(entry, text) for entry, found in entries.items() for text in sorted(set(found.values()))]
    if not chains:
        return []
    with tempfile.TemporaryDirectory() as folder:
        fasta, table = Path(folder) / "chains.fasta", Path(folder) / "hits.tsv"
        fasta.write_text("".join(f">{i}\n{text}\n" for i, (_, text) in enumerate(chains)))
        command = [program, "easy-search", fasta, fasta, table, Path(folder) / "tmp"]
        options = ["-s", "7.5", "-e", "0.001", "--max-seqs", str(len(chains)), "--format-output", FORMAT]
        command += [*options, "--threads", str(threads), "-v", "1"]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise InputError(f"mmseqs failed: {(result.stderr or result.stdout).strip()[-500:]}")
        return parse_hits(table.read_text(), [entry for entry, _ in chains])


def parse_hits(table: str, owners: list[str]) -> list[Relative]:
    """The best alignment of every two entries from MMseqs2's table in `FORMAT`.

    Args:
        table: lines of query, target (numbers), fraction of identical residues, coverage of either.
        owners: entry of each numbered chain.
    """
    best: dict[tuple[str, str], float] = {}
    for line in table.splitlines():
        query, target, identity, *coverage = line.split("\t")
        pair = tuple(sorted((owners[int(query)], owners[int(target)])))
        if pair[0] != pair[1] and max(map(float, coverage)) >= COVERAGE:
            best[pair] = max(best.get(pair, 0.0), 100 * float(identity))
    return [Relative(first, second, identity) for (first, second), identity in sorted(best.items())]


def redundant(order: list[str], found: list[Relative], max_identity: float) -> dict[str, Relative]:
    """Which entries to leave out so that no two left are over `max_identity` percent identical.

    Args:
        order: entries, the one to keep first.
        found: of `relatives`.
        max_identity: in percent.

    Returns:
        By entry left out, what it is too similar to.
    """
    close: dict[str, list[Relative]] = {}
    for relative in found:
        if relative.identity > max_identity:
            close.setdefault(relative.first, []).append(relative)
            close.setdefault(relative.second, []).append(relative)
    kept: set[str] = set()
    dropped: dict[str, Relative] = {}
    for entry in order:
        clash = next((r for r in close.get(entry, []) if kept & {r.first, r.second}), None)
        if clash:
            dropped[entry] = clash
        else:
            kept.add(entry)
    return dropped
