"""Maps before and after at equal enclosed volume, with their models; runs in ChimeraX without a window:

chimerax --nogui --offscreen --exit --script "scripts/evaluation_pictures.py OUT.png MAP MODEL METHOD LEVEL PLACE..."

Five words a map, one row a map: the file, its model, superem or cryosamu, the input's contour level, and the
residues looked at (such as /A:20-40).
"""

import sys
import tempfile
from pathlib import Path

from chimerax.core.commands import run
from PIL import Image

SIZE = 480
SIDE_CHAINS = 1500  # atoms shown as sticks in view, at most; else a ribbon is clearer


def picture_pair(session, map_path, model_path, method, level, place):
    """Images of input and result about the same place."""
    run(session, "close")
    run(session, f"open {map_path}; open {model_path}; volume #1 level {level} step 1")
    (result,) = run(session, f"enhance #1 method {method}")
    run(session, "set bgColor white; lighting soft; graphics silhouettes false; select #2" + place)
    if len(session.selection.items("atoms")[0]) <= SIDE_CHAINS:
        run(session, "hide #2 cartoon; hide #2 atoms; show sel atoms; style sel stick")
    else:
        run(session, "hide #2 atoms; cartoon #2")
    run(
        session,
        f"hide H; color #2 tan; color #2 byhetero; volume {result.atomspec} step 1; view sel; select clear",
    )
    return [picture(session, shown, result, place) for shown in ("#1", result.atomspec)]


def picture(session, shown, result, place):
    """One of the maps, transparent, with the model in it."""
    run(session, f"volume #1{result.atomspec} hide; volume {shown} show color #7fb2e5 transparency 0.4")
    run(session, f"surface zone {shown} near #2{place} distance 2.4")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "view.png")
        run(session, f"save {path} width {SIZE} height {SIZE} supersample 3")
        return Image.open(path).convert("RGB")


def main(session, out, *words):
    """A row for each five words."""
    rows = [picture_pair(session, *words[i : i + 5]) for i in range(0, len(words), 5)]
    whole = Image.new("RGB", (2 * SIZE, len(rows) * SIZE))
    for number, row in enumerate(rows):
        for column, image in enumerate(row):
            whole.paste(image, (column * SIZE, number * SIZE))
    whole.quantize(128).save(out, optimize=True)


if "session" in globals():
    main(session, *sys.argv[1:])  # noqa: F821
