"""The evaluation as Markdown."""

from __future__ import annotations

from .measures import DEPOSITED, MEASURES, SHARES, Measure, Summary, class_means, summarise, variants_of
from .published import comparisons

EXTENSIVE = 0.1  # of the density without a model: worth a line
RICH = 1.5  # times as many residues in helices as in strands, or the other way

NOTES = """
All maps are on a 1 A grid over the box of the deposited one (cubic spline). CC_* compare with the model map at the
reported resolution with the model's B factors (phenix.map_model_cc); CC_*_hr with every B = 20 A^2 cut at 3.0 A, since
at the reported resolution a sharper map loses correlation even when it is right. FSC and d_model are unmasked
(phenix.mtriage); an FSC that never falls below 0.5 counts as 2 A. Cubes are compared with the map simulated at 1.8 A
(maps at 3.5 A or better) or 3.0 A. Q-scores with sigma 0.6 A.

d_model is where the model's Fourier coefficients, cut there, correlate best with the map's: one strong shell decides,
so that it can name a finer detail than the map holds. Trust it only where FSC 0.5 moves along.

Means are over specimens (maps of one specimen are averaged first). Intervals hold 95 % of 10,000 paired bootstrap
means, specimens drawn anew: they tell how far the choice of specimens matters, not that of a network's training run;
for that, evaluate weights of another seed beside.
"""


def report(result: dict) -> str:
    """The whole report.

    Args:
        result: `entries`, each with entry, specimen, resolution, `scores` by variant and `missing` (variant: why);
            `methods` by variant: facts about it; and `without`, names of maps that some means leave out.
    """
    entries = result["entries"]
    parts = ["# Evaluation", "", f"{len(entries)} maps.", *_methods(result), "", NOTES.strip(), ""]
    parts += ["## Means", "", *_means(entries), "", *_trained_on(entries), *_means_of_fewer(entries)]
    if result.get("without"):
        rest = [e for e in entries if not {e["entry"], e.get("emdb_id")} & set(result["without"])]
        parts += [f"### Without {', '.join(result['without'])}: {len(rest)} maps", "", *_means(rest), ""]
    parts += ["## Gain over the deposited map, and its 95 % interval", "", *_gains(entries, DEPOSITED), ""]
    first = next(
        (v for v, facts in result["methods"].items() if {"weights", "cross-validated"} & set(facts)), None
    )
    if first and len([v for v in variants_of(entries) if v not in (DEPOSITED, first)]):
        parts += [f"## Gain over {first}, and its 95 % interval", "", *_gains(entries, first), ""]
    parts += ["## Maps better than deposited, and the largest loss", "", *_counts(entries), ""]
    parts += ["## Gain by secondary structure", "", *_by_structure(entries), ""]
    parts += ["## Q by class", "", *_classes(entries), ""]
    parts += _conformations(entries)
    parts += _without_model(entries)
    for title, header, rows in comparisons(entries):
        parts += [f"## Beside the published figures of {title}", "", *_table(header, rows), ""]
    parts += ["## Every map"]
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
            if summary and summary.maps < len(entries) and _says(measure, variant):
                before = f"deposited {measure.text(summary.deposited)}; " if _says(measure, DEPOSITED) else ""
                text += f" ({before}{summary.maps} maps)"
            cells.append(text)
        if any(cell != "–" for cell in cells):
            rows.append([measure.title, *cells])
    rows.append(["CPU seconds of the network, a map", *(_seconds(entries, variant) for variant in variants)])
    return _table(["mean", *variants], rows)


def _means_of_fewer(entries: list[dict]) -> list[str]:
    """The means again over the maps of each variant that isn't on all: only over the same maps can they be compared."""
    names: dict[tuple[str, ...], list[str]] = {}
    for variant in variants_of(entries):
        names.setdefault(tuple(e["entry"] for e in entries if variant in e["scores"]), []).append(variant)
    lines = []
    for maps, variants in names.items():
        if len(maps) < len(entries):
            chosen = [e for e in entries if e["entry"] in maps]
            lines += [f"### Over the {len(maps)} maps of {', '.join(variants)}", "", *_means(chosen), ""]
    return lines


def _trained_on(entries: list[dict]) -> list[str]:
    lines = []
    for variant in variants_of(entries):
        lines += trained_on(
            variant, [e["entry"] for e in entries if e["facts"].get(variant, {}).get("trained_on")]
        )
    return lines


def trained_on(weights: str, maps: list[str]) -> list[str]:
    """A warning where weights had seen some of the maps: their figures promise too much."""
    return [f"**{weights} was trained on {len(maps)} of these maps**: {', '.join(maps)}.", ""] if maps else []


def _gains(entries: list[dict], before: str) -> list[str]:
    variants = [v for v in variants_of(entries) if v not in (DEPOSITED, before)]
    rows = []
    for measure in MEASURES:
        if measure.key.startswith(SHARES):
            continue
        found = [summarise(entries, measure, v, before) for v in variants]
        if any(found):
            rows.append([measure.title, *(_interval(measure, s) for s in found)])
    return _table(["", *variants], rows)


def _interval(measure: Measure, summary: Summary | None) -> str:
    if summary is None:
        return "–"
    mean, low, high = (
        f"{v:+.{measure.digits}f}" for v in (summary.gain.mean, summary.gain.low, summary.gain.high)
    )
    return f"{mean} ({low} to {high})"


def _says(measure: Measure, variant: str) -> bool:
    # No cube of the deposited map is better than itself.
    return not (measure.key.startswith(SHARES) and variant == DEPOSITED)


def _seconds(entries: list[dict], variant: str) -> str:
    # Not by the clock: what else the machine did then would count.
    taken = [e["facts"].get(variant, {}).get("cpu_seconds") for e in entries if variant in e["scores"]]
    taken = [seconds for seconds in taken if seconds is not None]
    return f"{sum(taken) / len(taken):.1f}" if taken else "–"


def _counts(entries: list[dict]) -> list[str]:
    variants = [v for v in variants_of(entries) if v != DEPOSITED]
    rows = []
    for measure in MEASURES:
        if measure.key.startswith(SHARES):
            continue
        found = [summarise(entries, measure, variant) for variant in variants]
        if any(found):
            rows.append([measure.title, *(_count(measure, summary) for summary in found)])
    return _table(["", *variants], rows)


def _count(measure: Measure, summary: Summary | None) -> str:
    if summary is None:
        return "–"
    return f"{summary.better} of {summary.maps}, {measure.text(max(0.0, -summary.worst))}"


def _by_structure(entries: list[dict]) -> list[str]:
    """Gains of maps rich in helix, rich in strands, and of the others."""
    groups: dict[str, list[dict]] = {"rich in helix": [], "rich in strands": [], "other": []}
    for entry in entries:
        shares = entry.get("structure", {"helix": 0, "strand": 0})
        helix, strand = shares["helix"] > RICH * shares["strand"], shares["strand"] > RICH * shares["helix"]
        groups["rich in helix" if helix else "rich in strands" if strand else "other"].append(entry)
    variants = [v for v in variants_of(entries) if v != DEPOSITED]
    rows = []
    for measure in MEASURES[:2]:
        for name, group in groups.items():
            found = [summarise(group, measure, v) for v in variants]
            if any(found):
                rows.append(
                    [f"{measure.title}, {name} ({len(group)})", *(_interval(measure, s) for s in found)]
                )
    return _table(["gain (maps)", *variants], rows)


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


def _conformations(entries: list[dict]) -> list[str]:
    """Whether a map takes sides between alternate conformations, after Berkeley et al. (2024)."""
    rows = []
    for entry in entries:
        first = entry["scores"][DEPOSITED].get("conformers", [])
        shares = [entry["scores"].get(v, {}).get("major_conformation") for v in variants_of(entries)]
        if first:
            residues = len({(row["chain"], row["number"], row["insertion_code"]) for row in first})
            cells = ["–" if share is None else f"{share:.2f}" for share in shares]
            rows.append([entry["entry"], str(residues), *cells])
    if not rows:
        return []
    header = ["mean share of the best occupied one", "residues", *variants_of(entries)]
    return ["## Alternate conformations", "", *_table(header, rows), ""]


def _without_model(entries: list[dict]) -> list[str]:
    """Maps of which the model leaves out a part: their CC_box and CC_peaks count it as wrong."""
    variants = variants_of(entries)
    rows = []
    for entry in entries:
        shares = [entry["scores"].get(v, {}).get("unmodelled") for v in variants]
        if max((share for share in shares if share is not None), default=0) >= EXTENSIVE:
            rows.append([entry["entry"], *("–" if share is None else f"{share:.2f}" for share in shares)])
    if not rows:
        return []
    header = ["share of the density far from every atom", *variants]
    return ["## Density without a model", "", *_table(header, rows), ""]


def _per_map(entries: list[dict], measure: Measure) -> list[str]:
    variants = variants_of(entries)
    rows = [
        [
            e["entry"],
            f"{e['resolution']:g}",
            *(measure.text(measure.of(e["scores"].get(v, {})) if _says(measure, v) else None) for v in variants),
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
