"""One list of steps, which the training maps, the trust benchmark and the contact sheet walk."""

from dataclasses import fields, replace

import torch
from training_data import made_structure

from contact_sheet import APART, drawn_steps
from simulation.box import Box
from simulation.settings import Settings
from simulation.steps import STEPS, Making
from trust_benchmark.complexes import LEFT_OUT

SURE = dict.fromkeys(("side_chains", "solvent", "detergent", "anisotropic", "zone", "coarse"), 1.0)


def made() -> Making:
    atoms = made_structure(2000)
    atoms = replace(atoms, positions=atoms.positions + 18).chosen(atoms.chains % 2 == 0)
    return Making(atoms, Box((64, 60, 56)), 4.0)


def test_every_step_changes_the_map_and_the_last_density_is_the_map():
    rng, m, before = torch.Generator().manual_seed(1), made(), None
    for name, step in STEPS.items():
        m = step(m, Settings(**SURE, soft_mask=0, blobs=1), rng)
        changed = before is None or not torch.equal(m.density(), before)
        assert changed == (name not in ("atoms to density", "soft mask")), name
        before = m.density()
    assert m.density().shape == (64, 60, 56) and torch.isfinite(m.density()).all()
    assert {"detergent", "blobs", "anisotropic", "zone mask", "coarse voxels"} <= set(m.story)


def test_the_transfer_is_what_the_signal_went_through():
    """With noise taken from the same draws, the map is the signal times the transfer, plus what isn't signal."""
    names = (
        "local B factors",
        "atoms to density",
        "solvent contrast",
        "noise",
        "post-processing",
        "anisotropy",
    )
    settings, m, rng = Settings(**SURE), made(), torch.Generator().manual_seed(2)
    for name in names[:2]:
        m = STEPS[name](m, settings, rng)
    atoms = m.signal
    for name in names[2:]:
        before, m = m, STEPS[name](m, settings, rng)
        if name == "noise":
            noise = m.coefficients - before.coefficients
            filters = torch.ones_like(m.transfer)
        elif name != "solvent contrast":
            filters = filters * m.transfer / before.transfer.clamp(min=1e-12)
    expected = atoms * m.transfer + noise * filters
    assert float((m.coefficients - expected).abs().max()) < 1e-3 * float(expected.abs().max())


def test_all_that_is_drawn_or_left_out_is_a_step_or_a_setting():
    assert set(LEFT_OUT) <= set(STEPS) and set(APART) <= set(STEPS)
    assert set(APART.values()) <= {f.name for f in fields(Settings)}
    drawn = [name for name, _ in drawn_steps(made_structure(200), Settings(box=48), 4.0)]
    assert drawn == [*(name for name in STEPS if name != "atoms to density"), "target"]


def test_a_map_as_stated_has_the_stated_resolution():
    """Where the half-map FSC passes 0.143."""
    m, rng = made(), torch.Generator().manual_seed(3)
    settings = Settings(overstated=None, unexplained=None)
    for name in ("local B factors", "atoms to density", "noise"):
        m = STEPS[name](m, settings, rng)
    near = (m.box.frequencies - 1 / 4.0).abs() < 0.002
    assert abs(float(m.fsc[near].mean()) - 0.143) < 0.02 and m.unexplained == 0
