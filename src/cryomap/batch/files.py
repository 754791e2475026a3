"""Enhance a map file into another, as the command line and its workers do."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..atoms import read_model
from ..containers import COMPRESSED
from ..density import DensityMap, is_ours, read_map, write_map
from ..errors import InputError, memory_for
from ..job import Options
from ..networks.card import BUNDLED
from ..outputs import require_map_output, require_outputs
from ..replacing import is_device
from ..trust.preserved import read_preserved, split_selection

if TYPE_CHECKING:
    from ..enhancement.methods import Method
    from ..enhancement.tiles import Progress
    from ..enhancement.trusted import Enhanced

# Told apart, since of several maps the same needs to be told only once.
note_log = logging.getLogger(__name__).getChild("notes")

BESIDE = {"deviation": "_sd", "confidence": "_confidence"}  # maps beside a result: fields of `Enhanced`


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
    if options.model_number is not None and not options.model:
        raise InputError(f"model number {options.model_number}: give the model's file, too")
    mask = read_map(options.mask) if options.mask else None
    model = read_model(options.model, options.model_number) if options.model else None
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
    """Read a map, enhance it, and write the result, and beside it the deviation of samples and the confidence.

    Args:
        source: the map.
        result: the file to write; whole or not at all.
        options, progress: as in `enhancer`.

    Raises:
        InputError: a file can't be read or written, or holds what can't be enhanced.
        MemoryError: not even one tile fits.
    """
    require_map_output(result)
    require_outputs(result_files(result, options), [source, *input_files(options)])
    require_ours(result_files(result, options)[1:])
    done = enhance_source(source, options, progress)
    write_results(done, result)
    return done


def enhance_source(source: str | os.PathLike, options: Options, progress: Progress | None = None) -> Enhanced:
    """Read a map and enhance it; arguments and errors as in `enhance_file`."""
    density = read_input(source, options)
    with memory_for(f"{source}, {density.grid}"):
        return enhancer(options, progress)(density)


def read_input(source: str | os.PathLike, options: Options) -> DensityMap:
    """A map to enhance; what was taken otherwise than its header says is logged.

    Raises:
        InputError, MemoryError: as `read_map`.
    """
    density = read_map(source, options.voxel_size)
    for note in density.notes:
        note_log.warning(note)
    return density


def write_results(done: Enhanced, result: str | os.PathLike) -> list[Path]:
    """Write a result and the maps beside it; returns the files.

    Raises:
        WriteError: one can't be written.
    """
    files = [Path(result)]
    write_map(done.result, result)
    for name, suffix in BESIDE.items():
        if (density := getattr(done, name)) is not None:
            files.append(beside(result, suffix))
            write_map(density, files[-1])
    return files


def result_files(result: str | os.PathLike, options: Options) -> list[Path]:
    """The files that these options make of a map: the result, and the maps beside it."""
    made = {"deviation": options.samples > 1, "confidence": options.confidence}
    return [Path(result), *(beside(result, suffix) for name, suffix in BESIDE.items() if made[name])]


def input_files(options: Options) -> list[str | os.PathLike]:
    """The files that these options read."""
    preserve = split_selection(options.preserve)[0] if options.preserve else None
    return [*filter(None, (options.mask, options.model, preserve)), *weights_files(options)]


def require_ours(files: Iterable[Path]) -> None:
    """Refuse to replace maps that are not of this package's making, where nobody gave their names.

    Raises:
        InputError: there is such a file.
    """
    for path in files:
        if os.path.lexists(path) and not is_device(path) and not is_ours(path):
            raise InputError(
                f"{path}: would be replaced, but is no result of this program; move it, or give another name or folder"
            )


def beside(path: str | os.PathLike, suffix: str) -> Path:
    """The path with a suffix before its extension: map_1.5A.mrc.gz becomes map_1.5A_sd.mrc.gz."""
    path = Path(path)
    ending = "".join(path.suffixes[-2:]) if path.suffix in COMPRESSED else path.suffix
    return path.with_name(f"{path.name.removesuffix(ending)}{suffix}{ending}")
