"""Detail finer than a network draws comes from the input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..contour import noise_ceiling
from ..density import DensityMap
from ..trust.consistency import bring_to_grid, window_mean
from ..trust.spectrum import Spectrum

ORDER = 6  # of the Butterworth filters
CROSSING = 1.25  # of the finest that the network draws: from here on it fades, and the input takes over
SCALED = (2.2, 1.15)  # of the finest: where both hold the same, and the input's scale is taken from
AGREES = 0.7  # Fourier shell correlation of input and result at the finest that the network draws
SHOWN = 0.1  # of the result's strong density


def draws(low_pass: float, trained: tuple[float, float]) -> float:
    """The finest detail (A) that weights draw: what their card fades, else the best map that they were trained on."""
    return low_pass or trained[0]


def with_finer_detail(
    result: DensityMap, density: DensityMap, finest: float, resolution: float | None = None
) -> DensityMap:
    """The result, whose detail finer than 1.25 `finest` is replaced by the input's; the very same if it has none.

    A map whose resolution is known has such detail if that is better than `finest`. Of any other one the Fourier shell
    correlation with the result at `finest` must be 0.7. The input is scaled to the result by least squares on what
    both hold, fades beyond its resolution, and counts where either shows density: solvent stays empty.

    Args:
        result: scaled 0..1; it isn't changed.
        density: the input, on any grid.
        finest: see `draws`.
        resolution: of the input, in A.

    Returns:
        On the result's grid, 0..1.
    """
    if (resolution is not None and resolution >= finest) or not result.values.any():
        return result
    own = np.ascontiguousarray(bring_to_grid(density, result.grid).values)
    own = own - np.median(own)
    shown = _where_density_is(result, density, own)
    spectrum = Spectrum(result.grid, margin=4 * finest)
    given = spectrum.transform(own)
    del own  # of a large map every array counts
    drawn = spectrum.transform(result.values)
    shells = spectrum.shells(drawn, given)
    if resolution is None and np.interp(1 / finest, shells.frequency, shells.correlation) < AGREES:
        return result
    shared = (shells.frequency > 1 / (SCALED[0] * finest)) & (shells.frequency < 1 / (SCALED[1] * finest))
    if not shells.second[shared].any():  # nothing is finer on this grid than what the network draws
        return result
    gain = np.float32(shells.cross[shared].sum() / shells.second[shared].sum())
    for (mine, s), theirs in zip(spectrum.sections(drawn), given, strict=True):
        power = (CROSSING * finest * s) ** (2 * ORDER)
        fading = gain / np.sqrt(1 + ((resolution or 0) * s) ** (2 * ORDER))
        mine[:] = (fading * theirs - mine) * np.sqrt(power / (1 + power))
    del given
    values = spectrum.values(drawn)
    del drawn
    weight = shown.astype(np.float32)
    # 1 within about `finest` of density, falling to 0 beyond it.
    window_mean(weight, result.grid, 1.5 * finest, out=weight)
    weight /= 0.1
    values *= np.clip(weight, 0, 1, out=weight)
    values += result.values
    np.maximum(values, 0, out=values)
    values /= np.float32(max(1.0, float(values.max())))
    return replace(result, values=values)


def _where_density_is(result: DensityMap, density: DensityMap, own: np.ndarray) -> np.ndarray:
    """Where either shows density, bool (z, y, x)."""
    noise = noise_ceiling(density.values, density.grid.voxel_volume) - float(np.median(density.values))
    strong = float(np.percentile(result.values[result.values > 0], 99))
    return (result.values > SHOWN * strong) | (own > noise)
