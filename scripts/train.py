"""Train the networks of SuperEM or CryoSAMU on simulated experiments.

    python scripts/pack_structures.py FOLDER structures.npz
    python scripts/train.py superem --structures structures.npz --out runs/superem --minutes 60

A run goes on from the checkpoint in its folder. Several GPUs: torchrun --nproc-per-node=N scripts/train.py ...
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from cryomap.errors import InputError
from cryomap.networks.card import METHODS
from cryomap.networks.checkpoint import ARCHITECTURES, save_weights
from cryomap.networks.superem import Discriminator
from training.loop import State, make_average, make_optimiser, save_checkpoint, train_step
from training.recipe import RECIPES, Recipe, read_recipe
from training.stream import Consecutive, SimulatedCubes, collate
from training.structures import Structure, split, unpack
from training.validation import fixed_experiments, validate


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--structures", required=True, help=".npz of pack_structures.py")
    parser.add_argument(
        "--out", required=True, type=Path, help="folder of the run: checkpoint, weights, logs"
    )
    parser.add_argument(
        "--recipe", help="TOML file, or the name of one in scripts/recipes (default: the paper's)"
    )
    parser.add_argument("--minutes", type=float, help="stop, with a checkpoint, after this long")
    parser.add_argument("--steps", type=int, help="stop at this step in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--workers", type=int, help="processes that simulate on the CPU (default: 1; 0 on a GPU)"
    )
    parser.add_argument("--threads", type=int, help="CPU threads of the network")
    parser.add_argument(
        "--precision", help="Lightning Fabric's name (default: bf16-mixed)", default="bf16-mixed"
    )
    parser.add_argument("--accelerator", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--validate-every", type=float, default=10, help="minutes between validations")
    return parser.parse_args()


def main() -> int:
    """Train until the time or the steps are up."""
    arguments = parse()
    try:
        name = arguments.recipe or arguments.method
        recipe = read_recipe(RECIPES / f"{name}.toml" if (RECIPES / f"{name}.toml").is_file() else name)
        if recipe.method != arguments.method:
            raise InputError(f"{name}: a recipe of {recipe.method}, not of {arguments.method}")
        training, held_out = split(unpack(arguments.structures))
        train(recipe, training, held_out, arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def train(
    recipe: Recipe, training: list[Structure], held_out: list[Structure], arguments: argparse.Namespace
) -> None:
    """Set up, resume, loop, validate, save."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    fabric = Fabric(accelerator=arguments.accelerator, devices=_devices(), precision=arguments.precision)
    fabric.launch()
    fabric.seed_everything(arguments.seed + fabric.global_rank, verbose=False)
    arguments.out.mkdir(parents=True, exist_ok=True)
    state = make_state(fabric, recipe)
    checkpoint = arguments.out / "last.ckpt"
    if checkpoint.is_file():
        state.load_state_dict(torch.load(checkpoint, map_location=fabric.device, weights_only=True))
    o = recipe.optimise
    end = min(o.steps, arguments.steps or o.steps)
    cubes = SimulatedCubes(
        training, recipe.data, recipe.cube, o.cubes_per_box, arguments.seed, device=_where(fabric, arguments)
    )
    order = Consecutive(state.step, max(0, end - state.step), o.batch, fabric.global_rank, fabric.world_size)
    workers = _workers(fabric, arguments)
    loader = fabric.setup_dataloaders(
        DataLoader(
            cubes,
            o.batch // fabric.world_size,
            sampler=order,
            num_workers=workers,
            collate_fn=collate,
            persistent_workers=workers > 0,
            prefetch_factor=8 if workers else None,
        ),
        use_distributed_sampler=False,
    )
    experiments = fixed_experiments(held_out or training, recipe.data, 10) if fabric.is_global_zero else []
    run = Run(fabric, recipe, state, arguments, experiments, len(training))
    run.report(0.0)
    for observed, target in loader:
        observed = observed.contiguous(memory_format=torch.channels_last_3d)
        run.after_step(train_step(fabric, state, observed, target, recipe.loss, o), len(observed))
        if run.out_of_time:
            break
    run.save()


class Run:
    """What is told and kept while training goes on: progress, validation, checkpoints, weights."""

    def __init__(self, fabric, recipe: Recipe, state: State, arguments, experiments: list, structures: int):
        from torch.utils.tensorboard import SummaryWriter

        self.fabric, self.recipe, self.state, self.arguments = fabric, recipe, state, arguments
        self.experiments, self.structures = experiments, structures
        self.writer = SummaryWriter(arguments.out) if fabric.is_global_zero else None
        self.start = self.last_report = time.monotonic()
        self.first_step, self.cubes, self.losses, self.results = state.step, 0, [], {}

    @property
    def out_of_time(self) -> bool:
        """Whether the minutes are up; the first process decides for all."""
        limit = self.arguments.minutes
        over = limit is not None and time.monotonic() - self.start > 60 * limit
        return bool(self.fabric.broadcast(over)) if self.fabric.world_size > 1 else over

    def after_step(self, loss: float, cubes: int) -> None:
        """Count, and now and then report, validate and save."""
        self.losses.append(loss)
        self.cubes += cubes * self.fabric.world_size
        if time.monotonic() - self.last_report > 60 * self.arguments.validate_every:
            self.report(sum(self.losses) / len(self.losses))
            self.save()
            self.losses = []
            self.last_report = time.monotonic()

    def report(self, loss: float) -> None:
        """One line, and TensorBoard."""
        if not self.fabric.is_global_zero:
            return
        scores = validate(self.state.best, self.experiments, self.fabric.device)
        seconds = max(1e-3, time.monotonic() - self.start)
        speed, step = self.cubes / seconds, self.state.step
        self.results = {"validation": asdict(scores)}
        done = step - self.first_step
        left = (self.recipe.optimise.steps - step) * seconds / done / 3600 if done else float("nan")
        print(
            f"step {step}: loss {loss:.5f}; {scores}; {speed:.2f} cubes/s, {left:.1f} h to the last step",
            flush=True,
        )
        for key, value in {"loss": loss, "cubes_per_second": speed, **asdict(scores)}.items():
            self.writer.add_scalar(key, value, step)
        self.writer.flush()

    def save(self) -> None:
        """Checkpoint, and the weights with their card."""
        if not self.fabric.is_global_zero:
            return
        save_checkpoint(self.state, self.arguments.out / "last.ckpt")
        o = self.recipe.optimise
        facts = {
            "steps": self.state.step,
            "cubes": self.state.step * o.batch * o.cubes_per_box,
            "structures": self.structures,
            "data": "simulated experiments",
            "revision": revision(),
            "seed": self.arguments.seed,
        }
        card = self.recipe.card(f"0.1.0+{self.state.step}", facts)
        save_weights(self.state.best, card, self.arguments.out / f"{self.recipe.method}.safetensors")


def make_state(fabric: Fabric, recipe: Recipe) -> State:
    """Networks, optimisers and average, set up for the device."""
    network = ARCHITECTURES[recipe.method](**recipe.network).to(memory_format=torch.channels_last_3d)
    average = make_average(network, recipe.optimise)
    if average is not None:
        average = average.to(fabric.device)
    network, optimiser = fabric.setup(network, make_optimiser(network.parameters(), recipe.optimise))
    state = State(network, optimiser, average)
    if recipe.loss.adversarial:
        discriminator = Discriminator()
        state.discriminator, state.discriminator_optimiser = fabric.setup(
            discriminator, make_optimiser(discriminator.parameters(), recipe.optimise)
        )
    return state


def revision() -> str:
    """The git revision of this code, "+" behind it if it has uncommitted changes; "" outside a checkout."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True
        )
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True
        )
    except OSError:
        return ""
    return commit.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def _devices() -> int | str:
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def _where(fabric: Fabric, arguments: argparse.Namespace) -> str:
    return "cpu" if _workers(fabric, arguments) else str(fabric.device)


def _workers(fabric: Fabric, arguments: argparse.Namespace) -> int:
    if arguments.workers is not None:
        return arguments.workers
    return 1 if fabric.device.type == "cpu" else 0


if __name__ == "__main__":
    sys.exit(main())
