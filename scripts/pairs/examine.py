"""One entry of a list: is it fit to train on, and if so, its maps and cubes. Each step's outcome is kept on disk."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cryomap.atoms import AtomicModel, read_model
from cryomap.density import DensityMap, read_map, resample
from cryomap.enhancement.normalize import normalize
from cryomap.errors import InputError
from cryomap.replacing import replacing

from .archives import Located
from .entries import Entry
from .files import save_pair, valid_starts
from .identity import sequences
from .recipes import PairRecipe, map_model_correlation, objection, target, unmodelled_share

STEP = 1.0
ANGSTROMS_OF_SOLVENT = 5  # beyond the outermost atoms the targets are 0


def examine(entry: Located, recipe: PairRecipe, folder: Path) -> dict:
    """What an entry is and whether the recipe takes it.

    Args:
        entry: its files.
        recipe: the method's.
        folder: where the outcome is kept, NAME.json, and found again.

    Returns:
        map_file, model_file, resolution, target_sigma, and, as far as the recipe came: sequences, correlation; `reason`
        why it is refused, or "".
    """
    key = {"entry": asdict(entry), "files": [_stamp(entry.map_file), _stamp(entry.model_file)]}
    key |= {"recipe": asdict(recipe)}
    path = folder / f"{entry.name}.json"
    try:
        kept = json.loads(path.read_text())
        if kept["key"] == json.loads(json.dumps(key)):
            return kept["record"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        record = _judge(entry, recipe)
    except InputError as error:
        record = {"reason": str(error)}
    record = {
        "map_file": entry.map_file,
        "model_file": entry.model_file,
        "resolution": entry.resolution,
    } | record
    with replacing(path, make_folders=True) as temporary:
        Path(temporary).write_text(json.dumps({"key": key, "record": record}))
    return record


def _stamp(path: str) -> list[int]:
    status = Path(path).stat()
    return [status.st_size, status.st_mtime_ns]


def _judge(entry: Located, recipe: PairRecipe) -> dict:
    model = read_model(entry.model_file)
    reason = objection(recipe, model, entry.resolution)
    if reason:
        return {"reason": reason}
    record = {
        "target_sigma": recipe.data.sigma_at(entry.resolution),
        "sequences": sequences(model),
        "reason": "",
    }
    density = read_map(entry.map_file)
    record["correlation"] = map_model_correlation(density, model, entry.resolution)
    if record["correlation"] < recipe.min_correlation:
        record["reason"] = (
            f"correlation with its model {record['correlation']:.2f} < {recipe.min_correlation:g}"
        )
    elif recipe.max_unmodelled < 1:
        record["unmodelled"] = unmodelled_share(density, model, entry.resolution)
        if record["unmodelled"] > recipe.max_unmodelled:
            record["reason"] = (
                f"{100 * record['unmodelled']:.0f} % of the density lies far from the model, over "
                f"{100 * recipe.max_unmodelled:g} %"
            )
    return record


def cut_cubes(name: str, record: dict, recipe: PairRecipe, folder: Path) -> int:
    """Make an entry's maps and cubes in `folder`, unless they are there; how many cubes it has.

    Args:
        name: of the entry.
        record: of `examine`.
        recipe: the method's.
        folder: of the pairs.

    Raises:
        InputError: the map has no density to normalise.
        WriteError: the folder can't be written, or the disk is full.
    """
    files = [record["map_file"], record["model_file"]]
    key = json.dumps([files, list(map(_stamp, files)), asdict(recipe)])
    done, starts_file = folder / "records" / f"{name}.cut", folder / f"{name}.starts.npy"
    if done.is_file() and done.read_text() == key and starts_file.is_file():
        return len(np.load(starts_file, mmap_mode="r"))
    pair = make_pair(
        read_map(record["map_file"]), read_model(record["model_file"]), recipe, record["resolution"]
    )
    starts = valid_starts(pair, recipe.size, recipe.stride, recipe.margin)
    save_pair(folder, name, pair, starts)
    with replacing(done, make_folders=True) as temporary:
        Path(temporary).write_text(key)
    return len(starts)


def remember(entry: Entry, record: dict, recipe: PairRecipe, folder: Path) -> None:
    """Keep that an entry is done, for when its map is no longer there.

    Raises:
        WriteError: it can't be written.
    """
    with replacing(folder / "records" / f"{entry.name}.done", make_folders=True) as temporary:
        Path(temporary).write_text(json.dumps({"key": _done_key(entry, recipe), "record": record}))


def remembered(entry: Entry, recipe: PairRecipe, folder: Path) -> dict | None:
    """The record of an entry that is done, its cubes there; else None."""
    try:
        kept = json.loads((folder / "records" / f"{entry.name}.done").read_text())
        there = (folder / f"{entry.name}.starts.npy").is_file() and kept["key"] == _done_key(entry, recipe)
        return kept["record"] if there else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _done_key(entry: Entry, recipe: PairRecipe) -> dict:
    return json.loads(json.dumps([asdict(entry), asdict(recipe)]))


def make_pair(density: DensityMap, model: AtomicModel, recipe: PairRecipe, resolution: float) -> np.ndarray:
    """The normalised map and its normalised target at 1 A about the model, float32 (2, z, y, x).

    The map is brought to 1 A by trilinear interpolation and normalised as a whole; then it is cut so that every
    cube of the scan of the whole map that may be valid can be had from it.

    Raises:
        InputError: no density to normalise.
    """
    whole = resample(density, density.grid.cubic(STEP), order=1)
    start, shape = _surroundings(whole, model, recipe)
    grid = whole.grid.cropped(start, shape)
    try:
        values = normalize(whole.values, recipe.data.normalization)
        wanted = target(recipe, model, grid, resolution)
    except ValueError as error:
        raise InputError(f"{density.name}: {error}") from None
    part = tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))
    return np.stack([values[part], wanted])


def _surroundings(
    whole: DensityMap, model: AtomicModel, recipe: PairRecipe
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Start and shape (z, y, x) of the part of a map that cubes about the model come from."""
    indices = whole.grid.to_indices(model.positions)[:, ::-1]
    size = np.array(whole.grid.shape)
    reach = recipe.size + ANGSTROMS_OF_SOLVENT
    low = np.clip(np.floor(indices.min(axis=0)).astype(int) - reach, 0, None) // recipe.stride * recipe.stride
    high = np.minimum(np.ceil(indices.max(axis=0)).astype(int) + reach + 1, size)
    low = np.minimum(low, np.maximum(0, size - 1))
    return tuple(map(int, low)), tuple(map(int, np.maximum(high - low, 1)))
