"""Where the cubes of a run come from: simulated experiments, real maps, or both, mixed by the recipe's shares."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import Generator
from torch.utils.data import DataLoader, Dataset

from cryomap.errors import InputError
from cryomap.networks.training_ids import training_ids
from pairs.datasets import PairCubes
from pairs.embeddings import Embeddings
from pairs.entries import Entry, read_list
from pairs.files import INDEX
from simulation.packs import unpack
from simulation.structures import is_related, split

from .folds import chains_of, held_out, write_folds
from .interrupt import leave_stopping_to_the_trainer
from .prepared_cubes import PreparedCubes
from .real_cubes import RealCubes
from .real_maps import as_experiment
from .real_pairs import real_pair, real_pairs
from .recipe import Optimisation, Recipe
from .stream import Batches, Mixed, SimulatedCubes, join
from .validation import Validated, fixed_experiments, of_experiments, of_pairs

VALIDATION_MAPS = 10
VALIDATION_CUBES = 40


@dataclass(frozen=True)
class Inputs:
    """What a run is given.

    Attributes:
        structures: .npz of pack_structures.py.
        pairs: folder of prepare_pairs.py, or a table of maps and models.
        embeddings: folder of embed_structures.py.
        real_maps: table of real maps to validate on, never to train on.
        folds, fold: of the table's specimens, so many parts, and which one is held out.
        start_from: weights that the run begins with.
    """

    structures: Path | None = None
    pairs: Path | None = None
    embeddings: Path | None = None
    real_maps: Path | None = None
    folds: int = 0
    fold: int = 0
    start_from: Path | None = None


@dataclass(frozen=True)
class Feed:
    """What a run trains and validates on.

    Attributes:
        stream: of items, see `stream`; None of what is only validated on.
        validation: maps to validate on, in named groups.
        facts: for the card.
        trained_on: ids of the maps and structures, as far as they have some; also of the weights begun with.
        epoch: cubes of one; 0: they are drawn without end.
    """

    stream: Dataset | None
    validation: dict[str, list[Validated]]
    facts: dict[str, Any] = field(default_factory=dict)
    trained_on: frozenset[str] = frozenset()
    epoch: int = 0


def make_feed(recipe: Recipe, given: Inputs, out: Path, seed: int, device: str = "cpu") -> Feed:
    """Read what the recipe and the command line ask for.

    Args:
        recipe: of the run.
        given: files.
        out: where the folds are told, in folds.json.
        seed: fixes the cubes.
        device: where to simulate.

    Raises:
        InputError: something is missing, or can't be used.
    """
    shares = shares_of(recipe, given)
    whole_maps = "real" in shares and recipe.real is not None
    if given.folds and not whole_maps:
        raise InputError("--folds: only recipes of whole real maps hold some out; take one with [real]")
    measured = [e for e in read_list(given.real_maps) if e.model_file] if given.real_maps else []
    entries, apart = _entries(given, out) if whole_maps else ([], [])
    ids = training_ids(given.start_from) if given.start_from else frozenset()
    if known := sorted({e.emdb_id for e in apart} & ids):
        raise InputError(
            f"{given.start_from}: trained on {', '.join(known)}, which this run holds out; start from weights that "
            "have not seen it"
        )
    unseen = frozenset(name for e in (*measured, *apart) for name in (e.name, e.emdb_id) if name)
    feeds: dict[str, Feed] = {}
    if whole_maps:
        entries = [e for e in entries if not {e.name, e.emdb_id} & unseen]
        feeds["real"] = _of_real_maps(recipe, given, entries, apart, seed)
    elif "real" in shares:
        feeds["real"] = _of_prepared_cubes(recipe, given, unseen, seed)
    if given.structures:
        feeds["simulated"] = _of_structures(recipe, given, unseen, seed, device, "simulated" in shares)
    streams = {name: feed.stream for name, feed in feeds.items() if feed.stream is not None}
    validation, facts = {}, {"data": dict(shares)}
    for feed in feeds.values():
        validation |= feed.validation
        facts |= feed.facts
        ids |= feed.trained_on
    validation["real"] = of_experiments([as_experiment(e, recipe.data) for e in measured])
    return Feed(
        next(iter(streams.values())) if len(streams) == 1 else Mixed(streams, shares, seed),
        {name: maps for name, maps in validation.items() if maps},
        facts,
        ids - {""},
        sum(feed.epoch for feed in feeds.values()) if len(streams) == 1 else 0,
    )


def _of_real_maps(
    recipe: Recipe, given: Inputs, entries: Sequence[Entry], apart: Sequence[Entry], seed: int
) -> Feed:
    """Whole maps that are changed at random; those `apart` are validated on."""
    used = [e for e in entries if _is_within(e, recipe)]
    if not used:
        raise InputError(f"{given.pairs}: no map of a resolution that the recipe takes")
    embeddings = _embeddings(given, [e.name for e in used])
    pairs, per_item = real_pairs(used, recipe.data), recipe.optimise.cubes_per_box
    held_out = [real_pair(e, recipe.data) for e in apart if _is_within(e, recipe)]
    return Feed(
        RealCubes(pairs, recipe.data, recipe.real, recipe.cube, per_item, seed, embeddings),
        {"held out": [Validated(p.observed, p.target, p.known) for p in held_out]},
        {"maps": {p.name: round(p.weight, 1) for p in pairs}},
        frozenset(e.emdb_id for e in used),
    )


def _of_prepared_cubes(recipe: Recipe, given: Inputs, unseen: Collection[str], seed: int) -> Feed:
    """Cubes of prepare_pairs.py but for those of entries `unseen`; its own split is validated on."""
    if given.pairs.is_file():
        raise InputError(
            f"{given.pairs}: the recipe takes prepared cubes; make them with scripts/prepare_pairs.py "
            f"{recipe.method} --list {given.pairs}, and give that folder"
        )
    cubes, per_item = PairCubes(given.pairs, "train", unseen), recipe.optimise.cubes_per_box
    embeddings, learned = _embeddings(given, cubes.entries), set(cubes.entries)
    own = PairCubes.of_split(given.pairs, "validation")
    return Feed(
        PreparedCubes(cubes, per_item, seed, recipe.augment_pairs, embeddings),
        {"pairs": [] if own is None else of_pairs(own, VALIDATION_CUBES)},
        {"cubes": len(cubes)},
        frozenset(e.emdb_id for e in read_list(given.pairs / INDEX) if e.name in learned),
        len(cubes),
    )


def _of_structures(
    recipe: Recipe, given: Inputs, unseen: Collection[str], seed: int, device: str, trained_on: bool
) -> Feed:
    """Simulated experiments on structures that aren't related to maps `unseen`; some are validated on."""
    training, kept_back = split(unpack(given.structures))
    training = [s for s in training if not is_related(s, unseen)]
    stream, facts, per_box = None, {}, recipe.optimise.cubes_per_box
    if trained_on:
        if given.embeddings:  # nucleic acids have none
            training = [s for s in training if (given.embeddings / f"{s.pdb_id}.npy").is_file()]
        if not training:
            raise InputError(f"{given.structures}: nothing in it to train on")
        embeddings = _embeddings(given, [s.pdb_id for s in training])
        stream = SimulatedCubes(
            training, recipe.data, recipe.cube, per_box, seed, device=device, embeddings=embeddings
        )
        facts["structures"] = len(training)
    made = fixed_experiments(kept_back or training, recipe.data, VALIDATION_MAPS)
    ids = frozenset(s.pdb_id for s in training) if trained_on else frozenset()
    return Feed(stream, {"simulated": of_experiments(made)}, facts, ids)


def shares_of(recipe: Recipe, given: Inputs) -> dict[str, float]:
    """Of each feed, as far as it isn't 0; their sum is 1."""
    shares = recipe.shares or ({"real": 1.0} if given.pairs or recipe.real else {"simulated": 1.0})
    shares = {name: share / sum(shares.values()) for name, share in shares.items() if share}
    for name, option, value in (
        ("simulated", "structures", given.structures),
        ("real", "pairs", given.pairs),
    ):
        if name in shares and not value:
            raise InputError(f"the recipe trains on {name} cubes: give --{option}")
    return shares


def _entries(given: Inputs, out: Path) -> tuple[list[Entry], list[Entry]]:
    """Entries to train on, and those held out: of a fold, or of the split "validation" where there are splits."""
    table = given.pairs / INDEX if given.pairs.is_dir() else given.pairs
    entries = [e for e in read_list(table) if e.model_file and e.map_file]
    if given.folds:
        fold_of = held_out(entries, chains_of(entries), given.folds)
        if given.fold not in fold_of:
            raise InputError(f"--fold {given.fold}: give 0 to {given.folds - 1}")
        write_folds(out, fold_of)
        apart = set(fold_of[given.fold])
        return [e for e in entries if e.name not in apart], [e for e in entries if e.name in apart]
    if any(e.split_given for e in entries):
        return tuple([e for e in entries if e.split == name] for name in ("train", "validation"))
    return entries, []


def _is_within(entry: Entry, recipe: Recipe) -> bool:
    low, high = recipe.data.resolution
    low = 0 if recipe.real.poorer else low - recipe.real.finer
    return low <= entry.resolution <= high + recipe.real.coarser


def _embeddings(given: Inputs, names: Sequence[str]) -> Embeddings | None:
    return Embeddings(given.embeddings, names) if given.embeddings else None


def loader(
    fabric: Fabric,
    stream: Dataset,
    o: Optimisation,
    steps: range,
    seed: int,
    workers: int,
    per_device: int = 0,
) -> tuple[DataLoader, int]:
    """Batches of some steps, the same ones however often the run was interrupted.

    Args:
        fabric: of the run.
        stream: of items.
        o: of the run.
        steps: which.
        seed: of the loader's own.
        workers: processes that make the cubes.
        per_device: cubes that a device takes at a time; 0: as the recipe has it.

    Returns:
        The loader, and how many batches of it make a step.

    Raises:
        InputError: more processes than there are boxes in a step.
    """
    if o.boxes < fabric.world_size:
        raise InputError(
            f"a step's {o.batch} cubes from {o.boxes} boxes can't be shared by {fabric.world_size} processes: start "
            f"{o.boxes} or fewer, or raise the recipe's batch"
        )
    at_once = max(1, (per_device or o.per_device or o.batch) // o.cubes_per_box)
    order = Batches(steps, o.boxes, at_once, fabric.global_rank, fabric.world_size)
    made = DataLoader(
        stream,
        batch_sampler=order,
        num_workers=workers,
        worker_init_fn=leave_stopping_to_the_trainer,
        collate_fn=join,
        # Its own generator: drawing from the global one would make a resumed run differ.
        generator=Generator().manual_seed(seed),
        persistent_workers=workers > 0,
        prefetch_factor=8 if workers else None,
    )
    return fabric.setup_dataloaders(made, use_distributed_sampler=False), order.per_step
