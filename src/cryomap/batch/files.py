"""Enhance a map file into another, as the command line and its workers do."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..atoms import read_model
from ..density import read_map, require_writable, write_map
from ..networks.card import BUNDLED

if TYPE_CHECKING:
    from ..enhancement.methods import Method
    from ..enhancement.tiles import Progress
    from ..enhancement.trusted import Enhanced

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How to enhance, the same for all maps of a command.

    Attributes:
        method: "superem", "cryosamu" or None: by the resolution, or as the weights are.
        resolution: of the maps, in A, or None.
        contour: level at which one looks at the maps, or None.
        weights: a file instead of the bundled ones.
        device: "auto", "cpu", "cuda" or "mps".
        grid_spacing: of the results, in A, or None.
        mask: a map file; only where it is above 0 is enhanced.
        keep_lost: blend the input into density that the network lost.
        samples: orientations to run.
        model: an atomic model file in the maps' frame: names what was lost, and says where to look for it first.
    """

    method: str | None = None
    resolution: float | None = None
    contour: float | None = None
    weights: str | None = None
    device: str = "auto"
    grid_spacing: float | None = None
    mask: str | None = None
    keep_lost: bool = False
    samples: int = 1
    model: str | None = None


def choose(settings: Settings) -> tuple[str | None, str]:
    """The method's name, None to take that of the weights file, and why, in words for the log ("" if it's named).

    Raises:
        InputError: a resolution that no map has.
    """
    from ..enhancement.check import require_resolution
    from ..enhancement.methods import choose_method

    if settings.resolution is not None:
        require_resolution(settings.resolution)
    if settings.method is None and settings.weights is None:
        return choose_method(settings.resolution)
    return settings.method, ""


def weights_files(settings: Settings) -> list[Path]:
    """The weights file that these settings mean and, where it has one, its card."""
    if settings.weights:
        weights = Path(settings.weights)
    else:
        weights = BUNDLED / f"{choose(settings)[0]}.safetensors"
    card = weights.with_suffix(".json")
    return [weights, card] if weights.suffix == ".safetensors" and card.is_file() else [weights]


def load(settings: Settings) -> Method:
    """The network of these settings on its device.

    Raises:
        InputError: as `load_method`, or a resolution that no map has.
    """
    from ..enhancement.methods import load_method

    name, reason = choose(settings)
    if reason:
        log.info(reason)
    return load_method(name, settings.weights, settings.device)


def load_once(settings: Settings) -> Method:
    """`load`, but only once in a process as long as settings and weights stay what they are."""
    stats = [path.stat() for path in weights_files(settings) if path.is_file()]
    return _load_once(settings, tuple((stat.st_mtime_ns, stat.st_size) for stat in stats))


@lru_cache(maxsize=1)
def _load_once(settings: Settings, _stamps: tuple) -> Method:
    return load(settings)


def enhance_file(
    source: str | os.PathLike,
    result: str | os.PathLike,
    settings: Settings,
    progress: Progress | None = None,
    get_method: Callable[[Settings], Method] = load,
) -> Enhanced:
    """Read a map, enhance it, and write the result, and with samples their deviation beside it (`_sd`).

    Args:
        source: the map.
        result: the file to write; whole or not at all.
        settings: how.
        progress: told after each batch of tiles.
        get_method: gives the network; asked once the files are known to be good.

    Raises:
        InputError: a file can't be read or written, or holds what can't be enhanced.
        MemoryError: not even one tile fits.
    """
    require_writable(result, keep=source)
    density = read_map(source)
    mask = read_map(settings.mask) if settings.mask else None
    model = read_model(settings.model) if settings.model else None
    method = get_method(settings)
    from ..enhancement.trusted import enhance_trusted

    done = enhance_trusted(
        density,
        method,
        settings.contour,
        mask,
        settings.grid_spacing,
        progress,
        resolution=settings.resolution,
        keep=settings.keep_lost,
        samples=settings.samples,
        model=model,
    )
    write_map(done.result, result)
    if done.deviation is not None:
        write_map(done.deviation, deviation_path(result))
    return done


def deviation_path(result: str | os.PathLike) -> Path:
    """Where the deviation of samples goes."""
    return beside(result, "_sd")


def beside(path: str | os.PathLike, suffix: str) -> Path:
    """The path with a suffix before its extension: map_1.5A.mrc.gz becomes map_1.5A_sd.mrc.gz."""
    path = Path(path)
    ending = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    return path.with_name(f"{path.name.removesuffix(ending)}{suffix}{ending}")
