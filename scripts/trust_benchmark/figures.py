"""The figures of many maps, and of one in a line."""

from __future__ import annotations

from typing import Any

import numpy as np

from cryomap.metrics.classes import SINGLE_KINDS

from .tally import LOST, Case, Tally
from .truth import SMALL


def summary(tallies: list[Tally]) -> dict[str, Any]:
    """The figures over all maps."""

    def total(name: str) -> int:
        return sum(getattr(t, name) for t in tallies)

    q = np.array([row for t in tallies for row in t.q]).reshape(-1, 3)
    fell = q[:, 1] < q[:, 0] - 0.05  # Q doesn't see how high a peak is: what was merely weakened keeps its Q
    gain, loss = (q[fell, 2] - q[fell, 1]).sum(), (q[fell, 0] - q[fell, 1]).sum()
    drops = [t.cc_drop for t in tallies if t.q]
    false = np.array([t.false for t in tallies])
    clear = [case for t in tallies for case in t.clear]
    waters = [t.waters for t in tallies if t.waters is not None]
    lost = [w for w in waters if w.kept < LOST]
    return {
        "maps": len(tallies),
        **_recalls(clear),
        "faint_lost": total("faint_lost"),
        "recall_faint": total("faint_found") / max(1, total("faint_lost")),
        "waters_lost_as_a_class": f"{len(lost)} of {len(waters)} maps",
        "of_these_told": sum(w.worse for w in lost),
        "false_per_map": float(false.mean()) if len(false) else 0.0,
        "maps_with_more_than_one_false": int((false > 1).sum()),
        "rows_of_what_is_kept_per_map": total("rows_kept") / max(1, len(tallies)),
        "invented": total("invented"),
        "recall_invented": total("invented_found") / max(1, total("invented")),
        "false_invented_per_map": total("invented_false") / max(1, len(tallies)),
        "q_returned": float(gain / loss) if loss > 0 else float("nan"),
        "q_before_after_kept": q.mean(axis=0).round(3).tolist() if len(q) else [],
        "cc_mask_drop_mean": float(np.mean(drops)) if drops else 0.0,
        "cc_mask_drop_max": float(np.max(drops)) if drops else 0.0,
    }


def _recalls(clear: list[Case]) -> dict[str, Any]:
    """Found of lost: of ligands and the like together, by kind, and by own density over noise."""
    single = [case for case in clear if case.kind in SINGLE_KINDS]
    result: dict[str, Any] = {
        "clear_lost": len(single),
        "recall_clear": sum(case.found for case in single) / max(1, len(single)),
        "recall_clear_or_named": sum(case.found or case.named for case in single) / max(1, len(single)),
    }
    for kind in SMALL:
        result[f"clear_{kind}"] = _found([case for case in clear if case.kind == kind])
    for low, high in ((5, 7), (7, 10), (10, np.inf)):
        result[f"clear_{low}_to_{high}_sigma"] = _found([c for c in single if low <= c.strength < high])
    return result


def _found(cases: list[Case]) -> str:
    return f"{sum(case.found for case in cases)} of {len(cases)}, {sum(case.named for case in cases)} named"


def line(t: Tally) -> str:
    """One map in a line."""
    single = [case.found for case in t.clear if case.kind in SINGLE_KINDS]
    waters = [case.found for case in t.clear if case.kind == "water"]
    return (
        f"{t.story:45s} support {t.support:.2f} lost {sum(single)}/{len(single)} waters {sum(waters)}/{len(waters)} "
        f"faint {t.faint_found}/{t.faint_lost} false {t.false} rows of kept {t.rows_kept} "
        f"invented {t.invented_found}/{t.invented} false {t.invented_false} Q {np.round(t.q, 2).tolist()} "
        f"CC -{t.cc_drop:.4f} {t.missed[:9]} {t.wrong[:5]}"
    )
