"""The steps from atoms to a map as a microscope gives it, in their order: `STEPS`, by name.

Each takes a `Making` and gives the next one. Whoever simulates walks the same list: the training maps all of it,
the trust benchmark without some, the contact sheet drawing each. What is random comes from `rng`, as often as
`Settings` has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Generator, Tensor

from . import degrade, side_chains, surroundings
from .atoms_to_density import displaced_volumes, structure_density
from .box import Box
from .randomness import chance, uniform
from .settings import Settings
from .structures import Structure


@dataclass(frozen=True)
class Making:
    """A map in the making; what a step hasn't come to yet is None.

    Attributes:
        atoms: in the box, positions z, y, x in A from the first voxel.
        box: where.
        resolution: the stated one, in A.
        zoned: whether a zone mask is to be cut out; None leaves it to the step.
        zone: (n,) bool, the atoms that it is cut out about; None for all.
        story: what was done.
        b_mean, b_factors: of the atoms, A^2.
        shown: (n,), how much of each atom shows.
        displaced: (n,), A^3 of ice that each is in the place of.
        molecule: (z, y, x) bool.
        extra: density (z, y, x) that no model explains: detergent, blobs.
        signal: coefficients without noise.
        coefficients: of the map so far.
        transfer: factor of the atoms' coefficients so far.
        fsc: half-map FSC at each coefficient.
        unexplained: amount of it that is to come.
        mask: (z, y, x), 0..1, what is left of the box.
        values: the map (z, y, x), once it is no longer its coefficients.
    """

    atoms: Structure
    box: Box
    resolution: float
    zoned: bool | None = None
    zone: Tensor | None = None
    story: tuple[str, ...] = ()
    b_mean: float = 0.0
    b_factors: Tensor | None = None
    shown: Tensor | None = None
    displaced: Tensor | None = None
    molecule: Tensor | None = None
    extra: Tensor | None = None
    signal: Tensor | None = None
    coefficients: Tensor | None = None
    transfer: Tensor | None = None
    fsc: Tensor | None = None
    unexplained: float = 0.0
    mask: Tensor | None = None
    values: Tensor | None = None

    def density(self) -> Tensor:
        """The map (z, y, x) as it stands."""
        if self.values is not None:
            return self.values
        return self.box.real(atoms_signal(self) if self.coefficients is None else self.coefficients)

    def times(self, factors: Tensor, *story: str) -> Making:
        """The map with every coefficient multiplied."""
        transfer = factors if self.transfer is None else self.transfer * factors
        return replace(
            self, coefficients=self.coefficients * factors, transfer=transfer, story=self.story + story
        )


Step = Callable[[Making, Settings, Generator], Making]


def atoms_signal(m: Making) -> Tensor:
    """Coefficients of the atoms' density, as far as they are known by now."""
    a = m.atoms
    return structure_density(a.positions, a.atomic_numbers, m.b_factors, m.box, m.shown, m.displaced)


def _local_b_factors(m: Making, settings: Settings, rng: Generator) -> Making:
    mean = m.resolution**2 * uniform(*settings.mean_b, rng)
    b = degrade.local_b_factors(m.atoms.positions, m.atoms.b_ranks, mean, m.box, rng, settings.local_b)
    return replace(m, b_mean=mean, b_factors=b)


def _residues_of_their_own(m: Making, _settings: Settings, rng: Generator) -> Making:
    return replace(m, shown=side_chains.strengths(m.atoms.residues, rng))


def _weak_side_chains(m: Making, settings: Settings, rng: Generator) -> Making:
    if not chance(settings.side_chains, rng):
        return m
    a = m.atoms
    b = m.b_factors + side_chains.motion(a.depths, a.residues, a.b_ranks, m.b_mean, rng)
    return replace(
        m, b_factors=b, shown=m.shown * side_chains.occupancies(a.depths, a.charges, a.residues, rng)
    )


def _displaced_ice(m: Making, _settings: Settings, rng: Generator) -> Making:
    # Real maps show side chains from 10 to 5 A as if atoms displaced more ice than their volumes hold.
    volumes = displaced_volumes(m.atoms.atomic_numbers, m.atoms.depths)
    return replace(m, displaced=uniform(1.0, 1.8, rng) * volumes)


def _atoms_to_density(m: Making, _settings: Settings, _rng: Generator) -> Making:
    signal = atoms_signal(m)
    return replace(
        m,
        signal=signal,
        coefficients=signal,
        molecule=surroundings.near(m.atoms.positions, 2.5, m.box),
    )


def _detergent(m: Making, settings: Settings, rng: Generator) -> Making:
    if not chance(settings.detergent, rng):
        return m
    return _with_extra(m, surroundings.detergent(m.molecule, _level(m), m.box, rng), "detergent")


def _blobs(m: Making, settings: Settings, rng: Generator) -> Making:
    if not chance(settings.blobs, rng):
        return m
    return _with_extra(m, surroundings.blobs(_level(m), m.box, rng), "blobs")


def _level(m: Making) -> float:
    """Mean density of the molecule at low resolution."""
    if not m.molecule.any():
        return 0.0
    return float(m.box.real(m.signal * (m.box.frequencies < 0.1))[m.molecule].mean())


def _with_extra(m: Making, density: Tensor, story: str) -> Making:
    extra = density if m.extra is None else m.extra + density
    coefficients = m.signal + m.box.fourier(extra)
    return replace(m, extra=extra, coefficients=coefficients, story=(*m.story, story))


def _solvent_contrast(m: Making, settings: Settings, rng: Generator) -> Making:
    return m.times(degrade.solvent_contrast(m.box, rng)) if chance(settings.solvent, rng) else m


def _noise(m: Making, settings: Settings, rng: Generator) -> Making:
    true = m.resolution
    if settings.overstated:  # what a paper states is rarely too cautious
        true *= uniform(0.97, settings.at(m.resolution, settings.overstated), rng)
    fsc = degrade.half_map_fsc(m.box.frequencies, true, uniform(5, 14, rng))
    filled = min(1.0, max(0.05, float(m.molecule.float().mean()) * uniform(2, 4, rng)))
    amount = 0.0
    if settings.unexplained:
        amount = uniform(0, settings.at(m.resolution, settings.unexplained), rng)
    noisy = m.coefficients + degrade.noise(m.coefficients, fsc, filled, m.box, rng)
    return replace(m, signal=m.coefficients, coefficients=noisy, fsc=fsc, unexplained=amount)


def _unexplained(m: Making, _settings: Settings, rng: Generator) -> Making:
    added = degrade.unexplained(m.signal, m.molecule, m.unexplained, m.box, rng)
    return replace(m, coefficients=m.coefficients + added)


def _post_processing(m: Making, _settings: Settings, rng: Generator) -> Making:
    return m.times(degrade.sharpen(m.fsc, m.resolution, m.b_mean, m.box, rng))


def _anisotropy(m: Making, settings: Settings, rng: Generator) -> Making:
    return m.times(degrade.anisotropy(m.box, rng), "anisotropic") if chance(settings.anisotropic, rng) else m


def _zone_mask(m: Making, settings: Settings, rng: Generator) -> Making:
    """A chain's zone, as people cut it out."""
    if m.zoned is None:
        m = replace(m, zoned=chance(settings.zone, rng))
    if not m.zoned or (m.zone is not None and not m.zone.any()):
        return m
    positions = m.atoms.positions if m.zone is None else m.atoms.positions[m.zone]
    return _masked(m, surroundings.near(positions, uniform(3, 6, rng), m.box).float(), rng, "zone mask")


def _soft_mask(m: Making, settings: Settings, rng: Generator) -> Making:
    """A mask about everything, of what has none yet."""
    if m.mask is not None or not chance(settings.soft_mask, rng):
        return m
    wide = surroundings.near(m.atoms.positions, uniform(5, 12, rng), m.box)
    return _masked(m, surroundings.soft_edge(wide, uniform(2, 6, rng), m.box), rng, "soft mask")


def _masked(m: Making, mask: Tensor, rng: Generator, story: str) -> Making:
    m = replace(m, values=m.density() * mask, mask=mask, story=(*m.story, story))
    if m.zoned and chance(0.4, rng):
        m = replace(m, values=m.values.clamp(min=0), story=(*m.story, "positive only"))
    return m


def _coarse_voxels(m: Making, settings: Settings, rng: Generator) -> Making:
    if not chance(settings.coarse, rng):
        return m
    return replace(
        m,
        values=degrade.coarse_voxels(m.density(), m.resolution, rng),
        story=(*m.story, "coarse voxels"),
    )


STEPS: dict[str, Step] = {
    "local B factors": _local_b_factors,
    "residues of their own": _residues_of_their_own,
    "weak side chains": _weak_side_chains,
    "displaced ice": _displaced_ice,
    "atoms to density": _atoms_to_density,
    "detergent": _detergent,
    "blobs": _blobs,
    "solvent contrast": _solvent_contrast,
    "noise": _noise,
    "unexplained": _unexplained,
    "post-processing": _post_processing,
    "anisotropy": _anisotropy,
    "zone mask": _zone_mask,
    "soft mask": _soft_mask,
    "coarse voxels": _coarse_voxels,
}
