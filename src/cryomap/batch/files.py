"""Enhance a map file into another, as the command line and its workers do."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..atoms import read_model
from ..density import DensityMap, read_map, require_writable, write_map
from ..job import Options
from ..networks.card import BUNDLED
from ..trust.preserved import read_preserved

if TYPE_CHECKING:
    from ..enhancement.methods import Method
    from ..enhancement.tiles import Progress
    from ..enhancement.trusted import Enhanced


def weights_files(options: Options) -> list[Path]:
    """The weights file that these options mean and, where it has one, its card."""
    from ..enhancement.methods import choose

    weights = Path(options.weights or BUNDLED / f"{choose(options)[0]}.safetensors")
    card = weights.with_suffix(".json")
    return [weights, card] if weights.suffix == ".safetensors" and card.is_file() else [weights]


def load_once(options: Options) -> Method:
    """The network of these options; loaded once in a process as long as they and the weights stay what they are."""
    stats = [path.stat() for path in weights_files(options) if path.is_file()]
    return _load_once(options, tuple((stat.st_mtime_ns, stat.st_size) for stat in stats))


@lru_cache(maxsize=1)
def _load_once(options: Options, _stamps: tuple) -> Method:
    from ..enhancement.methods import load

    return load(options)


def enhancer(options: Options, progress: Progress | None = None) -> Callable[[DensityMap], Enhanced]:
    """A function that enhances a map as these options say, their files read and their network loaded.

    Args:
        options: how.
        progress: told after each batch of tiles.

    Raises:
        InputError: a file can't be read, or holds what can't be used.
    """
    mask = read_map(options.mask) if options.mask else None
    model = read_model(options.model) if options.model else None
    method = load_once(options)
    from ..enhancement.trusted import enhance_trusted

    def enhance(density: DensityMap) -> Enhanced:
        preserve = read_preserved(options.preserve, density) if options.preserve else None
        return enhance_trusted(
            density, method, options, mask=mask, model=model, preserve=preserve, progress=progress
        )

    return enhance


def enhance_file(
    source: str | os.PathLike,
    result: str | os.PathLike,
    options: Options,
    progress: Progress | None = None,
) -> Enhanced:
    """Read a map, enhance it, and write the result, and with samples their deviation beside it (`_sd`).

    Args:
        source: the map.
        result: the file to write; whole or not at all.
        options, progress: as in `enhancer`.

    Raises:
        InputError: a file can't be read or written, or holds what can't be enhanced.
        MemoryError: not even one tile fits.
    """
    require_writable(result, keep=source)
    density = read_map(source)
    done = enhancer(options, progress)(density)
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
