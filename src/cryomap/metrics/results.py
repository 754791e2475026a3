"""What an assessment found, as plain data, JSON and tables."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..atoms import AtomicModel, Residue
from ..replacing import replacing
from .classes import ClassScores, LigandScores, class_changes
from .conformers import Conformer
from .cubes import CubeComparison, Cubes
from .fourier import Curve
from .unmodelled import Region

SCALE_NOTE = (
    "cc_*_hr, the fixed scale: correlations with the model map cut at 3.0 Å, every B = 20 Å²; "
    "at the reported resolution a sharper map loses correlation even when it is right, so judge enhancement by "
    "these and by the FSC"
)
CUBES_NOTE = "cubes: correlation about the mean with the simulated map in cubes of 25 Å"


@dataclass(frozen=True)
class MapScores:
    """Everything found for one map.

    Attributes:
        name: the map's.
        frame: header words its origin came from, "origin" or "nstart"; "" if not from a file.
        figures: the single numbers by name (`cc_box`, `d_model_masked`, ...), in the order of the table; nan or
            None where there is none.
        classes: scores by class.
        chains: one dict a chain: chain, atoms, rscc, q.
        residue_rscc: RSCC of each of the model's residues; nan where there is none; None if not asked for.
        residue_main_chain: the same of its main chain (CB included).
        residue_side_chain: the same of its side chain.
        residue_q: mean Q of each residue.
        atom_q: Q of each of the given model's atoms; nan for hydrogens and atoms left out.
        ligands: by index of residue.
        conformers: of the residues whose alternate conformations differ.
        unmodelled: density above the contour that lies far from every atom.
        cubes: the cubes' correlations.
        cube_comparison: with the first map's.
        curves: FSC curves by name: fsc_model, fsc_model_masked, fsc_map, fsc_map_masked, fsc_map_true.
    """

    name: str
    frame: str = ""
    figures: dict[str, float | None] = field(default_factory=dict)
    classes: dict[str, ClassScores] = field(default_factory=dict)
    chains: tuple[dict, ...] = ()
    residue_rscc: np.ndarray | None = None
    residue_main_chain: np.ndarray | None = None
    residue_side_chain: np.ndarray | None = None
    residue_q: np.ndarray | None = None
    atom_q: np.ndarray | None = None
    ligands: dict[int, LigandScores] = field(default_factory=dict)
    conformers: tuple[Conformer, ...] = ()
    unmodelled: tuple[Region, ...] = ()
    cubes: Cubes | None = None
    cube_comparison: CubeComparison | None = None
    curves: dict[str, Curve] = field(default_factory=dict)

    @property
    def by_residue(self) -> dict[str, np.ndarray]:
        """Values for each residue by ChimeraX's residue attribute: those of "qscore" and "rscc" there are."""
        found = {"qscore": self.residue_q, "rscc": self.residue_rscc}
        return {name: values for name, values in found.items() if values is not None}


@dataclass(frozen=True)
class Assessment:
    """The assessment of one or more maps against a model, a map or both.

    Attributes:
        maps: in the order given; changes are against the first.
        model: the model as given, or None.
        against: name of the map compared with, or "".
        resolution: used for the model map, in A.
        sigma: of the Q-scores' reference Gaussian, in A.
        metrics: which groups were computed.
        notes: what was left out, replaced or estimated, and how to read the figures.
    """

    maps: tuple[MapScores, ...]
    model: AtomicModel | None
    against: str
    resolution: float
    sigma: float
    metrics: tuple[str, ...]
    notes: tuple[str, ...]

    def residue_rows(self, scores: MapScores) -> list[dict]:
        """One dict for each residue that has a score in this map."""
        known = {
            "rscc": scores.residue_rscc,
            "rscc_main_chain": scores.residue_main_chain,
            "rscc_side_chain": scores.residue_side_chain,
            "q": scores.residue_q,
        }
        columns = {name: values for name, values in known.items() if values is not None}
        if not columns or self.model is None:
            return []
        rows = []
        for index, residue in enumerate(self.model.residues):
            values = {name: number(column[index]) for name, column in columns.items()}
            if any(value is not None for value in values.values()):
                rows.append({**_identity(residue), **values})
        return rows

    def ligand_rows(self, scores: MapScores) -> list[dict]:
        """One dict for each ligand, lipid, glycan and ion in this map, marks included."""
        if self.model is None:
            return []
        rows = []
        for ligand in scores.ligands.values():
            row = {**_identity(self.model.residues[ligand.residue]), **plain(asdict(ligand))}
            del row["residue"]
            rows.append(row)
        return rows

    def conformer_rows(self, scores: MapScores) -> list[dict]:
        """One dict for each alternate conformation in this map."""
        if self.model is None:
            return []
        rows = []
        for conformer in scores.conformers:
            row = {**_identity(self.model.residues[conformer.residue]), **plain(asdict(conformer))}
            del row["residue"]
            rows.append(row)
        return rows

    def to_dict(self) -> dict:
        """All of it as plain dicts, lists and numbers, ready for JSON; None where there is no value.

        Keys: model, against (names), resolution (A), sigma (A), metrics, notes, and maps, a list with for each map
        map, frame and, by metric:
            against a map: map_cc; d_fsc_0143, d_fsc_05 (for half maps, d_fsc_0143 is the resolution, behind a mask
                d_fsc_0143_true).
            cc: cc_box, cc_mask, cc_volume, cc_peaks; the same with _hr on the fixed scale; rscc_main_chain,
                rscc_side_chain.
            fsc: d99, d_model, d_model_b0, d_fsc_model_0, d_fsc_model_0143, d_fsc_model_05 in A; the same with
                _masked behind a soft mask.
            qscore: q_mean, q_sigma (the sigma used), q_expected (at the resolution, for sigma 0.6).
            classes: contour; classes {name: q_mean, q_sd, q_count, rscc_mean, rscc_sd, rscc_count, q_change,
                rscc_change}, changes against the first map; ligands [one a ligand, lipid, glycan or ion: chain,
                number, insertion_code, name, kind, q, rscc, density, above_contour, marks]; conformers [one an
                alternate conformation: chain ... kind, alt_loc, atoms, occupancy (the model's), share, density, q];
                major_conformation, the mean share of the best occupied ones, if there are any; unmodelled, the share
                of the volume above the contour that lies far from all atoms, and unmodelled_regions [center, volume].
            cc or qscore: chains [chain, atoms, rscc, q]; residues [chain, number, insertion_code, name, kind, rscc,
                rscc_main_chain, rscc_side_chain, q].
            cubes: cubes {count, mean_before, mean_after, improved (share), stride, target_resolution}.
            fsc: curves {fsc_model, fsc_model_masked, fsc_map, fsc_map_masked, fsc_map_true: d, fsc}.
        """
        return {
            "model": self.model.name if self.model else None,
            "against": self.against or None,
            "resolution": number(self.resolution),
            "sigma": self.sigma,
            "metrics": list(self.metrics),
            "notes": list(self.notes),
            "maps": [self._map_dict(scores) for scores in self.maps],
        }

    def _map_dict(self, scores: MapScores) -> dict:
        first = self.maps[0]
        changes = class_changes(first.classes, scores.classes)
        classes = {name: plain(asdict(c) | changes.get(name, {})) for name, c in scores.classes.items()}
        result = {"map": scores.name, "frame": scores.frame, **plain(scores.figures)}
        if scores.classes:
            result |= {"classes": classes, "ligands": self.ligand_rows(scores)}
            result |= {"conformers": self.conformer_rows(scores)}
            result |= {"unmodelled_regions": plain([asdict(region) for region in scores.unmodelled])}
        if scores.chains:
            result["chains"] = plain(list(scores.chains))
        rows = self.residue_rows(scores)
        if rows:
            result["residues"] = rows
        if scores.cubes is not None and scores.cube_comparison is not None:
            result["cubes"] = plain(
                {
                    **asdict(scores.cube_comparison),
                    "stride": scores.cubes.stride,
                    "target_resolution": scores.cubes.target_resolution,
                }
            )
        if scores.curves:
            result["curves"] = {
                name: {"d": np.round(c.d, 4).tolist(), "fsc": np.round(c.fsc, 5).tolist()}
                for name, c in scores.curves.items()
            }
        return result

    def to_json(self) -> str:
        """The assessment as one JSON object (see the help page for every key)."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def to_csv(self) -> str:
        """The assessment as a table of one value a line: map, scope, item, measure, value.

        Scope is map, class, chain, residue, ligand, conformer or cubes; item names the class, chain or residue.
        """
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(("map", "scope", "item", "measure", "value"))
        for scores in self.to_dict()["maps"]:
            for scope, item, values in _csv_groups(scores):
                for measure, value in values.items():
                    if isinstance(value, (int, float, bool)):
                        table.writerow((_cell(scores["map"]), scope, _cell(item), measure, value))
        return out.getvalue()


def _cell(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name


def _csv_groups(scores: dict) -> Iterator[tuple[str, str, dict]]:
    """(scope, item, values) of each group of values of a map's dict."""
    yield "map", "", {k: v for k, v in scores.items() if k not in ("map", "frame")}
    for name, values in scores.get("classes", {}).items():
        yield "class", name, values
    for row in scores.get("chains", ()):
        yield "chain", row["chain"], row
    for scope in ("residues", "ligands"):
        for row in scores.get(scope, ()):
            item = f"/{row['chain']}:{row['number']}{row['insertion_code']} {row['name']}"
            yield scope.removesuffix("s"), item, {k: v for k, v in row.items() if k != "number"}
    for row in scores.get("conformers", ()):
        item = f"/{row['chain']}:{row['number']}{row['insertion_code']} {row['name']} {row['alt_loc']}"
        yield "conformer", item, {k: v for k, v in row.items() if k != "number"}
    if "cubes" in scores:
        yield "cubes", "", scores["cubes"]


def _identity(residue: Residue) -> dict:
    return {
        "chain": residue.chain_id,
        "number": residue.number,
        "insertion_code": residue.insertion_code,
        "name": residue.name,
        "kind": residue.kind,
    }


def number(value: float | None) -> float | None:
    """The value rounded to six decimals, None for nan and infinity: JSON knows neither."""
    return None if value is None or not math.isfinite(value) else round(float(value), 6)


def plain(value: Any) -> Any:
    """Dicts, lists and numbers with every float passed through `number`."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return number(float(value))
    return value


def write_text(text: str, path: str | os.PathLike) -> None:
    """Write a text file, whole or not at all.

    Raises:
        InputError: it can't be written.
    """
    with replacing(Path(path)) as temporary:
        Path(temporary).write_text(text, encoding="utf-8", errors="backslashreplace")
