"""What people were told wrongly of real maps, by the bundled networks; needs ../shared/data/maps."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import shared

from cryomap.atoms import read_model
from cryomap.density import DensityMap, read_map, values_at
from cryomap.enhancement.methods import load
from cryomap.enhancement.trusted import enhance_trusted
from cryomap.job import Options
from cryomap.metrics.assess import assess
from cryomap.metrics.changes import molecule_changes
from cryomap.trust.judgement import judge


def real(name: str) -> DensityMap:
    return read_map(shared("data", "maps", name))


def enhanced(density: DensityMap, **options):
    wanted = Options(**options)
    return enhance_trusted(density, load(wanted), wanted)


def test_support_is_the_mean_of_the_colors_at_every_level():
    """EMD-2566 with cryosamu, once .85, .57 and .24 at these levels."""
    before = real("emd_2566_chain9_zone.map.gz")
    done = enhanced(before, method="cryosamu", resolution=3.2)
    after = done.result
    judged = [judge(before, after, level=level, resolution=3.2) for level in (0.1, 0.2, 0.5)]
    assert {trust.mean_support for trust in judged} == {done.report.trust.mean_support}
    colors = values_at(judged[0].support, after.grid.to_xyz(np.argwhere(after.values > 0)[:, ::-1]))
    weights = after.values[after.values > 0]
    assert judged[0].mean_support == pytest.approx(
        np.average(colors, weights=weights), abs=0.005
    )  # sampled on the other grid


def test_a_blob_is_kept_or_named():
    """EMD-30342 has 121 A^3 at 152, 195, 181 that vanished without a word."""
    before = real("emd_30342_chainA_zone.map.gz")
    done = enhanced(before, method="superem", resolution=3.9)
    blob, report = np.array([[152.0, 195.0, 181.0]]), done.report
    indices = np.indices(before.grid.shape).reshape(3, -1).T
    distance = np.linalg.norm(before.grid.to_xyz(indices[:, ::-1]) - blob, axis=1).reshape(before.grid.shape)
    near = distance < 4
    assert before.values[near].max() > 2 * report.contour_in
    assert done.result.values[near].max() > report.contour_out
    assert not [r for r in report.trust.lost if np.linalg.norm(np.array(r.center) - blob) < 5]
    fading = ((distance - 5) / 3).clip(0, 1).astype(np.float32)
    erased = replace(done.result, values=done.result.values * fading)
    found = judge(before, erased, level=report.contour_in, resolution=3.9).lost
    assert [r for r in found if np.linalg.norm(np.array(r.center) - blob) < 5]


def test_lipids_that_mapcc_flags_are_named():
    """EMD-0093 with 6GYN: "nothing lost", where mapcc flagged 17 of 36 lipids. Here every other one is blurred."""
    whole, model = real("emd_0093_zone.map.gz"), read_model(shared("data", "maps", "6GYN.pdb.gz"))
    lipids = np.flatnonzero([residue.kind == "lipid" for residue in model.residues])
    some = lipids[:8]
    around = model.positions[np.isin(model.residue_indices, some)]
    low = np.floor(whole.grid.to_indices(around).min(axis=0)).astype(int) - 8
    high = np.ceil(whole.grid.to_indices(around).max(axis=0)).astype(int) + 9
    box = tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))
    before = replace(
        whole, values=whole.values[box], grid=whole.grid.cropped(tuple(low[::-1]), tuple((high - low)[::-1]))
    )
    near = model.subset(np.isin(model.residue_indices, some))
    lost = near.positions[np.isin(near.residue_indices, np.unique(near.residue_indices)[::2])]
    indices = np.argwhere(before.values > 0)
    points = before.grid.to_xyz(indices[:, ::-1])
    values = before.values.copy()
    for atom in lost:
        values[tuple(indices[np.linalg.norm(points - atom, axis=1) < 2.5].T)] = 0
    after = replace(before, values=values)
    found = molecule_changes(before, after, near, resolution=3.4)
    first, now = (
        scores.ligands for scores in assess([before, after], near, resolution=3.4, metrics=["classes"]).maps
    )
    marked = {i for i, scores in now.items() if scores.marks}
    assert {change.residue for change in found.flagged} == {str(near.residues[i]) for i in marked}
    erased = np.unique(near.residue_indices)[::2].tolist()
    assert marked >= {i for i in erased if first[i].above_contour} and len(marked) > 1


def test_no_class_becomes_worse_in_a_map_finer_than_the_network_draws():
    """EMD-20026 at 1.75 A, where Q of waters fell from .839 to .610, of ions from .820 to .705."""
    before, model = (
        real("emd_20026_prot_zone.map.gz"),
        read_model(shared("data", "maps", "3AJO_fit20026.pdb.gz")),
    )
    done = enhanced(before, method="superem", resolution=1.75)
    first, now = (
        scores.classes
        for scores in assess([before, done.result], model, resolution=1.75, metrics=["classes"]).maps
    )
    assert set(first) >= {"protein_main_chain", "protein_side_chain", "ion", "water"}
    assert {name: now[name].q_mean > first[name].q_mean - 0.02 for name in first} == dict.fromkeys(
        first, True
    )
