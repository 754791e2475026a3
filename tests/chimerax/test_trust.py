"""What comes with an enhanced map: lost and invented density, support, samples."""

import contextlib
import json
import re
import tempfile
from unittest import mock

import numpy as np
from chimerax.core.commands import run
from chimerax.geometry import rotation, translation
from chimerax.map import volume_from_grid_data
from chimerax.map_data import ArrayGridData
from small_model import open_model, true_map
from support import asked, open_map, tilted, use_fake_engine, user_error
from test_engine import need_weights

PLACE = rotation((0, 1, 1), 30) * translation((5, 6, 7))


@contextlib.contextmanager
def log(session):
    """What is told in the Log, as a list."""
    told, info = [], session.logger.info
    with mock.patch.object(
        session.logger, "info", lambda text, *args, **kw: (told.append(text), info(text, *args, **kw))
    ):
        yield told


def lossy(session, options="", name="lossy", **grid):
    """A map, enhanced with losses: the map, the result, its group, and what the Log told of trust."""
    from chimerax.map_enhance.trust.model import trust_of

    use_fake_engine()
    volume = open_map(session, name=name, **grid)
    volume.position = PLACE
    with log(session) as told:
        (result,) = run(session, f"enhance {volume.atomspec} {options}")
    section = "".join(text for text in told if "support by the input" in text)
    return volume, result, trust_of(session, result), section


def links(text):
    return re.findall(r'href="cxcmd:([^"]*)"', text)


def densest(volume):
    """Where a map's largest value is, in the scene."""
    z, y, x = np.unravel_index(np.argmax(volume.full_matrix()), volume.full_matrix().shape)
    return volume.scene_position * (volume.data.ijk_to_xyz_transform * np.array([x, y, z], float))


def test_markers_are_where_density_was_lost(session):
    volume, result, group, _ = lossy(session, origin=(3, -2, 5), rotation=tilted(), step=(1.1, 1.2, 1.3))
    lost, invented = group.part("lost"), group.part("invented")
    assert lost.name == "lost density (1)" and invented.name == "invented density (1)"
    (marker,) = lost.atoms
    assert np.linalg.norm(marker.scene_coord - densest(volume)) < 0.01
    assert abs(marker.density_volume - 3 * 1.1 * 1.2 * 1.3) < 1e-3 and marker.density_peak == 7.5
    assert marker.density_share == 0.8
    corner = volume.scene_position * np.array([3, -2, 5])
    assert np.linalg.norm(invented.atoms[0].scene_coord - corner) < 0.01
    assert result.id == (2,) and group.id == (3,)


def test_log_names_and_links(session):
    model = open_model(session)
    volume, result, *_ = lossy(session)
    model.position = translation(densest(volume) - model.atoms[4].coord - (0.5, 0, 0))
    run(session, f"close #{result.id_string}")
    with log(session) as told:
        answer = run(session, "enhance #2", return_json=True)
    section = "".join(told)
    assert "1 region lost" in section and "1 region invented" in section and "80 % gone" in section
    atom = model.atoms[4]
    region = json.loads(answer.json_value)["maps"][0]["report"]["trust"]["lost"][0]
    assert region["nearest"] == f"#1/A:{atom.residue.number} ALA" and abs(region["distance"] - 0.5) < 0.01
    group_id = json.loads(answer.json_value)["maps"][0]["trust_id"]
    assert "keepLost true" in section
    (mesh,) = [link for link in links(section) if link.startswith("volume ")]
    run(session, mesh)
    assert volume.display and volume.surfaces[0].style == "mesh"
    (there,) = [link for link in links(section) if link.startswith(f"view #{group_id}.1:1 ")]
    run(session, there)
    view = session.main_view
    to_camera = view.camera.position.inverse() * densest(volume)
    assert np.linalg.norm(to_camera[:2]) < 0.1 and -100 < to_camera[2] < 0
    assert view.clip_planes.find_plane("near") is not None
    (residue,) = [link for link in links(section) if link.startswith("select #1/A:1 ;")]
    run(session, residue)
    from chimerax.atomic import selected_atoms

    assert {a.residue.number for a in selected_atoms(session)} == {atom.residue.number}


def test_the_engine_is_told_where_ligands_are(session):
    model = open_model(session)
    model.position = translation((3, 0, 1))
    volume = open_map(session, name="fine")
    volume.position = PLACE
    use_fake_engine()
    told = json.loads(run(session, f"enhance {volume.atomspec}", return_json=True).json_value)
    wanted = [a for a in model.atoms if a.residue.name in ("XYZ", "MG")]
    found = volume.scene_position * np.array(asked(told["maps"][0]["report"]["weights"])["sites"])
    assert len(found) == len(wanted) == 5
    assert np.allclose(found, [a.scene_coord for a in wanted], atol=1e-3)
    run(session, f"close #{model.id_string}")
    told = json.loads(run(session, f"enhance {volume.atomspec}", return_json=True).json_value)
    assert asked(told["maps"][0]["report"]["weights"])["sites"] is None


def test_what_a_model_would_add_is_said_once_there_is_none(session):
    hint = "its ligands and ions are looked at more closely"
    *_, section = lossy(session, name="fine")
    assert hint in section
    open_model(session)
    *_, section = lossy(session, name="fine")
    assert section and hint not in section


def test_nothing_noisy_if_nothing_was_lost(session):
    *_, group, section = lossy(session, name="fine")
    assert group is None and "no density was lost or invented" in section and "<table" not in section
    assert links(section) == []
    assert [model.name for model in session.models.list() if model.id == (3,)] == []
    answer = run(session, "enhance #1", return_json=True)
    told = json.loads(answer.json_value)["maps"][0]
    assert told["trust_id"] is None and told["report"]["trust"]["lost"] == []


def test_color_by_support(session):
    _, result, group, _ = lossy(session, "colorBy support", name="fine", origin=(3, -2, 5))
    support = group.part("support")
    assert not support.display and support.data.size == result.data.size
    assert np.allclose(support.scene_position.matrix, result.scene_position.matrix)
    assert np.allclose(
        support.data.ijk_to_xyz_transform.matrix, result.data.ijk_to_xyz_transform.matrix, atol=1e-5
    )
    check_colors(result)
    (key,) = [model for model in session.models.list() if model.name == "Color key"]
    assert [label for _, label in key.rgbas_and_labels][-1] == "1"
    # The color follows the contour.
    before = len(result.surfaces[0].vertices)
    run(session, f"volume {result.atomspec} level 0.6")
    result.update_drawings()
    assert len(result.surfaces[0].vertices) != before
    check_colors(result)
    run(session, f"close {result.atomspec}")
    assert key not in session.models.list()


def test_color_by_confidence_and_residues_know_it(session):
    """The fake engine's falls along x, in each residue to the mean at its heavy atoms."""
    model = open_model(session)
    given = true_map(session, model, name="fine")
    use_fake_engine()
    (result,) = run(session, f"enhance {given.atomspec} colorBy confidence")
    from chimerax.map_enhance.trust.model import trust_of

    confidence = trust_of(session, result).part("confidence")
    assert not confidence.display and confidence.data.size == result.data.size
    check_colors(result)
    size = confidence.data.size[0] - 1
    for residue in model.residues:
        atoms = residue.atoms[residue.atoms.element_numbers != 1]
        x = confidence.data.xyz_to_ijk(confidence.scene_position.inverse() * atoms.scene_coords)[:, 0]
        assert abs(residue.confidence - (1 - x / size).mean()) < 1e-3, residue
    run(session, "color byattribute r:confidence palette 0,red:1,blue")
    assert not any(m.name == "confidence" for m in session.models.list() if m.parent is result)


def test_confidence_is_taken_inside_of_the_surface(session):
    """On the surface itself it is all but the same everywhere, however dense what lies within is."""
    from chimerax.map_enhance.trust.color import color_by

    z, y, x = np.indices((24, 24, 48)) - np.array([12, 12, 12]).reshape(3, 1, 1, 1)
    peaks = [np.exp(-(z**2 + y**2 + (x - at) ** 2) / 18) for at in (0, 24)]
    density = (0.35 * peaks[0] + peaks[1]).astype(np.float32)
    result, values = (
        volume_from_grid_data(ArrayGridData(density, name=name), session) for name in ("two", "confidence")
    )
    run(session, f"volume {result.atomspec} level 0.3 step 1; hide {values.atomspec} models")
    color_by(session, result, values)
    (surface,) = result.surfaces
    poor = surface.vertices[:, 0] < 24
    faint, dense = (surface.vertex_colors[chosen].astype(int).mean(axis=0) for chosen in (poor, ~poor))
    assert dense[2] > faint[2] + 40, (faint, dense)  # 0.52 and 0.35; 0.3 on both surfaces


def test_another_key_stays_when_a_colored_map_is_closed(session):
    _, result, *_ = lossy(session, "colorBy support")
    run(session, "key red:low blue:high")
    run(session, f"close {result.atomspec}")
    assert "Color key" in [model.name for model in session.models.list()]


def check_colors(result):
    """The fake engine's support falls along x: blue at its beginning, red at its end."""
    (surface,) = result.surfaces
    assert len(surface.vertex_colors) == len(surface.vertices)
    x, color = surface.vertices[:, 0], surface.vertex_colors.astype(int)
    first, last = color[x < np.quantile(x, 0.05)].mean(axis=0), color[x > np.quantile(x, 0.95)].mean(axis=0)
    assert first[2] > first[0] and last[0] > last[2] + 30, (first, last)


def test_color_of_what_is_no_surface(session):
    use_fake_engine()
    volume = open_map(session)
    run(session, "volume #1 style image")
    volume.update_drawings()
    (result,) = run(session, "enhance #1 colorBy support")
    assert result.showing_image()


def test_standard_deviation(session):
    _, result, group, _ = lossy(session, "samples 4", name="fine")
    deviation = group.part("standard deviation")
    assert not deviation.display and np.all(deviation.full_matrix() == 0.25)
    assert np.allclose(deviation.data.ijk_to_xyz_transform.matrix, result.data.ijk_to_xyz_transform.matrix)


def test_what_was_filled_is_said(session):
    *_, section = lossy(session, "keepLost true")
    assert "and filled from the input" in section and "fills it" not in section


def test_samples_are_1_to_24(session):
    open_map(session)
    for number, limit in ((0, "1"), (25, "24")):
        with user_error("samples", f"equal to {limit}"):
            run(session, f"enhance #1 samples {number}")


def test_group_closes_and_moves_with_the_result(session):
    volume, result, group, _ = lossy(session, "colorBy support")
    assert np.allclose(group.scene_position.matrix, PLACE.matrix)
    run(session, f"move x 10 models {result.atomspec}")
    assert np.allclose(group.part("lost").scene_position.matrix, result.scene_position.matrix)
    run(session, f"close {result.atomspec}")
    assert group.deleted and volume in session.models
    _, second, other, _ = lossy(session)
    run(session, f"close {other.atomspec}")
    assert not second.deleted


def test_a_closed_model_leaves_no_handlers(session):
    *_, group, _ = lossy(session)
    run(session, "close session")
    assert group.deleted and group._handlers == []
    volume = open_map(session)
    volume.position = PLACE
    run(session, "close session")


def test_session(session):
    from chimerax.map_enhance.trust.model import TrustModel, trust_of

    volume, _, group, section = lossy(session, "colorBy support samples 2", origin=(3, -2, 5))
    place, link = densest(volume), links(section)[0]
    with tempfile.TemporaryDirectory() as folder:
        run(session, f"save {folder}/a.cxs")
        run(session, "close session")
        run(session, f"open {folder}/a.cxs")
    (restored,) = session.models.list(type=TrustModel)
    assert restored is not group and restored.trust.lost == group.trust.lost != ()
    assert trust_of(session, restored.result) is restored and restored.result.name == "lossy superem"
    assert [model.name for model in restored.child_models()] == [
        "lost density (1)",
        "invented density (1)",
        "standard deviation of 2",
        "support",
    ]
    (marker,) = restored.part("lost").atoms
    assert marker.density_peak == 7.5 and marker.density_share == 0.8
    assert np.linalg.norm(marker.scene_coord - place) < 0.01
    restored.result.update_drawings()
    check_colors(restored.result)
    assert not restored.part("support").display
    run(session, link)
    run(session, f"close {restored.result.atomspec}")
    assert restored.deleted


def test_several_maps_keep_their_numbers(session):
    use_fake_engine()
    for seed in (1, 2):
        open_map(session, name=f"lossy {seed}", seed=seed)
    results = run(session, "enhance #1,2")
    from chimerax.map_enhance.trust.model import trust_of

    assert [result.id for result in results] == [(3,), (4,)]
    assert [trust_of(session, result).id for result in results] == [(5,), (6,)]


def test_real_engine(session):
    from chimerax.map_enhance.trust.model import trust_of

    need_weights("superem")
    volume = open_map(session, name="sample", shape=(36, 40, 44), level=0.35, rotation=tilted())
    volume.position = PLACE
    command = "enhance #1 method superem resolution 4 device cpu samples 2 colorBy support"
    answer = run(session, command, return_json=True)
    (result,) = answer.python_value
    trust = json.loads(answer.json_value)["maps"][0]["report"]["trust"]
    assert 0 < trust["support"] <= 1 and trust["resolution"] == 4
    group = trust_of(session, result)
    support, deviation = group.part("support"), group.part("standard deviation")
    for extra in (support, deviation):
        assert np.allclose(
            (extra.scene_position * extra.data.ijk_to_xyz_transform).matrix,
            (volume.scene_position * volume.data.ijk_to_xyz_transform).matrix,
            atol=1e-4,
        )
    values = support.full_matrix()
    assert values.max() <= 1 and values[volume.full_matrix() > 0.5].mean() > values[0, 0, 0] + 0.3
    assert deviation.full_matrix().min() >= 0 and deviation.full_matrix().max() > 0
    assert len(result.surfaces[0].vertex_colors) == len(result.surfaces[0].vertices)
    markers = group.part("lost")
    assert (0 if markers is None else len(markers.atoms)) == len(trust["lost"])
