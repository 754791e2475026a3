"""The command `enhance`, with an engine that is quick and fails on demand."""

import json
import os
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from chimerax.core.commands import run
from support import asked, leftovers, open_map, use_fake_engine, use_python, user_error


def test_new_model_and_hidden_input(session):
    use_fake_engine()
    volume = open_map(session, name="my map")
    before = volume.full_matrix().copy()
    results = run(session, "enhance #1 method cryosamu")
    assert [result.name for result in results] == ["my map cryosamu"]
    assert results[0] in session.models and results[0] is not volume
    assert not volume.display and results[0].display
    drawn = results[0].rendering_options
    assert (
        drawn.surface_smoothing and drawn.subdivide_surface and not volume.rendering_options.surface_smoothing
    )
    assert np.array_equal(volume.full_matrix(), before)
    assert [surface.level for surface in volume.surfaces] == [0.3]
    assert leftovers() == []


def test_input_stays_shown_if_wanted(session):
    use_fake_engine()
    volume = open_map(session)
    run(session, "enhance #1 hideInput false")
    assert volume.display


def test_options_reach_the_engine(session):
    from chimerax.map_enhance.cryomap.job import OPTIONS
    from chimerax.map_enhance.enhance.job import EnhanceJob

    use_fake_engine()
    open_map(session)
    seen = []
    original = EnhanceJob.finish
    EnhanceJob.finish = lambda job: (seen.extend(one.report for one in job.opened), original(job))[1]
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as weights:
        name = os.path.relpath(weights.name)
        try:
            run(
                session,
                "enhance #1 method superem resolution 3.7 level 0.5 device cpu gridSpacing 0.8"
                " keepLost true samples 3"
                f" weights {name}",
            )
        finally:
            EnhanceJob.finish = original
        assert asked(seen[0].weights)["options"] == {
            **{option.name: option.default for option in OPTIONS},
            "method": "superem",
            "resolution": 3.7,
            "level": 0.5,
            "weights": os.path.abspath(name),
            "device": "cpu",
            "grid_spacing": 0.8,
            "keep_lost": True,
            "samples": 3,
        }
    assert seen[0].contour_in == 0.5


def test_every_option_of_the_engine_is_a_keyword_with_its_bounds(session):
    open_map(session)
    with user_error("gridSpacing", "5"):
        run(session, "enhance #1 gridSpacing 7")
    with user_error("resolution", "50"):
        run(session, "enhance #1 resolution 51")
    with user_error("device", "cuda"):
        run(session, "enhance #1 device tpu")


def test_contour_is_the_engines(session):
    use_fake_engine()
    open_map(session, level=0.42)
    (result,) = run(session, "enhance #1")
    assert [surface.level for surface in result.surfaces] == [0.42]


def test_lowest_positive_contour_of_several(session):
    from chimerax.map_enhance.scene.volumes import contour_level

    volume = open_map(session)
    volume.set_parameters(surface_levels=[-0.2, 0.9, 0.4])
    assert contour_level(volume) == 0.4


def test_several_maps_in_one_worker(session):
    use_fake_engine()
    for seed in (1, 2, 3):
        open_map(session, name=f"map {seed}", seed=seed)
    answer = run(session, "enhance #1-3", return_json=True)
    told = json.loads(answer.json_value)["maps"]
    assert len({asked(item["report"]["weights"])["worker"] for item in told}) == 1
    assert [v.name for v in answer.python_value] == ["map 1 superem", "map 2 superem", "map 3 superem"]
    assert [item["id"] for item in told] == ["4", "5", "6"]


def test_model_id(session):
    use_fake_engine()
    open_map(session)
    (result,) = run(session, "enhance #1 modelId 7")
    assert result.id == (7,)


def test_model_id_for_several(session):
    use_fake_engine()
    for seed in (1, 2):
        open_map(session, seed=seed)
    results = run(session, "enhance #1,2 modelId 7")
    assert [result.id for result in results] == [(7, 1), (7, 2)]


def test_model_id_taken_or_without_parent(session):
    use_fake_engine()
    open_map(session)
    with user_error("modelId #1", "already"):
        run(session, "enhance #1 modelId 1")
    with user_error("modelId #8.2", "no model #8"):
        run(session, "enhance #1 modelId 8.2")
    with user_error("modelId #1.2", "blobs, not a group"):
        run(session, "enhance #1 modelId 1.2")
    assert leftovers() == [] and len(session.models.list(type=type(session.models[0]))) == 1


def test_model_id_in_a_group(session):
    from chimerax.core.models import Model

    use_fake_engine()
    open_map(session)
    session.models.add([Model("group", session)])
    (result,) = run(session, "enhance #1 modelId 2.3")
    assert result.id == (2, 3)


def test_model_id_below_an_atomic_model(session):
    from small_model import scene

    use_fake_engine()
    scene(session)
    with user_error("modelId #1.3", "not a group"):
        run(session, "enhance #2 modelId 1.3")


def test_level_and_device_are_checked_first(session):
    from chimerax.map_enhance.runtime import machine

    use_fake_engine()
    open_map(session, name="my map")
    before = list(session.tasks.values())
    with user_error("my map", "level 900"):
        run(session, "enhance #1 level 900")
    absent = mock.patch.object(machine, "cuda_of_driver", return_value=None)
    with absent, mock.patch.object(Path, "exists", return_value=False), user_error("device cuda", "cpu"):
        run(session, "enhance #1 device cuda")
    with mock.patch.object(machine, "is_apple_silicon", return_value=False), user_error("device mps"):
        run(session, "enhance #1 device mps")
    assert leftovers() == [] and list(session.tasks.values()) == before


def test_undo(session):
    use_fake_engine()
    first, second = open_map(session, name="lossy"), open_map(session, name="other")
    second.display = False
    results = run(session, "enhance #1,2 modelId 7 colorBy support")
    run(session, "undo")
    assert all(result.deleted for result in results)
    assert (
        first.display
        and not second.display
        and list(session.models.list(type=type(first))) == [first, second]
    )
    assert not [model for model in session.models if model.name.startswith(("enhanced", "lossy superem"))]


def test_no_map(session):
    with user_error("no maps"):
        run(session, "enhance #99")


def test_mask_reaches_the_engine(session):
    use_fake_engine()
    volume = open_map(session)
    answer = run(session, "enhance #1 mask #1", return_json=True)
    (told,) = json.loads(answer.json_value)["maps"]
    assert asked(told["report"]["weights"])["masked"] == int((volume.full_matrix() >= 0.3).sum())


def test_mask_of_zeros_and_ones(session):
    """ChimeraX shows one a little above 1 at first: nothing of it."""
    use_fake_engine()
    volume, mask = open_map(session), open_map(session, name="mask", level=1.00005)
    ones = (volume.full_matrix() > 0.3).astype(np.float32)
    mask.data.array[:] = ones
    mask.data.values_changed()
    with user_error("mask #2", "values reach 1 only", "volume #2 level 0.5"):
        run(session, "enhance #1 mask #2")
    run(session, "volume #2 level 0.5")
    answer = run(session, "enhance #1 mask #2", return_json=True)
    (told,) = json.loads(answer.json_value)["maps"]
    assert asked(told["report"]["weights"])["masked"] == int(ones.sum())


def test_mask_elsewhere(session):
    use_fake_engine()
    open_map(session)
    open_map(session, name="far", origin=(500, 0, 0))
    with user_error("mask", "inside its contour"):
        run(session, "enhance #1 mask #2")
    assert leftovers() == []


def test_task_is_listed(session):
    from chimerax.map_enhance.enhance.job import EnhanceJob

    use_fake_engine()
    open_map(session, name="my map")
    run(session, "enhance #1")
    job = session.tasks.find_by_class(EnhanceJob)[-1]
    assert "my map" in str(job) and "finished" in str(job)
    assert job.runtime.total_seconds() > 0  # what the Task Manager shows


def test_session_round_trip(session):
    use_fake_engine()
    volume = open_map(session, origin=(1, 2, 3), rotation=((0, -1, 0), (1, 0, 0), (0, 0, 1)), level=0.37)
    (result,) = run(session, "enhance #1")
    values, place = result.full_matrix().copy(), result.data.ijk_to_xyz_transform.matrix.copy()
    with tempfile.TemporaryDirectory() as folder:
        run(session, f"save {folder}/round.cxs")
        run(session, "close session")
        run(session, f"open {folder}/round.cxs")
    (restored,) = [model for model in session.models if model.name == "blobs superem"]
    assert restored is not result
    assert np.array_equal(restored.full_matrix(), values)
    assert np.allclose(restored.data.ijk_to_xyz_transform.matrix, place)
    assert [round(surface.level, 6) for surface in restored.surfaces] == [0.37]
    (original,) = [model for model in session.models if model.name == volume.name]
    assert not original.display and restored.display


def test_without_torch(session):
    from chimerax.map_enhance.runtime import engine_python

    use_fake_engine()
    use_python(session, "")
    open_map(session)
    nowhere = mock.patch.object(engine_python, "private_folder", return_value=Path("/nowhere"))
    nothing = mock.patch.object(engine_python, "find_spec", return_value=None)
    with nowhere, nothing, user_error('type "enhance install"'):
        run(session, "enhance #1")
    assert leftovers() == []


def test_python_that_is_gone(session):
    use_fake_engine()
    use_python(session, "/nowhere/bin/python")
    open_map(session)
    with user_error("/nowhere/bin/python", "enhance install"):
        run(session, "enhance #1")


def test_model_id_taken_meanwhile(session):
    from chimerax.map_enhance.enhance.job import EnhanceJob, Wanted

    use_fake_engine()
    volume = open_map(session)
    job = EnhanceJob(session, [volume], Wanted(model_id=(2,)))
    open_map(session, name="takes number 2")
    job.begin(block=True)
    assert [result.id for result in job.results] == [(3,)]


def test_map_shown_as_image(session):
    use_fake_engine()
    volume = open_map(session)
    run(session, "volume #1 style image")
    volume.update_drawings()
    (result,) = run(session, "enhance #1")
    assert result.showing_image() and not result.surface_shown
    run(session, f"volume #{result.id_string} style surface")
    assert [surface.level for surface in result.surfaces] == [0.3] and result.surface_shown
