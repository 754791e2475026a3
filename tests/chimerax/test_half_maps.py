"""Half maps, enhanced each for itself."""

import json

import numpy as np
from chimerax.core.commands import run
from support import leftovers, open_map, use_fake_engine, user_error
from test_engine import need_weights
from test_trust import PLACE, links, log


def halves(session, second="half 2", **grid):
    use_fake_engine()
    maps = [open_map(session, name="lossy half 1", **grid), open_map(session, name=second, seed=2, **grid)]
    for volume in maps:
        volume.position = PLACE
    return maps


def test_half_maps(session):
    from chimerax.map_enhance.trust.model import trust_of

    first, second = halves(session, origin=(3, -2, 5))
    with log(session) as told:
        answer = run(session, "enhance #1 #2 halfMaps true colorBy agreement", return_json=True)
    (result,) = answer.python_value
    mean = (first.full_matrix() + second.full_matrix()) / 2
    assert np.allclose(result.full_matrix(), mean) and result.name == "lossy half 1 + half 2 superem"
    assert not first.display and not second.display
    group = trust_of(session, result)
    names = [model.name for model in group.child_models()]
    assert {"lossy half 1 alone", "half 2 alone", "agreement of the halves"} <= set(names)
    assert np.array_equal(group.part("half 2 alone").full_matrix(), second.full_matrix())
    assert not group.part("half 2 alone").display
    (marker,) = group.part("disagreement").atoms
    assert np.linalg.norm(marker.scene_coord - PLACE * np.array([3, -2, 5])) < 0.01
    text = "".join(told)
    assert "half maps at 4.00" in text and "enhanced halves nowhere" in text and "must not be quoted" in text
    (there,) = [link for link in links(text) if f"{group.part('disagreement').atomspec}:1 " in link]
    run(session, there)
    told = json.loads(answer.json_value)
    assert told["halves"]["d_before"] == 4 and len(told["maps"]) == 1
    colors = result.surfaces[0].vertex_colors
    assert len(np.unique(colors, axis=0)) == 1  # the fake halves agree alike everywhere


def test_half_maps_that_are_none(session):
    halves(session)
    open_map(session, name="another size", shape=(20, 28, 32))
    open_map(session, name="another place", origin=(1, 2, 3))
    with user_error("two half maps", "not 1"):
        run(session, "enhance #1 halfMaps true")
    with user_error("two half maps", "not 3"):
        run(session, "enhance #1-3 halfMaps true")
    with user_error("one grid", "32 x 28 x 20", "another size"):
        run(session, "enhance #1 #3 halfMaps true")
    with user_error("one grid", "1, 2, 3"):
        run(session, "enhance #1 #4 halfMaps true")
    run(session, "move x 5 models #2")
    with user_error("moved against each other"):
        run(session, "enhance #1 #2 halfMaps true")
    with user_error("colorBy agreement", "halfMaps"):
        run(session, "enhance #1 colorBy agreement")
    assert leftovers() == []


def test_half_map_that_fails(session):
    halves(session, second="bad half 2")
    with user_error("bad half 2", "constant"):
        run(session, "enhance #1 #2 halfMaps true")
    assert leftovers() == []


def test_real_half_maps(session):
    need_weights("superem")
    random = np.random.default_rng(1)
    for number in (1, 2):
        volume = open_map(session, name=f"half {number}", shape=(32, 32, 32), level=0.35)
        volume.data.array[:] += random.normal(0, 0.03, (32, 32, 32))
        volume.data.values_changed()
    answer = run(session, "enhance #1 #2 halfMaps true method superem device cpu", return_json=True)
    told = json.loads(answer.json_value)["halves"]
    before, after = (np.mean(told["fsc"][key]["fsc"]) for key in ("before", "after"))
    assert after > before
