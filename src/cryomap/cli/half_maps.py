"""The command line of half maps: `python -m cryomap enhance HALF1 HALF2 --half-maps -o OUT.mrc`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..batch.files import beside
from ..density import DensityMap, require_writable, write_map
from ..errors import InputError
from ..trust.halves import HalvesComparison, require_halves

if TYPE_CHECKING:
    from ..atoms import AtomicModel
    from ..enhancement.methods import Method
    from ..enhancement.tiles import Progress

PARTS = ("_half1", "_half2", "_agreement")


def require_half_maps(options: argparse.Namespace, halves: list[DensityMap]) -> None:
    """Raise InputError unless there are two maps on one grid, and outputs that can be written."""
    if len(halves) != 2:
        raise InputError(f"--half-maps takes the two half maps of one reconstruction, not {len(halves)}")
    require_halves(*halves)
    for path in _outputs(options):
        for given in options.maps:
            require_writable(path, keep=given)


def enhance_half_maps(
    options: argparse.Namespace,
    halves: list[DensityMap],
    mask: DensityMap | None,
    method: Method,
    progress: Progress | None,
    model: AtomicModel | None = None,
) -> None:
    """Enhance two half maps alone and together, write all results, and say how far the halves agree.

    The result of their mean goes to the output, those of the halves and the local correlation of these beside
    it, as OUTPUT_half1, OUTPUT_half2 and OUTPUT_agreement.

    Args:
        options: of the command.
        halves: see `require_half_maps`.
        mask, method, progress, model: as in `enhance_trusted`.

    Raises:
        InputError, MemoryError: as `enhance_trusted`.
    """
    from ..enhancement.halves import enhance_halves

    done = enhance_halves(
        *halves,
        method,
        options.contour,
        mask,
        options.grid_spacing,
        progress,
        resolution=options.resolution,
        keep=options.keep_lost,
        samples=options.samples,
        model=model,
    )
    results = [done.together.result, *(half.result for half in done.halves), done.comparison.agreement]
    paths = _outputs(options)
    for result, path in zip(results, paths, strict=True):
        write_map(result, path)
    if options.json:
        places = {"inputs": options.maps, "outputs": [str(path) for path in paths]}
        print(json.dumps({**places, **done.to_dict()}))
    else:
        print(summary(options.output, done.comparison))


def _outputs(options: argparse.Namespace) -> list[Path]:
    return [Path(options.output), *(beside(options.output, part) for part in PARTS)]


def summary(output: str, found: HalvesComparison) -> str:
    """What the halves' comparison says, in a few lines."""
    before, after = (f"{d:.2f} A" if d else "nowhere" for d in (found.d_before, found.d_after))
    count = len(found.disagreements)
    return (
        f"{output}: unmasked FSC of the half maps falls below 0.143 at {before}, of the enhanced halves at {after}; "
        f"{count} region{'' if count == 1 else 's'} where the enhanced halves disagree\n{found.warning}"
    )
