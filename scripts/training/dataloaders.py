"""Where the batches come from: simulated experiments or experimental pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightning_fabric import Fabric
from torch import Generator
from torch.utils.data import DataLoader, Dataset

from pairs.datasets import EmbeddedPairCubes, PairCubes
from simulation.structures import Structure

from .augment import Augmented
from .interrupt import leave_stopping_to_the_trainer
from .recipe import Recipe
from .stream import Consecutive, SimulatedCubes, join


def simulated(
    fabric: Fabric, recipe: Recipe, structures: Sequence[Structure], seed: int, workers: int
) -> Dataset:
    """Endless simulated cubes; made on the training device itself where no worker process makes them."""
    device = "cpu" if workers else str(fabric.device)
    return SimulatedCubes(
        structures, recipe.data, recipe.cube, recipe.optimise.cubes_per_box, seed, device=device
    )


def experimental(folder: Path, embeddings: Path | None, seed: int) -> Dataset:
    """The training split of a folder of pairs, with structural embeddings where they are given.

    Raises:
        InputError: no such pairs, or an entry without embedding.
    """
    pairs = PairCubes(folder, "train")
    return Augmented(EmbeddedPairCubes(pairs, embeddings) if embeddings else pairs, seed)


def loader(
    fabric: Fabric, data: Dataset, batch: int, start: int, batches: int, seed: int, workers: int
) -> DataLoader:
    """Batches number `start` to `start + batches`, the same ones however often the run was interrupted."""
    endless = isinstance(data, SimulatedCubes)
    order = Consecutive(
        start, batches, batch, fabric.global_rank, fabric.world_size, None if endless else len(data), seed
    )
    return fabric.setup_dataloaders(
        DataLoader(
            data,
            batch // fabric.world_size,
            sampler=order,
            num_workers=workers,
            worker_init_fn=leave_stopping_to_the_trainer,
            collate_fn=join if endless else None,
            # Its own generator: drawing from the global one would make a resumed run differ.
            generator=Generator().manual_seed(seed),
            persistent_workers=workers > 0,
            prefetch_factor=8 if workers else None,
        ),
        use_distributed_sampler=False,
    )
