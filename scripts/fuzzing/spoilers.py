"""What is spoiled in a try: headers, cards, options or models; each spoiler returns the command that is to bear it."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

NUMBERS = (
    0, 1, -1, 2, 3, 7, 90, 255, 1024, 65536, 2**31 - 1, -(2**31), 1e-30, 1e-6, 0.5, -0.5, 1e10, 1e30, 3e38
)  # fmt: skip
ODD = (float("nan"), float("inf"), float("-inf"))
VALUES = (
    *NUMBERS, *ODD, "", "a", "64", "\0", "é", "-", None, True, [], {}, [1], [[1]], {"name": "a"}, {"a": 1}
)  # fmt: skip
TEXTS = (
    "0", "-1", "nan", "inf", "1e30", "1e-30", "-3e-3", "a", "", "é", "-", "\n", "0.5", "4", "24", "1e400",
    "*" * 90
)  # fmt: skip
OF_MODELS = ("****", "-20.00", "?", ".", "'", "data_", "loop_", "ENDMDL", "MODEL 2", "\x1b[2J")
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
        names = ["--contour", "--resolution", "--grid-spacing", "--mask", "--model", "--samples", "--method"]
        names += ["-o", "--device", "--weights", "--preserve"]
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
        junk = rng.choice([*TEXTS, *OF_MODELS])
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
    metrics = rng.choice(["cc", "qscore", "classes"])
    return ["mapcc", "in.mrc", "--to", name, "--resolution", "4", "--metrics", metrics]


SPOILERS: tuple[Callable[[Path, random.Random], list[str]], ...] = (
    spoil_header, spoil_card, spoil_options, spoil_model
)  # fmt: skip
