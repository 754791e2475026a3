"""Train the networks of SuperEM or CryoSAMU, on simulated experiments, on real maps with models, or on both.

    python scripts/pack_structures.py FOLDER structures.npz
    python scripts/train.py superem --structures structures.npz --out runs/superem --minutes 60

A run goes on from the checkpoint in its folder; SIGTERM or Ctrl-C ends it with one.
Several GPUs: torchrun --nproc-per-node=N scripts/train.py ...; the recipe's batch is shared out among them, and each
works on --per-device cubes at a time.
Without --recipe the training is the paper's; --recipe superem-bundled is that of the bundled weights before they saw
real maps, --recipe superem-real learns from these.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

from cryomap.enhancement.device import choose_device, choose_precision
from cryomap.errors import InputError, WriteError
from cryomap.networks.card import METHODS
from cryomap.networks.checkpoint import ARCHITECTURES, load_weights, without_untrained_attention
from cryomap.networks.cryosamu import CONTEXT
from cryomap.networks.superem import Discriminator
from cryomap.networks.training_ids import training_ids
from pairs.checksums import digest
from pairs.embeddings import channels, source
from training.checkpoints import load_checkpoint
from training.feeds import Inputs, loader, make_feed
from training.interrupt import stop_request
from training.loop import State, make_average, make_optimiser, rate_at, train_step
from training.monitor import Keeping, Monitor
from training.recipe import Recipe, read_recipe
from training.widen import widen

MOST = 2**30  # of numbers on the command line: seeds are multiplied with step numbers
PRECISIONS = ("32-true", "bf16-mixed", "64-true")


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--structures", type=Path, help=".npz of pack_structures.py; also for validation")
    parser.add_argument(
        "--pairs",
        type=Path,
        help="folder of prepare_pairs.py, or, for recipes of real maps, a table of maps and models: train on these",
    )
    parser.add_argument(
        "--folds", type=int, default=0, help="cross-validation: the table's specimens in so many parts"
    )
    parser.add_argument(
        "--fold", type=int, default=0, help="the part held out, from 0; the run is OUT/fold-K"
    )
    parser.add_argument("--embeddings", type=Path, help="folder of embed_structures.py, for cryosamu")
    parser.add_argument(
        "--real-maps",
        type=Path,
        help="table of real maps with models: validate on these too, never train on them or on structures related "
        "to them",
    )
    parser.add_argument(
        "--out", required=True, type=Path, help="folder of the run: checkpoint, weights, logs"
    )
    parser.add_argument(
        "--start-from",
        type=Path,
        help="a weights file with its card: a new run begins with these weights, of as many channels or fewer, with "
        "or without cross-attention",
    )
    parser.add_argument(
        "--recipe", help="a TOML file, or the name of one in scripts/recipes (default: the paper's)"
    )
    parser.add_argument("--minutes", type=float, help="stop, with a checkpoint, after this long")
    parser.add_argument(
        "--steps",
        type=int,
        help="stop at this step, counted from the very beginning; a falling learning rate falls as before, to zero at "
        "the recipe's last step: for one that ends here too, copy the recipe and change its steps (or epochs)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--per-device", type=int, default=0, help="cubes at a time on each GPU or CPU")
    parser.add_argument("--workers", type=int, help="processes that make the cubes (default: 1; 0 on a GPU)")
    parser.add_argument("--threads", type=int, help="CPU threads of the network")
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="default: bf16-mixed where that is fast, else 32-true"
    )
    parser.add_argument("--accelerator", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--validate-every", type=float, default=10, help="minutes between validations")
    parser.add_argument("--keep-every", type=int, default=0, help="keep the weights of every so many steps")
    parser.add_argument("--keep", type=int, default=10, help="the last so many of them; 0: all")
    return parser.parse_args(words)


def check(arguments: argparse.Namespace) -> None:
    """See that numbers can be used.

    Raises:
        InputError: one can't.
    """
    least = {"seed": 0, "steps": 1, "minutes": 0, "per_device": 0, "workers": 0, "threads": 1}
    least |= {"validate_every": 0, "keep_every": 0, "keep": 0, "fold": 0, "folds": 0}
    for name, low in least.items():
        value = getattr(arguments, name)
        if value is not None and not low <= value < MOST:
            raise InputError(f"--{name.replace('_', '-')} {value}: give {low} to {MOST - 1}")
    if arguments.fold and not arguments.folds:
        raise InputError(f"--fold {arguments.fold}: of how many? give --folds")
    if arguments.folds and not arguments.pairs:
        raise InputError("--folds: of which maps? give their table as --pairs")


def main(words: list[str] | None = None) -> int:
    """Train until the time or the steps are up; 2 where the input can't be used."""
    arguments = parse(words)
    try:
        check(arguments)
        train(find_recipe(arguments.recipe or arguments.method, arguments.method), arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if torch.distributed.is_initialized():  # else a process may abort while its threads still talk
            torch.distributed.destroy_process_group()
    return 0


def find_recipe(name: str, method: str) -> Recipe:
    """A recipe by name or file.

    Raises:
        InputError: there is none, or it is of the other method.
    """
    recipe = read_recipe(name)
    if recipe.method != method:
        raise InputError(f"{name}: a recipe of {recipe.method}, not of {method}")
    return recipe


def train(recipe: Recipe, arguments: argparse.Namespace) -> State:
    """Set up, resume, loop, validate, save."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    recipe = recipe.for_embeddings(channels(arguments.embeddings) if arguments.embeddings else 0)
    fabric = make_fabric(arguments)
    workers = arguments.workers
    if workers is None:
        workers = 1 if fabric.device.type == "cpu" else 0
    given = Inputs(
        arguments.structures,
        arguments.pairs,
        arguments.embeddings,
        arguments.real_maps,
        arguments.folds,
        arguments.fold,
        arguments.start_from,
    )
    feed = make_feed(recipe, given, arguments.out, arguments.seed, "cpu" if workers else str(fabric.device))
    out = make_folder(arguments.out / f"fold-{arguments.fold}" if arguments.folds else arguments.out)
    state = make_state(fabric, recipe, arguments.start_from)
    trained_on = feed.trained_on
    if (checkpoint := out / "last.ckpt").exists():
        load_checkpoint(state, recipe, checkpoint, fabric.device)
        trained_on |= training_ids(out / f"{recipe.method}.safetensors")  # by other files than now, it may be
    o = recipe.optimise.for_cubes(feed.epoch)
    end = min(o.steps, arguments.steps or o.steps)
    if end < o.steps and o.schedule == "cosine" and fabric.is_global_zero:
        left = rate_at(end, o) / o.learning_rate
        print(
            f"--steps {end}: the learning rate will be at {left:.0%} of its highest then; it falls to zero at step "
            f"{o.steps}, which a copy of the recipe can change",
            file=sys.stderr,
        )
    batches, per_step = loader(
        fabric, feed.stream, o, range(state.step, end), arguments.seed, workers, arguments.per_device
    )
    facts = {**feed.facts, "seed": arguments.seed, **started_from(arguments.start_from)}
    if arguments.embeddings:
        facts["embeddings"] = source(arguments.embeddings)
    if arguments.folds:
        facts |= {"folds": arguments.folds, "fold": arguments.fold}
    keeping = Keeping(out, 60 * arguments.validate_every, arguments.keep_every, arguments.keep)
    monitor = Monitor(fabric, recipe, state, keeping, feed.validation, facts, o.steps, trained_on)
    with stop_request() as stop:
        batches = iter(batches)
        while state.step < end:
            step = (next(batches) for _ in range(per_step))
            monitor.after_step(train_step(fabric, state, step, recipe.loss, o, arguments.seed))
            if monitor.is_over(arguments.minutes, stop.is_set()):
                break
        if not stop.is_set():  # else there may be little time left
            monitor.validate()
        monitor.save()
    return state


def make_folder(path: Path) -> Path:
    """The folder, made if it isn't there.

    Raises:
        WriteError: it can't be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{path}: can't be made a folder ({error.strerror}); take another --out") from None
    return path


def started_from(weights: Path | None) -> dict[str, dict[str, str]]:
    """What the card says of the weights that a run began with."""
    if weights is None:
        return {}
    card = load_weights(None, weights)[1]
    return {"start from": {"version": card.version, "sha256": digest(weights, "sha256")}}


def make_fabric(arguments: argparse.Namespace) -> Fabric:
    """One process a device; under torchrun as many as it starts."""
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    nodes = int(os.environ.get("GROUP_WORLD_SIZE", 1))
    strategy = DDPStrategy() if devices * nodes > 1 else "auto"
    precision = choose_precision(choose_device(arguments.accelerator))
    fabric = Fabric(
        accelerator=arguments.accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision=arguments.precision or ("bf16-mixed" if precision == torch.bfloat16 else "32-true"),
    )
    fabric.launch()
    torch.manual_seed(arguments.seed)
    return fabric


def make_state(fabric: Fabric, recipe: Recipe, start_from: Path | None = None) -> State:
    """Networks, optimisers and average, set up for the device.

    Raises:
        InputError: the weights to start from can't be used, or aren't of the recipe's architecture,
            with as many channels or fewer.
    """
    o = recipe.optimise
    network = ARCHITECTURES[recipe.method](**recipe.network)
    if start_from:
        trained, card = without_untrained_attention(*load_weights(recipe.method, start_from))
        had, has = ({"context": CONTEXT, **a} for a in (card.architecture["arguments"], recipe.network))
        # Beside channels, one of the two may be without cross-attention.
        may_differ = {"channels"} | ({"context"} if 0 in (had["context"], has["context"]) else set())
        try:
            if any(had.get(key) != has.get(key) for key in (had.keys() | has.keys()) - may_differ):
                raise ValueError("they differ in more than channels")
            widen(network, trained)
        except ValueError as error:
            raise InputError(f"{start_from}: {had}, but the recipe has {has}: {error}") from None
    network = network.to(memory_format=torch.channels_last_3d)
    average = make_average(network, o)
    if average is not None:
        average = average.to(fabric.device)
    network, optimiser = fabric.setup(network, make_optimiser(network.parameters(), o))
    state = State(network, optimiser, average)
    if recipe.loss.adversarial:
        discriminator = Discriminator(dropout=recipe.network.get("dropout", 0.25))
        state.discriminator, state.discriminator_optimiser = fabric.setup(
            discriminator, make_optimiser(discriminator.parameters(), o)
        )
    return state


if __name__ == "__main__":
    sys.exit(main())
