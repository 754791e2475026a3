"""The command line of half maps: `python -m cryomap enhance HALF1 HALF2 --half-maps -o OUT.mrc`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..batch.files import (
    beside,
    enhancer,
    input_files,
    read_input,
    require_ours,
    result_files,
    write_results,
)
from ..density import write_map
from ..errors import InputError, memory_for
from ..job import Options
from ..outputs import require_map_output, require_outputs
from ..trust.halves import HalvesComparison, require_same_grid
from ..typed_json import to_plain

if TYPE_CHECKING:
    from ..enhancement.tiles import Progress

PARTS = ("_half1", "_half2", "_agreement")


def enhance_half_maps(
    maps: Sequence[str], output: str, options: Options, as_json: bool, progress: Progress | None
) -> None:
    """Enhance two half maps alone and together, write all results, and say how far the halves agree.

    The result of their mean goes to the output, those of the halves and the local correlation of these beside
    it, as OUTPUT_half1, OUTPUT_half2 and OUTPUT_agreement; so do the maps that come beside any result.

    Raises:
        InputError: not two maps on one grid, outputs that can't be written, or as `enhance_trusted`.
        MemoryError: as `enhance_trusted`.
    """
    if len(maps) != 2:
        raise InputError(f"--half-maps takes the two half maps of one reconstruction, not {len(maps)}")
    paths = [*(beside(output, part) for part in PARTS), *result_files(output, options)]
    require_map_output(output)
    require_outputs(paths, [*maps, *input_files(options)])
    require_ours(path for path in paths if path != Path(output))
    first, second = (read_input(path, options) for path in maps)
    require_same_grid(first.grid, second.grid, (first.name, second.name))
    enhance = enhancer(options, progress)
    from ..enhancement.halves import enhance_halves

    with memory_for(f"{maps[0]}, {first.grid}"):
        (one, two, together), comparison = enhance_halves(first, second, enhance)
    assert comparison.agreement is not None  # only what came as JSON lacks it
    for result, path in zip((one.result, two.result, comparison.agreement), paths, strict=False):
        write_map(result, path)
    paths = [*write_results(together, output), *paths[: len(PARTS)]]
    if as_json:
        places = {"inputs": list(maps), "outputs": [str(path) for path in paths]}
        print(json.dumps({**places, **to_plain(together.report), "halves": to_plain(comparison)}))
    else:
        print(summary(output, comparison))


def summary(output: str, found: HalvesComparison) -> str:
    """What the halves' comparison says, in a few lines."""
    falls = {"before": found.d_before, "after": found.d_after}
    before, after = (
        f"at {d:.2f} A" if d else f"nowhere down to {found.fsc[key].d[-1]:.2f} A" for key, d in falls.items()
    )
    count = len(found.disagreements)
    return (
        f"{output}: unmasked FSC of the half maps falls below 0.143 {before}, of the enhanced halves {after}; "
        f"{count} region{'' if count == 1 else 's'} where the enhanced halves disagree\n{found.warning}"
    )
