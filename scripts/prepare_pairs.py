"""Experimental pairs to train on: maps of EMDB with the models of the PDB, or a folder of one's own.

Entries are downloaded (or taken from a folder), filtered as the method's paper does, brought to a 1 A grid, and
cut into cubes, split by entry. It may be stopped and started again at any time: what is done is kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from cryomap.errors import InputError, WriteError
from cryomap.replacing import replacing
from pairs import archives, examine
from pairs.checksums import read_checksums
from pairs.download import receipt
from pairs.entries import LISTS, SPLITS, Entry, read_list, scan_folder
from pairs.files import write_index
from pairs.identity import mmseqs, redundant, relatives
from pairs.recipes import PAIR_RECIPES, PairRecipe, with_changes

AT_ONCE = 4  # downloads


def wanted_entries(options: argparse.Namespace) -> list[Entry]:
    """The entries that the command line asks for.

    Raises:
        InputError: a list or folder can't be read, or nothing is left.
    """
    if options.folder and not options.list:
        entries = scan_folder(options.folder)
    else:
        entries = read_list(options.list or LISTS / f"{options.method}.tsv", options.folder)
    only = {name.strip().upper() for name in options.only.split(",") if name.strip()}
    splits = [s.strip() for s in options.splits.split(",") if s.strip()]
    if set(splits) - set(SPLITS):
        raise InputError(f"--splits {options.splits}: must be of {', '.join(SPLITS)}")
    chosen = [e for e in entries if e.split in splits]
    chosen = [e for e in chosen if not only or {e.name.upper(), e.emdb_id.upper(), e.pdb_id.upper()} & only]
    if not chosen:
        raise InputError("no entry of the list is asked for (--only, --splits)")
    return chosen


def sources(options: argparse.Namespace) -> archives.Sources:
    """Where files come from and go to."""
    return archives.Sources(
        folder=options.downloads or options.out / "downloads",
        emdb=tuple(options.emdb_server) or archives.EMDB_SERVERS,
        pdb=tuple(options.pdb_server) or archives.PDB_SERVERS,
        checksums=read_checksums(options.checksums) if options.checksums else {},
        attempts=options.attempts,
    )


def prepare(
    entries: list[Entry],
    recipe: PairRecipe,
    origin: archives.Sources,
    out: Path,
    jobs: int,
    keep_archives: bool = True,
) -> list[dict]:
    """Do all of it; the lines of the index.

    Args:
        entries: what is wanted.
        recipe: the method's.
        origin: where files come from and go to.
        out: folder of the pairs.
        jobs: entries at a time.
        keep_archives: whether downloaded maps stay when their cubes are made.

    Raises:
        InputError: MMseqs2 is needed and absent; the output can't be written, or the disk hasn't the room.
    """
    if recipe.max_identity < 100 and len(entries) > 1:
        mmseqs()
    done = {e.name: record for e in entries if (record := examine.remembered(e, recipe, out))}
    _require_room([e for e in entries if e.name not in done], origin)
    with _workers(jobs) as pool:
        records = done | _examine_all([e for e in entries if e.name not in done], recipe, origin, out, pool)
        _drop_relatives(entries, records, recipe, jobs)
        _cut_all([e for e in entries if e.name not in done], records, recipe, out, pool)
    for entry in entries:
        record = records[entry.name]
        if entry.map_file or keep_archives or entry.name in done or not record.get("cubes"):
            continue
        examine.remember(entry, record, recipe, out)
        for path in (Path(record["map_file"]), receipt(Path(record["map_file"]))):
            path.unlink(missing_ok=True)
    rows = [_row(entry, records[entry.name]) for entry in entries]
    write_index(out, rows)
    return rows


def _require_room(entries: list[Entry], origin: archives.Sources) -> None:
    """Say how much is to be downloaded, and see that it fits.

    Raises:
        InputError: it doesn't.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        size = sum(pool.map(lambda entry: archives.size_to_come(entry, origin), entries))
    if not size:
        return
    folder = next(p for p in (origin.folder, *origin.folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(folder).free
    print(
        f"{size / 1e9:.2f} GB to download to {origin.folder}, where {free / 1e9:.1f} GB are free", flush=True
    )
    if size > free:
        raise InputError(
            f"{origin.folder}: {size / 1e9:.2f} GB won't fit into the {free / 1e9:.2f} GB that are free; make room, or "
            "give --downloads a folder elsewhere"
        )


def _examine_all(
    entries: list[Entry], recipe: PairRecipe, origin: archives.Sources, out: Path, pool: Executor
) -> dict[str, dict]:
    from tqdm import tqdm

    records: dict[str, dict | Future] = {}
    with ThreadPoolExecutor(AT_ONCE) as downloads:
        coming = {entry.name: downloads.submit(archives.located, entry, origin) for entry in entries}
        for name, located in tqdm(coming.items(), desc="entries", unit="entry", disable=None):
            try:
                records[name] = pool.submit(examine.examine, located.result(), recipe, out / "records")
            except WriteError:
                downloads.shutdown(wait=False, cancel_futures=True)
                raise
            except InputError as error:
                records[name] = {"reason": str(error), "failed": True}
    return {name: r.result() if isinstance(r, Future) else r for name, r in records.items()}


def _drop_relatives(entries: list[Entry], records: dict[str, dict], recipe: PairRecipe, jobs: int) -> None:
    """Say of which entries a better one is related: the higher correlation with its model is the better one."""
    good = [e.name for e in entries if not records[e.name]["reason"]]
    if recipe.max_identity >= 100 or len(good) < 2:
        return
    found = relatives({name: records[name]["sequences"] for name in good}, threads=jobs)
    order = sorted(good, key=lambda name: -records[name]["correlation"])
    for name, relative in redundant(order, found, recipe.max_identity).items():
        other = relative.first if relative.second == name else relative.second
        records[name]["reason"] = f"{relative.identity:.0f} % sequence identity with {other}"


def _cut_all(
    entries: list[Entry], records: dict[str, dict], recipe: PairRecipe, out: Path, pool: Executor
) -> None:
    from tqdm import tqdm

    tasks = {
        e.name: pool.submit(examine.cut_cubes, e.name, records[e.name], recipe, out)
        for e in entries
        if not records[e.name]["reason"]
    }
    for name, task in tqdm(tasks.items(), desc="cubes", unit="entry", disable=None):
        try:
            records[name]["cubes"] = task.result()
            if not records[name]["cubes"]:
                records[name]["reason"] = "no valid cube"
        except WriteError:
            raise
        except InputError as error:
            records[name] |= {"reason": str(error), "failed": True}


def write_settings(folder: Path, recipe: PairRecipe) -> None:
    """Write settings.json; an index made by other settings is removed, since its cubes don't fit any more."""
    text, path = json.dumps(asdict(recipe), indent=2), folder / "settings.json"
    if path.is_file() and path.read_text() == text:
        return
    (folder / "index.tsv").unlink(missing_ok=True)
    with replacing(path, make_folders=True) as temporary:
        Path(temporary).write_text(text)


def _row(entry: Entry, record: dict) -> dict:
    row = {"entry": entry.name, "emdb_id": entry.emdb_id, "pdb_id": entry.pdb_id, "cubes": 0} | record
    row["resolution_A"] = f"{record.get('resolution', entry.resolution):g}"
    row["correlation"] = f"{record['correlation']:.4f}" if "correlation" in record else ""
    row["target_sigma_A"] = f"{record['target_sigma']:.4g}" if "target_sigma" in record else ""
    row["split"] = "" if record["reason"] else entry.split
    return row


class _Here(Executor):
    """Runs tasks in this process, when they are asked for."""

    def submit(self, function, /, *arguments) -> Future:
        """A future that is done."""
        future: Future = Future()
        try:
            future.set_result(function(*arguments))
        except InputError as error:
            future.set_exception(error)
        return future


def _workers(jobs: int) -> Executor:
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) if jobs > 1 else _Here()


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=sorted(PAIR_RECIPES))
    parser.add_argument("--out", type=Path, required=True, help="folder for the pairs")
    parser.add_argument(
        "--list",
        type=Path,
        help="TSV of emdb_id, pdb_id, resolution_A, split, map_file, model_file (any of them; default: the paper's)",
    )
    parser.add_argument(
        "--folder", type=Path, help="where map_file and model_file are; alone: NAME.map with NAME.pdb"
    )
    parser.add_argument("--only", default="", help="some entries, by any of their ids, separated by commas")
    parser.add_argument("--splits", default=",".join(SPLITS), help="default: %(default)s")
    parser.add_argument("--downloads", type=Path, help="folder for downloaded files (default: OUT/downloads)")
    parser.add_argument(
        "--checksums", type=Path, help="what md5sum or sha256sum wrote for the files to download"
    )
    parser.add_argument("--emdb-server", action="append", default=[], help="base URL; may be given again")
    parser.add_argument("--pdb-server", action="append", default=[], help="base URL; may be given again")
    parser.add_argument(
        "--keep-archives",
        action="store_true",
        help="keep downloaded maps when their cubes are made; recipes of whole real maps need them",
    )
    parser.add_argument("--attempts", type=int, default=6, help="per server and file (default: %(default)s)")
    parser.add_argument("--min-correlation", type=float, help="of map and model (default: 0.65)")
    parser.add_argument(
        "--max-unmodelled",
        type=float,
        help="share of the density that may lie far from the model (default: 0.5 for cryosamu, 1 for superem)",
    )
    parser.add_argument(
        "--max-identity",
        type=float,
        help="percent, by MMseqs2; 100: no limit (default: 25 for superem, 30 for cryosamu; none for the papers' "
        "lists, which are through with both)",
    )
    parser.add_argument("--jobs", type=int, default=1, help="entries at a time (default: %(default)s)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if every entry was used or refused, 1 if some failed, 2 bad input."""
    options = parse(arguments)
    limit, unmodelled = options.max_identity, options.max_unmodelled
    if not (options.list or options.folder):
        limit = 100.0 if limit is None else limit
        unmodelled = 1.0 if unmodelled is None else unmodelled
    recipe = with_changes(
        PAIR_RECIPES[options.method],
        min_correlation=options.min_correlation,
        max_unmodelled=unmodelled,
        max_identity=limit,
    )
    try:
        entries = wanted_entries(options)
        write_settings(options.out, recipe)
        rows = prepare(
            entries, recipe, sources(options), options.out, max(1, options.jobs), options.keep_archives
        )
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    for row in rows:
        if row["reason"]:
            print(f"left out: {row['entry']}: {row['reason']}", file=sys.stderr)
    used = [row for row in rows if row["split"]]
    print(f"{len(used)} of {len(rows)} entries, {sum(row['cubes'] for row in used)} cubes, in {options.out}")
    return 1 if any(row.get("failed") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
