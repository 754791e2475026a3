"""Makes the help page's picture of the trust report; runs in a ChimeraX with a window:

chimerax --script "scripts/help_trust_pictures.py MAP MODEL RESOLUTION LIGAND"

Enhances the map, erases the density of LIGAND (/A:501, say) from the result on purpose, and shows what is
reported then.
"""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from chimerax.core.commands import run
from scipy.spatial import cKDTree

PICTURE = Path(__file__).resolve().parents[1] / "src" / "docs" / "user" / "commands" / "enhance-trust.png"
SIZE = (440, 400)


def erase(density, model, ligand):
    """The map without the density that is nearer to atoms of the ligand than to others."""
    chosen = np.array(
        [residue.number == ligand[1] and residue.chain_id == ligand[0] for residue in model.residues]
    )
    own = chosen[model.residue_indices]
    indices = np.argwhere(density.values > 0)
    points = density.grid.to_xyz(indices[:, ::-1])
    near, far = (cKDTree(model.positions[some]).query(points)[0] for some in (own, ~own))
    values = density.values.copy()
    values[tuple(indices.T)] *= 1 - ((far - near + 0.3) / 0.6).clip(0, 1)
    return replace(density, values=values)


def judged(session, given, model, resolution, ligand):
    """Enhance, erase, and open what the engine says of it: the result and its group."""
    from chimerax.map_enhance.cryomap.enhancement.report import Report
    from chimerax.map_enhance.cryomap.trust.judgement import judge
    from chimerax.map_enhance.cryomap.typed_json import from_plain
    from chimerax.map_enhance.enhance.job_files import Answer, Wanted
    from chimerax.map_enhance.enhance.open_trust import open_trust
    from chimerax.map_enhance.scene.models import atomic_model, density_map
    from chimerax.map_enhance.scene.volumes import contour_level

    made = run(session, f"enhance {given.atomspec} resolution {resolution}", return_json=True)
    (result,), (told,) = made.python_value, json.loads(made.json_value)["maps"]
    before, after = (density_map(volume, given.scene_position) for volume in (given, result))
    after = erase(after, atomic_model(model.atoms, given.scene_position)[0], ligand)
    result.data.array[:] = after.values
    result.data.values_changed()
    trust = judge(before, after, level=contour_level(given), resolution=float(resolution))
    report = from_plain(Report, {**told["report"], "trust": None}, "report")
    answer = Answer(replace(report, trust=trust), after.values)
    return result, open_trust(session, result, answer, Wanted(color_by="support"))


def save_views(session, given, model, result, group):
    """All of the result with the color key, and the first place where density was lost, with the input as mesh."""
    from chimerax.map_enhance.trust.markers import go_there, marker_spec
    from PIL import Image

    place = go_there(marker_spec(group, "lost", 1))
    run(session, f"volume {given.atomspec} style mesh color #404040; surface dust {result.atomspec} size 8")
    views = (
        f"hide {given.atomspec} models; view {model.atomspec} clip false pad 0",
        f"key delete; show {given.atomspec} models; surface zone {given.atomspec} nearAtoms"
        f" {marker_spec(group, 'lost', 1)} distance 8; {place}; hide {group.part('lost').atomspec} models",
    )
    both = Image.new("RGB", (2 * SIZE[0], SIZE[1]))
    with tempfile.TemporaryDirectory() as folder:
        for number, commands in enumerate(views):
            file = Path(folder, f"{number}.png")
            run(session, commands)
            run(session, f"save {file} width {SIZE[0]} height {SIZE[1]} supersample 3")
            both.paste(Image.open(file).convert("RGB"), (number * SIZE[0], 0))
    both.quantize(256, method=Image.Quantize.FASTOCTREE).save(PICTURE)


def main(session, map_path, model_path, resolution, ligand):
    """Make the picture."""
    (given,) = run(session, f"open {map_path}")[:1]
    (model,) = run(session, f"open {model_path}")[:1]
    chain, number = ligand.lstrip("/").split(":")
    run(
        session,
        "hide atoms; cartoon; show ligand atoms; show ions atoms; style ligand stick; color ligand byhetero",
    )
    run(session, "set bgColor white; lighting soft; graphics silhouettes true")
    result, group = judged(session, given, model, resolution, (chain, int(number)))
    save_views(session, given, model, result, group)


if "session" in globals():
    main(session, *sys.argv[1:])  # noqa: F821
