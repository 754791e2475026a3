"""What the Log says of an input before the work, what stays as it was, and what became of ligands."""

import json

import numpy as np
from chimerax.core.commands import run
from chimerax.map import volume_from_grid_data
from chimerax.map_data import ArrayGridData
from small_model import scene
from support import open_map, user_error
from test_engine import need_weights
from test_trust import log


def noise(session):
    values = np.random.default_rng(1).standard_normal((40, 40, 40)).astype(np.float32)
    volume = volume_from_grid_data(ArrayGridData(values, step=(1.2,) * 3, name="noise"), session)
    volume.set_parameters(surface_levels=[2.0])
    return volume


def test_noise_is_named_in_red_and_a_wrong_resolution_in_orange(session):
    from chimerax.map_enhance.trust.html import WARNING_COLORS

    need_weights("superem")
    noise(session)
    with log(session) as told:
        answer = run(session, "enhance #1 resolution 25", return_json=True)
    report = json.loads(answer.json_value)["maps"][0]["report"]
    assert [warning["kind"] for warning in report["warnings"]] == ["noise", "range"]
    (red,) = [text for text in told if WARNING_COLORS[True] in text and "noise" in text]
    (orange,) = [text for text in told if WARNING_COLORS[False] in text and "25 Å" in text]
    (section,) = [text for text in told if "support by the input" in text]
    assert "that means nothing" in section and "no density was lost" not in section
    before = [n for n, text in enumerate(told) if "New map" in text]
    assert told.index(red) < before[0] and told.index(orange) < before[0]


def test_what_became_of_the_ligands_is_told_with_links(session):
    need_weights("superem")
    scene(session)
    with log(session) as told:
        answer = run(session, "enhance #2 resolution 3", return_json=True)
    molecules = json.loads(answer.json_value)["maps"][0]["report"]["trust"]["molecules"]
    named = {change["residue"]: change["kind"] for change in molecules["molecules"]}
    assert named == {"#1/A:101 XYZ": "ligand", "#1/B:102 MG": "ion"} and molecules["waters"] == 1
    section = "".join(told)
    assert (
        "of 2 ligands, lipids, glycans, and ions became worse" in section and "mean Q of 1 water" in section
    )


def test_what_is_preserved_is_the_input(session):
    need_weights("superem")
    model, volume = scene(session)
    (plain,) = run(session, "enhance #2 resolution 3")
    (kept,) = run(session, "enhance #2 resolution 3 preserve #1/A:101")
    ligand = model.residues[model.residues.names == "XYZ"].atoms
    at = [v.interpolated_values(ligand.scene_coords) for v in (volume, plain, kept)]
    assert np.all(at[2] > 0) and not np.allclose(at[1], at[2])
    index = np.indices(kept.full_matrix().shape).reshape(3, -1).T[:, ::-1]
    far = kept.data.ijk_to_xyz_transform * index
    away = np.linalg.norm(far[:, None] - ligand.scene_coords, axis=2).min(axis=1) > 5
    assert np.array_equal(kept.full_matrix().ravel()[away], plain.full_matrix().ravel()[away])


def test_a_mask_can_be_preserved_and_nothing_cannot(session):
    need_weights("superem")
    scene(session)
    open_map(session, name="mask", shape=(36, 36, 36), step=(1.2,) * 3, origin=(-3.0, 4.0, 2.0))
    (kept,) = run(session, "enhance #2 resolution 3 preserve #3")
    assert kept.full_matrix().max() > 0
    with user_error("preserve takes atoms or one map"):
        run(session, "enhance #2 preserve #2,3")
    run(session, "move x 500 models #1")
    with user_error("atoms to preserve"):
        run(session, "enhance #2 preserve #1")
