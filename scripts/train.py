"""Train the networks of SuperEM or CryoSAMU, on simulated experiments or on experimental pairs.

    python scripts/pack_structures.py FOLDER structures.npz
    python scripts/train.py superem --structures structures.npz --out runs/superem --minutes 60

A run goes on from the checkpoint in its folder; SIGTERM or Ctrl-C ends it with one.
Several GPUs: torchrun --nproc-per-node=N scripts/train.py ...
Without --recipe the training is the paper's; --recipe superem-bundled is that of the bundled weights.
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
from cryomap.errors import InputError
from cryomap.networks.card import METHODS
from cryomap.networks.checkpoint import ARCHITECTURES, load_weights
from cryomap.networks.superem import Discriminator
from pairs.entries import read_list
from simulation.structures import split, unpack
from training.dataloaders import experimental, loader, simulated
from training.interrupt import stop_request
from training.loop import State, make_average, make_optimiser, train_step
from training.monitor import Report
from training.real_maps import as_experiment
from training.recipe import RECIPES, Recipe, read_recipe
from training.validation import fixed_experiments
from training.widen import widen

VALIDATION_MAPS = 10


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--structures", required=True, help=".npz of pack_structures.py; also for validation")
    parser.add_argument("--pairs", type=Path, help="folder of prepare_pairs.py: train on these instead")
    parser.add_argument(
        "--embeddings", type=Path, help="folder of embed_structures.py, with --pairs, for cryosamu"
    )
    parser.add_argument(
        "--real-maps", help="table of real maps with models: validate on these too, never train"
    )
    parser.add_argument(
        "--out", required=True, type=Path, help="folder of the run: checkpoint, weights, logs"
    )
    parser.add_argument(
        "--start-from",
        help="a weights file with its card: a new run begins with these weights, of as many channels or fewer",
    )
    parser.add_argument(
        "--recipe", help="a TOML file, or the name of one in scripts/recipes (default: the paper's)"
    )
    parser.add_argument("--minutes", type=float, help="stop, with a checkpoint, after this long")
    parser.add_argument("--steps", type=int, help="stop at this step, counted from the very beginning")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, help="processes that make the cubes (default: 1; 0 on a GPU)")
    parser.add_argument("--threads", type=int, help="CPU threads of the network")
    parser.add_argument(
        "--precision",
        help="as Lightning Fabric names it (default: bf16-mixed where that is fast, else 32-true)",
    )
    parser.add_argument("--accelerator", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--validate-every", type=float, default=10, help="minutes between validations")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Train until the time or the steps are up; 2 where the input can't be used."""
    arguments = parse(words)
    try:
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
    bundled = RECIPES / f"{name}.toml"
    recipe = read_recipe(bundled if bundled.is_file() else name)
    if recipe.method != method:
        raise InputError(f"{name}: a recipe of {recipe.method}, not of {method}")
    return recipe


def train(recipe: Recipe, arguments: argparse.Namespace) -> State:
    """Set up, resume, loop, validate, save."""
    training, held_out = split(unpack(arguments.structures))
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    fabric = make_fabric(arguments)
    workers = arguments.workers
    if workers is None:
        workers = 1 if fabric.device.type == "cpu" else 0
    if arguments.pairs:
        data = experimental(arguments.pairs, arguments.embeddings, arguments.seed)
        facts = {"data": "experimental pairs", "cubes": len(data)}
    else:
        data = simulated(fabric, recipe, training, arguments.seed, workers)
        facts = {"data": "simulated experiments", "structures": len(training)}

    state = make_state(fabric, recipe, arguments.start_from)
    arguments.out.mkdir(parents=True, exist_ok=True)
    checkpoint = arguments.out / "last.ckpt"
    if checkpoint.is_file():
        state.load_state_dict(torch.load(checkpoint, map_location=fabric.device, weights_only=True))
    end = min(recipe.optimise.steps, arguments.steps or recipe.optimise.steps)
    batches = loader(
        fabric, data, recipe.optimise.batch, state.step, max(0, end - state.step), arguments.seed, workers
    )
    experiments = {"simulated": fixed_experiments(held_out or training, recipe.data, VALIDATION_MAPS)}
    if arguments.real_maps:
        entries = [entry for entry in read_list(arguments.real_maps) if entry.model_file]
        experiments["real"] = [as_experiment(entry, recipe.data) for entry in entries]
    facts["seed"] = arguments.seed
    report = Report(fabric, recipe, state, arguments.out, experiments, facts, 60 * arguments.validate_every)
    with stop_request() as stop:
        for batch in batches:
            report.after_step(train_step(fabric, state, batch, recipe.loss, recipe.optimise), len(batch[0]))
            if report.is_over(arguments.minutes, stop.is_set()):
                break
    report.validate()
    report.save()
    return state


def make_fabric(arguments: argparse.Namespace) -> Fabric:
    """One process a device; under torchrun as many as it starts."""
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    nodes = int(os.environ.get("GROUP_WORLD_SIZE", 1))
    # cryosamu's cross-attention has no gradient in batches without embeddings.
    strategy = DDPStrategy(find_unused_parameters=True) if devices * nodes > 1 else "auto"
    precision = choose_precision(choose_device(arguments.accelerator))
    fabric = Fabric(
        accelerator=arguments.accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision=arguments.precision or ("bf16-mixed" if precision == torch.bfloat16 else "32-true"),
    )
    fabric.launch()
    fabric.seed_everything(arguments.seed, verbose=False)
    return fabric


def make_state(fabric: Fabric, recipe: Recipe, start_from: str | None = None) -> State:
    """Networks, optimisers and average, set up for the device.

    Raises:
        InputError: the weights to start from can't be used, or aren't of the recipe's architecture,
            with as many channels or fewer.
    """
    o = recipe.optimise
    network = ARCHITECTURES[recipe.method](**recipe.network)
    if start_from:
        trained, card = load_weights(recipe.method, start_from)
        had, has = card.architecture["arguments"], recipe.network
        try:
            if any(had.get(key) != has.get(key) for key in (had.keys() | has.keys()) - {"channels"}):
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
        discriminator = Discriminator()
        state.discriminator, state.discriminator_optimiser = fabric.setup(
            discriminator, make_optimiser(discriminator.parameters(), o)
        )
    return state


if __name__ == "__main__":
    sys.exit(main())
