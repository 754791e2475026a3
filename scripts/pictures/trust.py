"""Pictures of the trust report and of `preserve`, on a simulated map whose enhanced one lost a ligand on purpose.

And of the confidence, on a real map.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from chimerax.core.commands import run
from chimerax.geometry import Place, point_bounds
from chimerax.map_data import ArrayGridData
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from .maps import INTEGRIN
from .panel import COMMANDS
from .scenes import BLUE, open_pair, save_sheet, snapshot

LIGAND, RESOLUTION, STEP, MARGIN = "/A:501", 3.8, 1.0, 12.0  # ATP of 1XDN; A
NOISE = 0.4  # of the standard deviation at the atoms
SIZE = (420, 380)


def save_all(session, folder: Path, model_path: str) -> None:
    """Make the pictures, of a model, and of a map from a folder."""
    run(session, f"windowsize {SIZE[0]} {SIZE[1]}")  # labels have their places by the window's size
    given, model = simulated(session, model_path)
    run(session, "hide atoms; cartoon; show ligand | ions atoms; style ligand stick; color ligand byhetero")
    run(session, "hide H | solvent atoms; lighting depthCue false")
    save_preserved(session, given, model)
    result, group = judged(session, given, model)
    save_trust(session, given, model, result, group)
    save_confidence(session, folder)


def simulated(session, model_path: str):
    """The model, and a map of it with noise."""
    from chimerax.map import volume_from_grid_data
    from chimerax.map_enhance.cryomap.grid import Grid
    from chimerax.map_enhance.cryomap.simulate import structure_factor_map
    from chimerax.map_enhance.scene.models import atomic_model

    run(
        session,
        "close; set bgColor white; lighting soft; graphics silhouettes false; clip off; surface cap false",
    )
    model = run(session, f"open {model_path}")[0]
    run(session, "delete solvent")
    atoms = atomic_model(model.atoms, model.scene_position)[0]
    low = np.floor(atoms.positions.min(axis=0) - MARGIN)
    size = np.ceil((atoms.positions.max(axis=0) + MARGIN - low) / STEP).astype(int)
    grid = Grid(tuple(map(int, size[::-1])), (STEP,) * 3, tuple(map(float, low)))
    values = structure_factor_map(atoms, grid, RESOLUTION).values
    noise = gaussian_filter(
        np.random.default_rng(1).normal(size=values.shape), RESOLUTION / (2 * np.pi * STEP)
    )
    values = values / values.std() + NOISE * noise / noise.std()
    data = ArrayGridData(values.astype(np.float32), grid.origin, grid.step, name="1XDN simulated")
    given = volume_from_grid_data(data, session)
    run(session, f"volume {given.atomspec} step 1 sdLevel 2.2")
    return given, model


def save_preserved(session, given, model) -> None:
    """A ligand in the result of the network alone, and where the input is preserved about it."""
    ligand, images = model.atomspec + LIGAND, []
    run(session, f"hide {model.atomspec} cartoons")
    face(session, model)
    for options in ("", f" preserve {ligand}"):
        (result,) = run(session, f"enhance {given.atomspec} resolution {RESOLUTION}{options} block true")
        run(session, f"volume {result.atomspec} step 1 color {BLUE} transparency 0.4; {show_mesh(given)}")
        run(session, f"surface zone {given.atomspec}{result.atomspec} nearAtoms {ligand} distance 3")
        images.append(snapshot(session, SIZE))
        run(session, f"close {result.atomspec}")
    run(session, f"surface unzone {given.atomspec}; cartoon {model.atomspec}")
    save_sheet([(("enhance #1", "enhance #1 preserve ligand"), images)], COMMANDS / "enhance-preserve.png")


def show_mesh(volume) -> str:
    """The command that shows a map as a mesh."""
    return f"volume {volume.atomspec} show style mesh color #404040"


def face(session, model, whole: bool = False) -> None:
    """Look at the ligand, or all of the model, from the ligand's side."""
    atoms = model.residues[(model.residues.names == "ATP")].atoms
    z = atoms.scene_coords.mean(axis=0) - model.atoms.scene_coords.mean(axis=0)
    z /= np.linalg.norm(z)
    x = np.cross((0, 1, 0), z)
    x /= np.linalg.norm(x)
    session.main_view.camera.position = Place(axes=(x, np.cross(z, x), z), origin=200 * z)
    shown = model.atoms if whole else atoms
    session.main_view.view_all(point_bounds(shown.scene_coords), pad=0.05)


def erase(density, model, ligand: tuple[str, int]):
    """The map without the density that is nearer to atoms of the ligand than to others."""
    chosen = np.array([(residue.chain_id, residue.number) == ligand for residue in model.residues])
    own = chosen[model.residue_indices]
    indices = np.argwhere(density.values > 0)
    points = density.grid.to_xyz(indices[:, ::-1])
    near, far = (cKDTree(model.positions[some]).query(points)[0] for some in (own, ~own))
    values = density.values.copy()
    values[tuple(indices.T)] *= 1 - ((far - near + 0.3) / 0.6).clip(0, 1)
    return replace(density, values=values)


def judged(session, given, model):
    """Enhance, erase, and open what the engine says of it: the result and its group."""
    from chimerax.map_enhance.cryomap.enhancement.report import Report
    from chimerax.map_enhance.cryomap.trust.judgement import judge
    from chimerax.map_enhance.cryomap.typed_json import from_plain
    from chimerax.map_enhance.enhance.job_files import Answer, Wanted
    from chimerax.map_enhance.enhance.open_trust import open_trust
    from chimerax.map_enhance.scene.models import atomic_model, density_map
    from chimerax.map_enhance.scene.volumes import contour_level

    made = run(session, f"enhance {given.atomspec} resolution {RESOLUTION} block true", return_json=True)
    (result,), (told,) = made.python_value, json.loads(made.json_value)["maps"]
    before, after = (density_map(volume, given.scene_position) for volume in (given, result))
    chain, number = LIGAND.lstrip("/").split(":")
    after = erase(after, atomic_model(model.atoms, given.scene_position)[0], (chain, int(number)))
    result.data.array[:] = after.values
    result.data.values_changed()
    trust = judge(before, after, level=contour_level(given), resolution=RESOLUTION)
    report = from_plain(Report, {**told["report"], "trust": None}, "report")
    answer = Answer(replace(report, trust=trust), after.values)
    return result, open_trust(session, result, answer, Wanted(color_by="support"))


def save_trust(session, given, model, result, group) -> None:
    """All of the result with the color key, and the first place where density was lost, with the input as mesh."""
    from chimerax.map_enhance.trust.markers import go_there, marker_spec

    marker = marker_spec(group, "lost", 1)
    run(session, f"surface dust {result.atomspec} size 8; hide {given.atomspec} models")
    face(session, model, whole=True)
    images = [snapshot(session, SIZE)]
    run(session, "key delete; 2dlabels delete")
    run(session, f"{show_mesh(given)}; surface zone {given.atomspec} nearAtoms {marker} distance 8")
    run(session, f"{go_there(marker)}; hide {group.part('lost').atomspec} models")
    images.append(snapshot(session, SIZE))
    labels = "colored by support by the input", "the lost density, in the input (mesh)"
    save_sheet([(labels, images)], COMMANDS / "enhance-trust.png")


def save_confidence(session, folder: Path) -> None:
    """A real map's result colored by confidence, and the ribbon of its model by the same."""
    from chimerax.map_enhance.trust.color import PALETTE

    run(session, "clip off; 2dlabels delete; key delete")
    pair = open_pair(session, folder, INTEGRIN, "colorBy confidence")
    model, result = pair.model.atomspec, pair.result.atomspec
    run(
        session,
        f"hide {pair.given.atomspec} models; hide {model} atoms; hide {model} cartoons; hide pseudobonds",
    )
    run(
        session,
        f"volume {result} step 1 subdivideSurface true surfaceSmoothing true; graphics silhouettes true",
    )
    run(session, f"view orient; turn z 90; view {result}; zoom 0.9")  # the key's corner is empty then
    images = [snapshot(session, SIZE)]
    palette = ":".join(f"{value:g},{color}" for value, color in PALETTE)
    run(
        session,
        f"hide {result} models; cartoon {model}; color byattribute confidence {model} palette {palette}",
    )
    images.append(snapshot(session, SIZE))
    run(session, "graphics silhouettes false")
    labels = f"{INTEGRIN.name}, colorBy confidence", "color byattribute confidence"
    save_sheet([(labels, images)], COMMANDS / "enhance-confidence.png")
