"""Enhance a map and say at once how far the result can be trusted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..atoms import AtomicModel
from ..density import LABEL, DensityMap
from ..errors import InputError
from ..job import Options
from ..metrics.changes import molecule_changes
from ..metrics.inputs import prepare_model
from ..networks.training_ids import seen
from ..trust.confidence import confidence
from ..trust.input_verdict import InputWarning, examine, without_offset
from ..trust.judgement import Trust, judge
from ..trust.restore import keep_lost
from ..trust.restore import preserve as keep_input
from .check import require_enhanceable
from .filter import filtered
from .methods import Method, load
from .prepare import Prepared, prepare
from .report import Report
from .run import enhance_prepared
from .samples import enhance_samples
from .tiles import Progress

log = logging.getLogger(__name__)
# Told apart, since whoever shows the report as a table needs no such lines.
lost_log = log.getChild("lost")


def log_warning(warning: InputWarning) -> None:
    """Tell the log."""
    log.warning("%s", warning.message)


@dataclass(frozen=True)
class Enhanced:
    """A result and what is known about it.

    Attributes:
        result: the enhanced map (the mean where it was sampled; lost density given back and filtered where that was
            wanted).
        report: what was done; its judgement is that of the result before what was lost was given back and before
            filters, None where input and result can't be compared.
        deviation: standard deviation over the samples; None without.
        confidence: the probability, 0..1, that an atom lies within 1.5 A; None where it wasn't wanted.
    """

    result: DensityMap
    report: Report
    deviation: DensityMap | None = None
    confidence: DensityMap | None = None


def enhance(
    density: DensityMap,
    *,
    mask: DensityMap | None = None,
    model: AtomicModel | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Enhanced:
    """Enhance a map with the network that suits it, and judge the result.

    Args:
        density: the map.
        mask: 0 (leave out) to its maximum (keep), on any grid.
        model: atoms in the map's frame: names what was lost, and says where to look for it.
        progress: told after each batch of tiles; it may raise `Cancelled`.
        **options: fields of `cryomap.job.Options`: method, resolution, level, device, keep_lost, samples, ...

    Raises:
        InputError: the map, the mask or an option can't be used.
        MemoryError: not even one tile fits.
    """
    wanted = Options(**options)
    return enhance_trusted(density, load(wanted), wanted, mask=mask, model=model, progress=progress)


def enhance_trusted(
    density: DensityMap,
    method: Method,
    options: Options,
    *,
    mask: DensityMap | None = None,
    model: AtomicModel | None = None,
    sites: np.ndarray | None = None,
    preserve: np.ndarray | None = None,
    progress: Progress | None = None,
    warn: Callable[[InputWarning], None] = log_warning,
) -> Enhanced:
    """Enhance a map, compare the result with it, and give back what was lost if wanted.

    Args:
        density: the map.
        method: as loaded for these options.
        options: how; files that they name were read by the caller.
        mask, progress: as in `enhance`.
        model, sites: as in `judge`.
        preserve: where the input stays, 0..1 on the map's grid, see `trust.preserved`.
        warn: told what is wrong with the map, before the network runs; by default the log is.

    Raises:
        InputError, MemoryError: as `enhance`.
    """
    given, card = density, method.card
    if options.confidence and not card.confidence:
        raise InputError(
            f"confidence: not calibrated for {method.weights}; scripts/calibrate_confidence.py does it"
        )
    density, constant = without_offset(given)  # first, since it may make all of a map negative
    require_enhanceable(density)
    if model is not None:
        prepare_model(model, (density,))
    warnings = examine(
        given, constant, trained=card.resolution, method=card.method, resolution=options.resolution
    )
    for warning in warnings:
        warn(warning)
    prepared = prepare(density, options.level, mask, options.grid_spacing, options.resolution, constant)
    density, deviation = prepared.density, None
    if options.samples == 1:
        result, report = enhance_prepared(prepared, method, progress)
    else:
        result, deviation, report = enhance_samples(prepared, method, options.samples, progress)
    sure = confidence(result, card.confidence) if options.confidence else None
    known = seen((given.name, *given.labels), method.trained_on)
    if known:
        log.info(
            "%s: %s was trained on %s; what is measured on it says little about other maps",
            given.name, card.method, known,
        )  # fmt: skip
    report = replace(report, trained_on=known, warnings=warnings)
    if preserve is not None:
        result = keep_input(density, result, preserve, options.resolution)
        kept = round(float((preserve > 0.5).sum()) * density.grid.voxel_volume, 1)
        report = replace(report, preserved=kept, **prepared.contours(result))
    result = replace(result, labels=(*given.labels, f"{LABEL}: enhanced by {card.method} {card.version}"))
    result, report = _judged(given, prepared, result, report, options, model, sites, sure)
    return Enhanced(*_filtered(result, report, prepared, options), deviation, sure)


def _judged(
    given: DensityMap,
    prepared: Prepared,
    result: DensityMap,
    report: Report,
    options: Options,
    model: AtomicModel | None,
    sites: np.ndarray | None,
    sure: DensityMap | None,
) -> tuple[DensityMap, Report]:
    """The result with what was lost given back if wanted, and its report with the judgement, where there is one."""
    density, begun = prepared.density, time.monotonic()
    try:
        trust = judge(
            density, result, level=prepared.level, resolution=options.resolution, model=model, sites=sites
        )
    except InputError as error:
        log.warning("the result can't be compared with the input: %s", error)
        return result, report
    if sure is not None:
        trust = trust.with_confidence(sure, density.grid)
    restored, changes = 0, None
    if trust.lost:
        for line in describe_lost(trust, options.keep_lost):
            lost_log.warning("%s: %s", density.name, line)
        if options.keep_lost:
            result, restored = keep_lost(density, result, trust), len(trust.lost)
            report = replace(report, **prepared.contours(result))
    if model is not None:
        levels = (None, None) if options.level is None else (report.contour_in, report.contour_out)
        changes = molecule_changes(
            given,
            result,
            model,
            resolution=options.resolution,
            levels=levels,
            background=prepared.constant,
        )
    seconds = round(time.monotonic() - begun, 3)
    noise = trust.noise * prepared.unit
    trust = replace(trust, noise=noise, restored=restored, molecules=changes, seconds=seconds)
    return result, replace(report, trust=trust)


def _filtered(
    result: DensityMap, report: Report, prepared: Prepared, options: Options
) -> tuple[DensityMap, Report]:
    """The result with the B factor and the resolution that the user wants, and its contour level."""
    if not options.b_factor and options.low_pass is None:
        return result, report
    result = prepared.masked(filtered(result, options.b_factor, options.low_pass))
    return result, replace(report, **prepared.contours(result))


def describe_lost(trust: Trust, restored: bool, most: int = 5) -> list[str]:
    """What was lost, for the log: a line for all, one for each of the first few."""
    action = "filled from the input" if restored else "--keep-lost gives it back"
    count = len(trust.lost)
    lines = [f"{count} region{'s' if count > 1 else ''} of density lost ({action}):"]
    for region in trust.lost[:most]:
        at = ", ".join(f"{x:.1f}" for x in region.center)
        name = f"{region.nearest} " if region.nearest else ""
        lines.append(
            f"  {name}at {at}: {region.volume:.0f} A^3, {100 * region.share:.0f} % gone, {region.peak_sigma:.1f} sigma"
        )
    return lines + ([f"  and {count - most} more"] if count > most else [])
