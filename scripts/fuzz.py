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
import json
import random
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
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

SIDE = 22  # voxels of the map
NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    90,
    255,
    1024,
    65536,
    2**31 - 1,
    -(2**31),
    1e-30,
    1e-6,
    0.5,
    -0.5,
    1e10,
    1e30,
    3e38,
)
ODD = (float("nan"), float("inf"), float("-inf"))
VALUES = (
    *NUMBERS,
    *ODD,
    "",
    "a",
    "64",
    "\0",
    "é",
    "-",
    None,
    True,
    [],
    {},
    [1],
    [[1]],
    {"name": "a"},
    {"a": 1},
)
TEXTS = (
    "0",
    "-1",
    "nan",
    "inf",
    "1e30",
    "1e-30",
    "-3e-3",
    "a",
    "",
    "é",
    "-",
    "\n",
    "0.5",
    "4",
    "24",
    "1e400",
    "*" * 90,
)
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


ENHANCE = ["enhance", "in.mrc", "-o", "out.mrc", "--weights", "w.safetensors", "--device", "cpu"]
COMPARE = ["mapcc", "in.mrc", "--to", "mask.mrc", "--metrics", "cc,fsc"]


def spoil_header(folder: Path, rng: random.Random) -> list[str]:
    """Some words of the map's header, or its length."""
    name = rng.choice(["in.mrc", "in.mrc", "mask.mrc"])
    content = bytearray((folder / name).read_bytes())
    for _ in range(rng.choice([1, 1, 2, 4])):
        word = rng.choice([*range(56), rng.randrange(256)])
        number = rng.choice((*NUMBERS, *ODD, rng.randrange(-(2**31), 2**31)))
        whole = float(number).is_integer() and abs(number) < 2**31 and rng.random() < 0.7
        content[4 * word : 4 * word + 4] = struct.pack(
            "<i" if whole else "<f", int(number) if whole else number
        )
    if rng.random() < 0.15:
        del content[rng.randrange(len(content)) :]
    if rng.random() < 0.1:
        content += bytes(rng.choice([1, 80, 1024, 5000]))
    (folder / name).write_bytes(content)
    return rng.choice([COMPARE, [*ENHANCE, *(["--mask", "mask.mrc"] if name == "mask.mrc" else [])]])


def spoil_card(folder: Path, rng: random.Random) -> list[str]:
    """A field of the model card, or of what is in it; or bytes of card or weights."""
    card = json.loads((folder / "w.json").read_text())
    where = card
    while True:
        key = rng.choice([*where, "unknown"])
        if isinstance(where.get(key), dict) and where[key] and rng.random() < 0.7:
            where = where[key]
            continue
        break
    if rng.random() < 0.15:
        where.pop(key, None)
    else:
        where[key] = rng.choice(VALUES)
    (folder / "w.json").write_text(json.dumps(card))
    if rng.random() < 0.2:
        name = rng.choice(["w.json", "w.safetensors"])
        content = bytearray((folder / name).read_bytes())
        content[rng.randrange(len(content))] = rng.randrange(256)
        (folder / name).write_bytes(content[: rng.choice([len(content), rng.randrange(len(content))])])
    return ENHANCE


def spoil_options(_folder: Path, rng: random.Random) -> list[str]:
    """Options with values of all kinds, files in each other's places."""
    files = [
        "in.mrc",
        "mask.mrc",
        "m.pdb",
        "w.json",
        "w.safetensors",
        "none",
        ".",
        "out.mrc",
        "/dev/null",
        "",
    ]
    value = lambda: rng.choice(TEXTS if rng.random() < 0.6 else files)  # noqa: E731
    if rng.random() < 0.5:
        names = [
            "--contour",
            "--resolution",
            "--grid-spacing",
            "--mask",
            "--model",
            "--samples",
            "--method",
            "-o",
        ]
        names += ["--device", "--weights", "--preserve"]
        flags = ["--keep-lost", "--half-maps", "--json"]
        command = list(ENHANCE)
    else:
        names = ["--contour", "--resolution", "--metrics", "--mask", "--sigma", "--stride", "--csv", "--to"]
        flags = ["--json=-"]
        command = list(COMPARE)
    for _ in range(rng.choice([1, 1, 2])):
        command += [rng.choice(names), value()]
    if rng.random() < 0.2:
        command.append(rng.choice(flags))
    return ["3" if word == "24" else word for word in command]


def spoil_model(folder: Path, rng: random.Random) -> list[str]:
    """Columns of a PDB file or words of an mmCIF file."""
    name = rng.choice(["m.pdb", "m.cif"])
    lines = (folder / name).read_text().splitlines()
    for _ in range(rng.choice([1, 1, 3])):
        row = rng.randrange(len(lines))
        junk = rng.choice(
            [*TEXTS, "****", "-20.00", "?", ".", "'", "data_", "loop_", "ENDMDL", "MODEL 2", "\x1b[2J"]
        )
        if name == "m.pdb":
            begin = rng.randrange(82)
            lines[row] = lines[row][:begin] + junk + lines[row][begin + len(junk) :]
        else:
            words = lines[row].split(" ")
            words[rng.randrange(len(words))] = junk
            lines[row] = " ".join(words)
    if rng.random() < 0.1:
        del lines[rng.randrange(len(lines)) :]
    (folder / name).write_bytes(
        "\n".join(lines).encode(rng.choice(["utf-8", "utf-8", "utf-16", "cp850"]), "replace")
    )
    if rng.random() < 0.25:
        return [*ENHANCE, "--model", name]
    return [
        "mapcc",
        "in.mrc",
        "--to",
        name,
        "--resolution",
        "4",
        "--metrics",
        rng.choice(["cc", "qscore", "classes"]),
    ]


SPOILERS: tuple[Callable[[Path, random.Random], list[str]], ...] = (
    spoil_header, spoil_card, spoil_options, spoil_model
)  # fmt: skip


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
