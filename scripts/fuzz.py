#!/usr/bin/env python
"""Give the command line thousands of spoiled headers, cards, options and models, and count what should never happen.

    python scripts/fuzz.py --tries 5000 --seed 1
    python scripts/fuzz.py --seconds 60

Each try spoils one thing at random and runs a command in this process, with a tiny network. It must end with exit
status 0, 1 (memory) or 2, and with one line that begins with "error: " where it isn't 0; inputs must stay as they
are, an output is whole or as it was before, and nothing else is left in the folder. The exit status is 1 if anything
else happened; the tries that did it are shown with their numbers, and `--only N` repeats one.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np
import torch

from cryomap.cli.main import main as run_command
from cryomap.density import DensityMap, read_map, write_map
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.networks.card import Card
from cryomap.networks.checkpoint import save_weights
from cryomap.networks.superem import Generator
from fuzzing.spoilers import SPOILERS

SIDE = 22  # voxels of the map
PDB = "ATOM  {:5d}  CA  ALA A{:4d}    {:8.3f}{:8.3f}{:8.3f}  1.00 20.00           C  "
CIF = (
    "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id label_seq_id "
    "Cartn_x Cartn_y Cartn_z occupancy B_iso_or_equiv auth_seq_id auth_asym_id pdbx_PDB_model_num"
)


@dataclass(frozen=True)
class Scene:
    """A folder with good files, from which each try begins, and their contents."""

    folder: Path
    files: dict[str, bytes]

    def restore(self) -> None:
        """The folder as it was."""
        for path in self.folder.iterdir():
            if path.name not in self.files:
                path.unlink()
        for name, content in self.files.items():
            path = self.folder / name
            if not path.is_file() or path.read_bytes() != content:
                path.write_bytes(content)


def make_scene(folder: Path) -> Scene:
    """A map, a mask, weights with their card, models, and an output of an earlier run."""
    place = np.indices((SIDE,) * 3).astype(float)
    noise = np.random.default_rng(1).normal(0, 0.02, (SIDE,) * 3)
    ball = np.exp(-((place - SIDE / 2) ** 2).sum(0) / 18)
    grid = Grid((SIDE,) * 3, (1.5,) * 3, (6.0, 9.0, -12.0))
    write_map(DensityMap((ball + noise).astype(np.float32), grid), folder / "in.mrc")
    write_map(DensityMap((ball > 0.1).astype(np.float32), grid), folder / "mask.mrc")
    write_map(DensityMap(np.ones((SIDE,) * 3, np.float32), grid), folder / "out.mrc")
    arguments = {"channels": 2, "blocks": 1, "norm": "none"}
    card = Card(
        "superem", "fuzz", {"name": "superem", "arguments": arguments}, 32, 2, 28,
        normalization={"name": "superem"},
    )  # fmt: skip
    torch.manual_seed(1)
    save_weights(Generator(**arguments), card, folder / "w.safetensors")
    atoms = [(i, 12 + 1.5 * (i % 4), 15 + 1.5 * (i // 4), 0.5 * i - 3) for i in range(12)]
    (folder / "m.pdb").write_text(
        "\n".join(PDB.format(i + 1, i + 1, x, y, z) for i, x, y, z in atoms) + "\nEND\n"
    )
    head = "data_x\nloop_\n" + "".join(f"_atom_site.{name}\n" for name in CIF.split())
    rows = [f"ATOM {i + 1} C CA . ALA A 1 {i + 1} {x} {y} {z} 1 20 {i + 1} A 1\n" for i, x, y, z in atoms]
    (folder / "m.cif").write_text(head + "".join(rows))
    return Scene(folder, {path.name: path.read_bytes() for path in folder.iterdir()})


def attempt(scene: Scene, seed: str) -> tuple[str, str]:
    """One try: "0", "1" or "2" (its exit status), or what went wrong; and the command or the traceback."""
    rng = random.Random(seed)
    scene.restore()
    command = rng.choice(SPOILERS)(scene.folder, rng)
    before = {path.name: path.read_bytes() for path in scene.folder.iterdir()}
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            status = run_command(command)
    except SystemExit as left:  # of argparse
        status = left.code if isinstance(left.code, int) else 2
    except BaseException:
        return "traceback", f"{command}\n{traceback.format_exc()}"
    told = err.getvalue()
    if "Traceback" in told or status not in (0, 1, 2):
        return "traceback", f"{command}: {status}\n{told}"
    if status and told.count("error: ") != 1:
        return "not one error", f"{command}: {status}\n{told}"
    damage = _damage(scene.folder, before, command, status)
    return (
        ("damage", f"{command}: {status}: {damage}\n{told}") if damage else (str(status), " ".join(command))
    )


def _damage(folder: Path, before: dict[str, bytes], command: list[str], status: int) -> str:
    """What a command did to files that it shouldn't; "" if nothing."""
    written = {command[i + 1] for i, word in enumerate(command[:-1]) if word in ("-o", "--csv")}
    for name, content in before.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is gone"
        if path.read_bytes() != content and (status or name not in written):
            return f"{name} was changed"
    for path in folder.iterdir():
        if path.name not in before and (status or path.name.startswith(".")):
            return f"{path.name} was left"
    if not status and "-o" in command and (folder / "out.mrc").read_bytes() != before["out.mrc"]:
        try:
            values = read_map(folder / "out.mrc").values
        except InputError as error:
            return str(error)
        if not np.isfinite(values).all() or not values.any():
            return "out.mrc holds no numbers, or zeros alone"
    return ""


def main() -> int:
    """Try until enough; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tries", type=int, default=10**9)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, metavar="N", help="repeat one try, and show it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    begun, counts, tries = time.monotonic(), Counter[str](), 0
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        scene = make_scene(Path(name))
        numbers = range(options.tries) if options.only is None else [options.only]
        for number in numbers:
            outcome, text = attempt(scene, f"{options.seed} {number}")
            counts[outcome] += 1
            tries += 1
            if outcome not in ("0", "1", "2") or options.only is not None:
                print(f"try {number}: {outcome}: {text}", flush=True)
            if time.monotonic() - begun > options.seconds:
                break
    bad = sum(count for outcome, count in counts.items() if outcome not in ("0", "1", "2"))
    told = ", ".join(f"{count} x {outcome}" for outcome, count in sorted(counts.items()))
    print(f"{tries} tries in {time.monotonic() - begun:.0f} s, seed {options.seed}: {told}; {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
