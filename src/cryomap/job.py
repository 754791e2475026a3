"""A request to enhance maps, and what the worker process answers. Needs no torch.

The command line, ChimeraX's command and its panel take their options from here, with choices, bounds, defaults and
help: a new one is a field of `Options` and the code that uses it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .enhancement.report import Report
from .errors import InputError
from .grid import Grid
from .networks.card import METHODS
from .trust.halves import HalvesComparison
from .trust.input_verdict import InputWarning
from .typed_json import from_plain, to_plain, type_hints

DEVICES = ("auto", "cpu", "cuda", "mps")
NUMBERED = r"cuda:\d+"  # one GPU of several


@dataclass(frozen=True)
class Option:
    """What there is to know of a field of `Options`.

    Attributes:
        name: of the field.
        kind: bool, int, float or str; the value may be None too where that is the default.
        default: its value if it isn't given.
        help: what it means, in a line.
        choices: the values there are, if they are few.
        bounds: the smallest and the largest value.
        unit: of the value, "A" or "".
        is_file: whether it is the path of a file.
        metavar: what help calls the value, if not by its kind.
        in_chimerax: whether ChimeraX's command has it, too; else models of the session take its place.
        also: regular expression of values beside the choices.
    """

    name: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None
    unit: str = ""
    is_file: bool = False
    metavar: str = ""
    in_chimerax: bool = True
    also: str = ""

    def check(self, value: Any) -> Any:
        """The value, as the option's type.

        Raises:
            InputError: of another type, none of the choices, or out of bounds.
        """
        words = self.name.replace("_", " ")
        if value is None and self.default is None:
            return None
        if value == "" and not self.choices:
            raise InputError(f"{words} is empty; give a name, or leave the option out")
        value = from_plain(self.kind, value, words)
        other = self.also and re.fullmatch(self.also, str(value))
        if self.choices and value not in self.choices and not other:
            raise InputError(f"{words} {value!r}: not one of {', '.join(self.choices)}")
        if self.bounds and not self.bounds[0] <= value <= self.bounds[1]:
            unit = self.unit and f" {self.unit}"
            low, high = self.bounds
            raise InputError(f"{words} {value:g}{unit}: give {low:g} to {high:g}{unit}")
        return value


def _option(default: Any, help: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True)
class Options:
    """How to enhance, the same for all maps of a request.

    Raises:
        InputError: a value that makes no sense, see `Option.check`.
    """

    method: str | None = _option(None, "network; by default that for the resolution", choices=METHODS)
    resolution: float | None = _option(None, "of the map; chooses the method", bounds=(1, 50), unit="A")
    level: float | None = _option(None, "contour level at which you look at the map")
    weights: str | None = _option(None, "file of network weights instead of the bundled ones", is_file=True)
    device: str = _option(
        "auto", "what to calculate on; cuda:1 is the second GPU", choices=DEVICES, also=NUMBERED
    )
    grid_spacing: float | None = _option(None, "voxel size of the result", bounds=(0.2, 5), unit="A")
    mask: str | None = _option(None, "map; enhance only where it is above 0", is_file=True, in_chimerax=False)
    keep_lost: bool = _option(False, "blend the input into density that the network lost")
    samples: int = _option(1, "orientations; of more than one, mean and deviation", bounds=(1, 24))
    confidence: bool = _option(False, "also make a map of the probability that an atom lies within 1.5 A")
    model: str | None = _option(
        None, "PDB or mmCIF of the map: names what was lost", is_file=True, in_chimerax=False
    )
    model_number: int | None = _option(
        None, "the MODEL of that file to take, if it has several", bounds=(0, 99999), in_chimerax=False
    )
    preserve: str | None = _option(
        None,
        "model, MODEL:SELECTION or mask map where the input stays, sharpened and scaled like the result",
        in_chimerax=False,
        metavar="MODEL[:SELECTION]",
    )
    b_factor: float = _option(
        0.0,
        "of the result, in the end: below 0 sharpens it, above 0 blurs it",
        bounds=(-1000, 1000),
        unit="A^2",
    )
    low_pass: float | None = _option(None, "finer detail fades from the result", bounds=(1, 100), unit="A")
    voxel_size: float | None = _option(
        None, "of the input, where its header is wrong", bounds=(0.1, 20), unit="A", in_chimerax=False
    )
    half_maps: bool = _option(False, "enhance two half maps alone and together, and compare")

    def __post_init__(self) -> None:
        for option in OPTIONS:
            object.__setattr__(self, option.name, option.check(getattr(self, option.name)))


def _kind(hint: Any) -> type:
    return next(kind for kind in (bool, int, float, str) if kind in (hint, *getattr(hint, "__args__", ())))


OPTIONS = tuple(
    Option(f.name, _kind(type_hints(Options)[f.name]), f.default, **f.metadata) for f in fields(Options)
)


@dataclass(frozen=True)
class MapInput:
    """A map to enhance; its arrays are .npy files.

    Attributes:
        name: for messages.
        values: file of the density (z, y, x).
        grid: where the density is.
        level: contour level; None takes that of the options.
        mask: file of a mask on the same grid, 0 to its maximum.
        preserve: file of where the input stays: 0..1 on the same grid.
        sites: file of x, y, z in A (n, 3) of atoms of ligands and ions, where a loss is looked for first.
        model: file of the atoms in and about the map, see `save_atoms`: what became of their ligands is told.
    """

    name: str
    values: str
    grid: Grid
    level: float | None = None
    mask: str | None = None
    preserve: str | None = None
    sites: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class Job:
    """Maps to enhance, and how.

    Attributes:
        maps: they; half maps share the level, the mask and the sites of the first.
        folder: where the files of the results go.
        options: for all maps; `mask`, `model` and `preserve` are not looked at.
        support: whether to write the local correlation with the input.
    """

    maps: tuple[MapInput, ...]
    folder: str
    options: Options = Options()
    support: bool = False

    def __post_init__(self) -> None:
        if not self.maps:
            raise InputError("no maps in the job")
        if self.options.half_maps and len(self.maps) != 2:
            raise InputError(f"half maps are the two of one reconstruction, not {len(self.maps)}; give both")


def write_job(job: Job, path: Path) -> None:
    """Write a job file, which is JSON."""
    path.write_text(json.dumps(to_plain(job)), encoding="utf-8")


def read_job(path: Path) -> Job:
    """Read a job file.

    Raises:
        InputError: it can't be read, or is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a job file ({error})") from None
    return from_plain(Job, content, f"{path}: job")


@dataclass(frozen=True)
class Log:
    """A line for the log."""

    message: str


@dataclass(frozen=True)
class Device:
    """What the network runs on: "cpu", "cuda" or "mps", and at which precision."""

    device: str
    precision: str


@dataclass(frozen=True)
class Warned:
    """What is wrong with a map, told before its network runs."""

    map: int
    warning: InputWarning


@dataclass(frozen=True)
class Progress:
    """How many of a map's tiles are done, and an estimate of the time for the others."""

    map: int
    done: int
    total: int
    seconds_left: float


@dataclass(frozen=True)
class Result:
    """What became of a map. Half maps are followed by their mean, as map 2.

    Attributes:
        map: which, from 0.
        report: what was done.
        output: file of the result (z, y, x), on the report's output grid.
        deviation: file of the standard deviation of samples, on the same grid.
        confidence: file of the probability of an atom, on the same grid.
        support: file of the local correlation with the input, on the input's grid.
        regions: file of what was lost or invented: int32 (n, 4), the region's number in the report's list, from 1,
            negative for an invented one, and z, y, x on the input's grid.
    """

    map: int
    report: Report
    output: str
    deviation: str | None = None
    confidence: str | None = None
    support: str | None = None
    regions: str | None = None


@dataclass(frozen=True)
class HalvesResult:
    """How far enhanced half maps agree; `output` is the file of their local correlation (z, y, x) on `grid`."""

    report: HalvesComparison
    grid: Grid
    output: str


@dataclass(frozen=True)
class Failure:
    """Why a map (None: any) wasn't enhanced; `kind` is "input", "memory" or "internal"."""

    message: str
    kind: str
    map: int | None = None


@dataclass(frozen=True)
class Done:
    """The worker's last word."""


Event = Log | Device | Warned | Progress | Result | HalvesResult | Failure | Done
_EVENTS = {kind.__name__: kind for kind in Event.__args__}


def event_line(event: Event) -> str:
    """An event as a line of JSON."""
    return json.dumps({"event": type(event).__name__, **to_plain(event)})


def read_event(line: str) -> Event | None:
    """The event of a line; None for a line that is none.

    Raises:
        InputError: an event that isn't as it should be.
    """
    try:
        facts = json.loads(line)
        kind = _EVENTS[facts.pop("event")]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return from_plain(kind, facts, kind.__name__)
