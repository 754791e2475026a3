"""Enhance a map and say at once how far the result can be trusted."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..atoms import AtomicModel
from ..density import DensityMap
from ..errors import InputError
from ..trust.judgement import Trust, judge
from ..trust.restore import keep_lost
from .methods import Method
from .run import Report, enhance, unit_mask
from .samples import enhance_samples
from .tiles import Progress

log = logging.getLogger(__name__)
# Told apart, since whoever shows the report as a table needs no such lines.
lost_log = log.getChild("lost")


@dataclass(frozen=True)
class Enhanced:
    """A result and what is known about it.

    Attributes:
        result: the enhanced map (the mean where it was sampled; lost density given back where that was wanted).
        report: what was done.
        trust: the judgement of the network's own result; None where input and result can't be compared.
        deviation: standard deviation over the samples; None without.
        restored: how many lost regions were filled.
        trust_seconds: what judging and filling took.
    """

    result: DensityMap
    report: Report
    trust: Trust | None
    deviation: DensityMap | None
    restored: int
    trust_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The report with the trust summary under "trust" (null where there is none)."""
        trust = self.trust and {
            **self.trust.to_dict(),
            "restored": self.restored,
            "seconds": round(self.trust_seconds, 3),
        }
        return {**self.report.to_dict(), "trust": trust}


def enhance_trusted(
    density: DensityMap,
    method: Method,
    level: float | None = None,
    mask: DensityMap | None = None,
    grid_spacing: float | None = None,
    progress: Progress | None = None,
    *,
    resolution: float | None = None,
    keep: bool = False,
    samples: int = 1,
    model: AtomicModel | None = None,
    sites: np.ndarray | None = None,
) -> Enhanced:
    """Enhance a map, compare the result with it, and give back what was lost if wanted.

    Args:
        density, method, level, mask, grid_spacing, progress: as in `enhance`.
        resolution: of the map, in A.
        keep: blend the input into lost regions.
        samples: orientations to run; 1 is the map as it is.
        model, sites: as in `judge`.

    Raises:
        InputError, MemoryError: as `enhance`.
    """
    deviation = None
    if samples == 1:
        result, report = enhance(density, method, level, mask, grid_spacing, progress)
    else:
        result, deviation, report = enhance_samples(
            density, method, samples, level, mask, grid_spacing, progress
        )
    begun = time.monotonic()
    if mask is not None:
        density = replace(density, values=density.values * unit_mask(mask, density).values)
    trust, restored = None, 0
    try:
        trust = judge(
            density, result, level=report.contour_in, resolution=resolution, model=model, sites=sites
        )
    except InputError as error:
        log.warning("the result can't be compared with the input: %s", error)
    if trust is not None and trust.lost:
        for line in describe_lost(trust, keep):
            lost_log.warning("%s: %s", density.name, line)
        if keep:
            result, restored = keep_lost(density, result, trust), len(trust.lost)
    return Enhanced(result, report, trust, deviation, restored, time.monotonic() - begun)


def describe_lost(trust: Trust, restored: bool, most: int = 5) -> list[str]:
    """What was lost, for the log: a line for all, one for each of the first few."""
    action = "filled from the input" if restored else "keepLost gives it back"
    count = len(trust.lost)
    lines = [f"{count} region{'s' if count > 1 else ''} of density lost ({action}):"]
    for region in trust.lost[:most]:
        at = ", ".join(f"{x:.1f}" for x in region.center)
        name = f"{region.nearest} " if region.nearest else ""
        lines.append(
            f"  {name}at {at}: {region.volume:.0f} A^3, {100 * region.share:.0f} % gone, {region.peak_sigma:.1f} sigma"
        )
    return lines + ([f"  and {count - most} more"] if count > most else [])
