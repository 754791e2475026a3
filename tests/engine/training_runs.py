"""Small training runs: a recipe, structures made on the spot, the command line."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from training_data import made_structure

import train as script
from cryomap.networks.checkpoint import load_weights
from simulation.packs import pack

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train.py"
TINY = """
method = "superem"
cube = 16
network = { channels = 4, blocks = 2, norm = "none", dropout = 0.1 }
[data]
box = 32
resolution = [3.0, 4.0]
[loss]
correlation = 0.1
[optimise]
learning_rate = 3e-3
ema_decay = 0.9
batch = 4
cubes_per_box = 2
"""


def make(tmp_path):
    """A folder with structures, made.npz, and a recipe, tiny.toml."""
    pack([made_structure(seed=i, pdb_id=f"M{i:03}") for i in range(12)], tmp_path / "made.npz")
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


def words(made, out, recipe="tiny.toml", method="superem"):
    """The command line of a run."""
    line = (
        f"{method} --recipe {made / recipe} --structures {made / 'made.npz'} --out {made / out} --workers 0"
    )
    return f"{line} --precision 32-true --accelerator cpu --validate-every 999".split()


def run(made, out, steps, **which):
    """Train, and read the weights."""
    assert script.main([*words(made, out, **which), "--steps", str(steps)]) == 0
    return load_file(made / out / f"{which.get('method', 'superem')}.safetensors")


def answer(weights, method="superem"):
    """What a network gives of a fixed cube."""
    network, _ = load_weights(method, weights)
    with torch.no_grad():
        return network(torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(5)))
