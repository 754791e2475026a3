"""A map, its enhanced one and a model, drawn alike; and pictures of them side by side, with labels."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chimerax.atomic import AtomicStructure
from chimerax.core.commands import run
from chimerax.map import Volume
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

GRAY, BLUE = "#b0b0b0", "#7fb2e5"  # input and result
ATOM_VOLUME = 17.2  # A^3 of protein for each atom that isn't hydrogen
LINE = 26  # pixels of a line of labels
COLORS = 200  # of a picture's palette
_FOLDER = tempfile.TemporaryDirectory(prefix="pictures_")


@dataclass(frozen=True)
class Entry:
    """A map with its model: files in a folder, resolution in A, and how much the contour encloses.

    Volumes are told as shares of the model's own, by the density of protein.
    """

    name: str
    map_file: str
    model_file: str
    resolution: float
    volume: float
    frame: str  # "origin" or "nstart": ChimeraX looks at the one in .mrc, at the other in .map files

    @property
    def map_name(self) -> str:
        """What the map's file is called so that it lies right."""
        return f"{self.name}.{'mrc' if self.frame == 'origin' else 'map'}"


@dataclass(frozen=True)
class Pair:
    """What was opened of an entry: the map, its model, and the enhanced map at the level of the same volume."""

    entry: Entry
    given: Volume
    model: AtomicStructure
    result: Volume


def _unpacked(packed: Path, name: str) -> Path:
    """A gzipped file unpacked under a name, until the end of the program."""
    path = Path(_FOLDER.name, name)
    with gzip.open(packed) as source, open(path, "wb") as target:
        shutil.copyfileobj(source, target)
    return path


def open_pair(session, folder: Path, entry: Entry, options: str = "") -> Pair:
    """Close all, open the entry's files, and enhance, with more options if there are any."""
    run(session, "close; set bgColor white; lighting soft; lighting depthCue false; camera mono")
    given = run(session, f"open {_unpacked(folder / entry.map_file, entry.map_name)}")[0]
    model = run(session, f"open {_unpacked(folder / entry.model_file, Path(entry.model_file).stem)}")[0]
    level = _level(given, model, entry.volume)
    run(session, f"volume {given.atomspec} level {level} step 1")
    (result,) = run(
        session, f"enhance {given.atomspec} resolution {entry.resolution} level {level} block true {options}"
    )
    return Pair(entry, given, model, result)


def _level(given: Volume, model: AtomicStructure, share: float) -> float:
    from chimerax.map_enhance.cryomap.contour import level_for_volume

    volume = share * ATOM_VOLUME * (model.atoms.element_numbers > 1).sum()
    return level_for_volume(given.full_matrix(), volume, given.data.voxel_volume())


def show_alike(
    session, pair: Pair, shown: Volume, place: str | None = None, transparency: float = 0.4
) -> None:
    """Show one of the two maps, near the atoms of a place or all of it, its surface made as the other's."""
    color = GRAY if shown is pair.given else BLUE
    run(session, f"hide {pair.given.atomspec}{pair.result.atomspec} models; show {shown.atomspec} models")
    run(
        session,
        f"volume {shown.atomspec} style surface step 1 subdivideSurface true surfaceSmoothing true"
        f" color {color} transparency {transparency}",
    )
    if place:
        run(session, f"surface zone {shown.atomspec} nearAtoms {place} distance 2.4")


def snapshot(session, size: tuple[int, int]) -> Image.Image:
    """What the graphics window shows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "view.png")
        run(session, f"save {path} width {size[0]} height {size[1]} supersample 3")
        return Image.open(path).convert("RGB")


def both(session, pair: Pair, size: tuple[int, int], place: str | None = None) -> list[Image.Image]:
    """The input and the result from the same side."""
    images = []
    for shown in (pair.given, pair.result):
        show_alike(session, pair, shown, place)
        images.append(snapshot(session, size))
    return images


def save_sheet(rows: Sequence[tuple[Sequence[str], Sequence[Image.Image]]], path: Path) -> None:
    """Rows of pictures, each with a label above it, as one file of a small palette."""
    width, height = rows[0][1][0].size
    sheet = Image.new("RGB", (width * len(rows[0][1]), (height + LINE) * len(rows)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.truetype(findfont("DejaVu Sans"), 14)
    for number, (labels, images) in enumerate(rows):
        for column, (label, image) in enumerate(zip(labels, images, strict=True)):
            top = number * (height + LINE)
            draw.text((column * width + 6, top + 4), label, fill="black", font=font)
            sheet.paste(image, (column * width, top + LINE))
    save_small(sheet, path)


def save_small(image: Image.Image, path: Path) -> None:
    """As PNG of a small palette."""
    small = image.convert("RGB").quantize(COLORS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
