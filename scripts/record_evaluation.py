"""Write what was measured into the card of weights: record_evaluation.py superem --real runs/evaluation

The report goes beside the weights as NAME-evaluation.md. Cards, README and help quote figures from nowhere else;
`tests/engine/test_quoted_figures.py` compares them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from cryomap.errors import InputError
from cryomap.networks.card import BUNDLED, METHODS, REAL_MAPS, SIMULATED, read_card
from cryomap.networks.checkpoint import update_card
from evaluation.measures import DEPOSITED, MEASURES, SHARES, specimen_of, summarise

COUNTED = {
    "maps whose map-model FSC 0.5 improves": "d_fsc_model_05",
    "maps whose CC_mask_hr improves": "cc_mask_hr",
}


def card_figures(entries: list[dict], variant: str) -> dict:
    """Means over the maps as deposited and as the variant makes them, and how many of them gain.

    Args:
        entries: of evaluation.json.
        variant: what the evaluation calls the method.

    Raises:
        InputError: the variant is on none of the maps.
    """
    own = [e for e in entries if variant in e["scores"]]
    found = {m.key: (m.digits, summarise(entries, m, variant)) for m in MEASURES}
    means = {key: (digits, summary) for key, (digits, summary) in found.items() if summary is not None}
    if not means:
        raise InputError(f"{variant}: the evaluation has none of it; --variant names what it has")
    return {
        DEPOSITED: {
            key: round(s.deposited, n) for key, (n, s) in means.items() if not key.startswith(SHARES)
        },
        variant: {key: round(s.mean, n) for key, (n, s) in means.items()},
        "maps": len(own),
        "specimens": len({specimen_of(e) for e in own}),
        **{title: means[key][1].better for title, key in COUNTED.items() if key in means},
    }


def main(words: list[str] | None = None) -> int:
    """Update the card and copy the report; 2 where something can't be read."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--weights", type=Path, help="the weights file (default: the bundled one)")
    parser.add_argument("--real", type=Path, help="what scripts/evaluate.py wrote: a folder")
    parser.add_argument("--variant", help="of the evaluation (default: METHOD)")
    parser.add_argument("--simulated", type=Path, help="what scripts/benchmark_q.py wrote: a file")
    options = parser.parse_args(words)
    weights = options.weights or BUNDLED / f"{options.method}.safetensors"
    try:
        results = read_card(weights.with_suffix(".json")).results
        if options.real:
            entries = json.loads((options.real / "evaluation.json").read_text())["entries"]
            figures = card_figures(entries, options.variant or options.method)
            figures[options.method] = figures.pop(options.variant or options.method)
            results = {**results, REAL_MAPS: figures}
        if options.simulated:
            results = {**results, SIMULATED: json.loads(options.simulated.read_text())["classes"]}
        update_card(weights, results=results)
        if options.real:
            shutil.copy(options.real / "evaluation.md", weights.with_name(f"{weights.stem}-evaluation.md"))
    except (InputError, OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
