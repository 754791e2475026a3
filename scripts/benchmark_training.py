"""How fast cubes come and are learned from: cubes a second of each feed, and of a training step.

    python scripts/benchmark_training.py superem-real --structures structures.npz --pairs maps.tsv

A step's arithmetic is counted by PyTorch's own counter (forward and backward) and given as a share of what the device
does in a large product of matrices in the same number format. On a CPU seconds are those of one core's time, so that
what else runs on the machine doesn't count.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from lightning_fabric import Fabric
from torch.utils.flop_counter import FlopCounterMode

from cryomap.enhancement.device import choose_device, choose_precision, describe
from cryomap.errors import InputError
from train import make_state
from training.feeds import Inputs, make_feed
from training.loop import train_step
from training.recipe import Recipe, read_recipe

EDGE = 2048  # of the matrices


def seconds(work: Callable[[], object], least: float, device: torch.device) -> float:
    """Seconds (of a CPU: of a core) of one call, the mean of as many as take `least`, after one for warming up."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    work()
    wait()
    begun, count = clock(), 0
    while clock() - begun < least:
        work()
        wait()
        count += 1
    return (clock() - begun) / count


def feed_speeds(recipe: Recipe, given: Inputs, least: float, device: torch.device) -> dict[str, float]:
    """Cubes a second of each feed that there are files for, made one item after the other."""
    found = {}
    for name, path in (("simulated", given.structures), ("real", given.pairs)):
        if not path:
            continue
        alone = replace(recipe, shares={name: 1.0})
        stream = make_feed(alone, given, Path(), 0, str(device)).stream
        numbers = iter(range(10**9))
        each = seconds(lambda s=stream, n=numbers: s[next(n)], least, device)
        found[name] = recipe.optimise.cubes_per_box / each
    return found


def step_figures(recipe: Recipe, cubes: int, least: float, device: torch.device) -> dict[str, float]:
    """Cubes a second of a training step of so many cubes at a time, and its share of the device's arithmetic."""
    reduced = choose_precision(device) == torch.bfloat16
    fabric = Fabric(accelerator=device.type, devices=1, precision="bf16-mixed" if reduced else "32-true")
    state = make_state(fabric, recipe)
    shape = (cubes, 1, *(recipe.cube,) * 3)
    batch = (
        torch.rand(shape, device=device),
        torch.rand(shape, device=device),
        torch.ones(shape, device=device),
    )

    def step() -> None:
        train_step(fabric, state, [batch], recipe.loss, recipe.optimise)

    with FlopCounterMode(display=False) as counter:
        step()
    each = seconds(step, least, device)
    a = torch.rand(EDGE, EDGE, device=device, dtype=torch.bfloat16 if reduced else torch.float32)
    most = 2 * EDGE**3 / seconds(lambda: a @ a, least / 4, device)
    speed = counter.get_total_flops() / each
    return {"cubes": cubes / each, "tflops": speed / 1e12, "most": most / 1e12, "share": speed / most}


def main(words: list[str] | None = None) -> int:
    """Measure and print; 2 where the input can't be used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="a TOML file, or the name of one in scripts/recipes")
    parser.add_argument("--structures", type=Path, help=".npz of pack_structures.py")
    parser.add_argument("--pairs", type=Path, help="as for train.py")
    parser.add_argument("--cubes", type=int, default=2, help="cubes at a time (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=20, help="of each measurement (default: %(default)s)"
    )
    parser.add_argument("--accelerator", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    arguments = parser.parse_args(words)
    try:
        device = choose_device(arguments.accelerator)
        recipe = read_recipe(arguments.recipe)
        told, second = [describe(device), str(choose_precision(device)).removeprefix("torch.")], "second"
        if device.type == "cpu":
            told, second = [*told, torch.backends.cpu.get_cpu_capability()], "core second"
        print(", ".join(told))
        given = Inputs(arguments.structures, arguments.pairs)
        for name, speed in feed_speeds(recipe, given, arguments.seconds, device).items():
            print(f"{name} cubes of {recipe.cube}^3: {speed:.2f} a {second}")
        f = step_figures(recipe, arguments.cubes, arguments.seconds, device)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(
        f"training, {arguments.cubes} at a time: {f['cubes']:.2f} cubes and {f['tflops']:.3f} TFLOP a {second}, "
        f"{100 * f['share']:.0f} % of the {f['most']:.3f} of a product of matrices"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
