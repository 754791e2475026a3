"""The evaluation as Markdown."""

from __future__ import annotations

from .measures import DEPOSITED, MEASURES, Measure, class_means, summarise, variants_of

NOTES = """
All maps are on a 1 A grid over the box of the deposited one (cubic spline). CC_* compare with the model map at the
reported resolution with the model's B factors (phenix.map_model_cc); CC_*_hr with every B = 20 A^2 cut at 3.0 A, since
at the reported resolution a sharper map loses correlation even when it is right. FSC and d_model are unmasked
(phenix.mtriage); an FSC that never falls below 0.5 counts as 2 A. Cubes are compared with the map simulated at 1.8 A
(maps at 3.5 A or better) or 3.0 A. Q-scores with sigma 0.6 A.
"""


def report(result: dict) -> str:
    """The whole report.

    Args:
        result: `entries`, each with entry, resolution, `scores` by variant and `missing` (variant: why), and
            `methods` by variant: facts about it.
    """
    entries = result["entries"]
    parts = ["# Evaluation", "", f"{len(entries)} maps.", *_methods(result), "", NOTES.strip(), ""]
    parts += ["## Means", "", *_means(entries), "", "## Maps better than deposited, and the largest loss", ""]
    parts += [*_counts(entries), "", "## Q by class", "", *_classes(entries), "", "## Every map"]
    for measure in MEASURES:
        rows = _per_map(entries, measure)
        if rows:
            parts += ["", f"### {measure.title}", "", *rows]
    parts += ["", *_lost(entries), *_missing(entries)]
    return "\n".join(parts).rstrip() + "\n"


def _methods(result: dict) -> list[str]:
    lines = []
    for variant, facts in result["methods"].items():
        lines += ["", f"- **{variant}**: " + ", ".join(f"{key} {value}" for key, value in facts.items())]
    return [line for line in lines if line] and ["", *(line for line in lines if line)]


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    line = "|" + "---|" * len(header)
    return ["| " + " | ".join(header) + " |", line, *("| " + " | ".join(row) + " |" for row in rows)]


def _means(entries: list[dict]) -> list[str]:
    variants = variants_of(entries)
    rows = []
    for measure in MEASURES:
        cells = []
        for variant in variants:
            summary = summarise(entries, measure, variant)
            text = measure.text(summary.mean if summary and _says(measure, variant) else None)
            if summary and summary.maps < len(entries):
                text += f" (deposited {measure.text(summary.deposited)}; {summary.maps} maps)"
            cells.append(text)
        rows.append([measure.title, *cells])
    rows.append(["seconds a map", *(_seconds(entries, variant) for variant in variants)])
    return _table(["mean", *variants], rows)


def _says(measure: Measure, variant: str) -> bool:
    # No cube of the deposited map is better than itself.
    return not (measure.key == "cubes.improved" and variant == DEPOSITED)


def _seconds(entries: list[dict], variant: str) -> str:
    taken = [
        e["facts"][variant]["seconds"] for e in entries if variant in e["facts"] and variant in e["scores"]
    ]
    return f"{sum(taken) / len(taken):.1f}" if taken else "–"


def _counts(entries: list[dict]) -> list[str]:
    variants = [v for v in variants_of(entries) if v != DEPOSITED]
    rows = []
    for measure in MEASURES:
        if measure.key == "cubes.improved":
            continue
        cells = []
        for variant in variants:
            summary = summarise(entries, measure, variant)
            loss = measure.text(max(0.0, -summary.worst)) if summary else ""
            cells.append(f"{summary.better} of {summary.maps}, {loss}" if summary else "–")
        rows.append([measure.title, *cells])
    return _table(["", *variants], rows)


def _classes(entries: list[dict]) -> list[str]:
    variants = variants_of(entries)
    found = {v: class_means(entries, v, lambda scores: scores["q_mean"]) for v in variants}
    names = list(dict.fromkeys(name for means in found.values() for name in means))
    if not names:
        return ["(not asked for)"]
    rows = []
    for name in names:
        cells = []
        for variant in variants:
            mean, count = found[variant].get(name, (None, 0))
            fewer = count != found[DEPOSITED].get(name, (0, 0))[1]
            cells.append("–" if mean is None else f"{mean:.3f}" + (f" ({count} atoms)" if fewer else ""))
        rows.append([name.replace("_", " "), str(found[DEPOSITED].get(name, (0, 0))[1]), *cells])
    return _table(["mean over atoms", "atoms", *variants], rows)


def _per_map(entries: list[dict], measure: Measure) -> list[str]:
    variants = variants_of(entries)
    rows = [
        [
            e["entry"],
            f"{e['resolution']:g}",
            *(measure.text(measure.of(e["scores"].get(v, {}))) for v in variants),
        ]
        for e in entries
    ]
    if all(cell == "–" for row in rows for cell in row[2:]):
        return []
    return _table(["map", "A", *variants], rows)


def _lost(entries: list[dict]) -> list[str]:
    lines = []
    for entry in entries:
        for variant, scores in entry["scores"].items():
            for ligand in scores.get("ligands", []):
                if ligand["marks"]:
                    place = f"/{ligand['chain']}:{ligand['number']} {ligand['name']}"
                    lines.append(f"- {entry['entry']}, {variant}: {place}: {', '.join(ligand['marks'])}")
    return ["## Ligands that became worse", "", *lines, ""] if lines else []


def _missing(entries: list[dict]) -> list[str]:
    lines = [f"- {e['entry']}, {variant}: {why}" for e in entries for variant, why in e["missing"].items()]
    return ["## Not there", "", *lines] if lines else []
