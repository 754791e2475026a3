"""How well a result tells where atoms are, and the regression that makes it a probability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import rankdata

from cryomap.atoms import read_model
from cryomap.contour import default_contour
from cryomap.density import read_map, resample, values_at
from cryomap.enhancement.methods import Method
from cryomap.enhancement.run import enhance
from cryomap.replacing import replacing
from cryomap.trust.confidence import NEAR, REACH, probability, terms
from cryomap.trust.judgement import judge
from pairs.entries import Entry

PLACES = 20_000  # of a map
STEP = 1.0  # A
CLASSES = 15  # of confidence, in the expected calibration error
STEPS = 30  # of Newton's method, at most
RIDGE = 1e-6  # keeps terms that are the same in all maps from running away


@dataclass(frozen=True)
class Places:
    """Voxels of a result within 4 A of the model.

    Attributes:
        name, specimen: of the map.
        near: bool (n,), whether a heavy atom lies within 1.5 A.
        terms: float32 (n, terms), see `confidence.terms`.
        others: what people have anyway, by name (n,): density of the input and of the result, local correlation.
    """

    name: str
    specimen: str
    near: np.ndarray
    terms: np.ndarray
    others: dict[str, np.ndarray]


def places(entry: Entry, method: Method, seed: int = 0) -> Places:
    """Enhance a map and take some of its voxels.

    Raises:
        InputError: the map or the model can't be used, or the model isn't in the map.
    """
    density, model = read_map(entry.map_file), read_model(entry.model_file)
    result, _ = enhance(density, method, grid_spacing=STEP, resolution=entry.resolution)
    tree = cKDTree(model.positions[model.atomic_numbers > 1])
    index = np.indices(result.grid.shape).reshape(3, -1).T[:, ::-1]
    points = result.grid.to_xyz(index)
    distance = tree.query(points, distance_upper_bound=REACH)[0].reshape(result.grid.shape)
    chosen = np.flatnonzero(distance < REACH)
    chosen = np.sort(np.random.default_rng(seed).permutation(chosen)[:PLACES])
    where = np.zeros(distance.size, bool)
    where[chosen] = True
    where = where.reshape(distance.shape)
    trust = judge(density, result, level=default_contour(density.values), resolution=entry.resolution)
    assert trust.support is not None  # only what came as JSON lacks it
    others = {
        "input density": values_at(resample(density, result.grid, 3), points[chosen]),
        "result density": result.values[where],
        "local correlation": values_at(trust.support, points[chosen]),
    }
    return Places(entry.name, entry.specimen, distance[where] < NEAR, terms(result, where), others)


def fit(found: Sequence[Places]) -> np.ndarray:
    """Coefficients (terms,) of the most likely logistic regression, each specimen counting the same."""
    count = Counter(one.specimen for one in found)
    x = np.concatenate([one.terms for one in found]).astype(float)
    y = np.concatenate([one.near for one in found])
    w = np.concatenate([np.full(len(one.near), 1 / len(one.near) / count[one.specimen]) for one in found])
    beta = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = probability(x, beta)
        slope = x.T @ (w * (y - p)) - RIDGE * beta
        step = np.linalg.solve((x * (w * p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(len(beta)), slope)
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    return beta


def left_out(found: Sequence[Places]) -> list[np.ndarray]:
    """The confidence (n,) at each map's places, by a fit to the other specimens."""
    fits = {s: fit([o for o in found if o.specimen != s]) for s in {one.specimen for one in found}}
    return [probability(one.terms, fits[one.specimen]) for one in found]


def calibration_error(near: np.ndarray, said: np.ndarray) -> float:
    """Expected calibration error: the mean of |share near an atom - confidence| over classes of confidence."""
    owner = np.minimum((said * CLASSES).astype(int), CLASSES - 1)
    gap = np.bincount(owner, near - said, CLASSES)
    return float(np.abs(gap).sum() / len(near))


def area_under_curve(near: np.ndarray, score: np.ndarray) -> float:
    """The probability that a place near an atom has the higher score (ROC AUC, Mann-Whitney)."""
    n = int(near.sum())
    return float((rankdata(score)[near].sum() - n * (n + 1) / 2) / (n * (len(near) - n)))


def report(found: Sequence[Places], said: Sequence[np.ndarray]) -> tuple[str, dict]:
    """Markdown, and figures for the card."""
    names = list(found[0].others)
    rows, errors = [], []
    areas: dict[str, list[float]] = {name: [] for name in ("confidence", *names)}
    for one, own in zip(found, said, strict=True):
        errors.append(calibration_error(one.near, own))
        for name, score in (("confidence", own), *one.others.items()):
            areas[name].append(area_under_curve(one.near, score))
        rows.append([one.name, f"{errors[-1]:.3f}", *(f"{a[-1]:.3f}" for a in areas.values())])
    near, all_said = np.concatenate([one.near for one in found]), np.concatenate(said)
    whole = calibration_error(near, all_said)
    means = {name: round(float(np.mean(a)), 3) for name, a in areas.items()}
    rows.append(["all", f"{whole:.3f}", *(f"{a:.3f}" for a in means.values())])
    head = ["Map", "Calibration error", *(f"AUC of {name}" for name in areas)]
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
    figures = {"maps": len(found), "error": round(whole, 3), "worst": round(max(errors), 3), "auc": means}
    return text, figures


def reliability_chart(found: Sequence[Places], said: Sequence[np.ndarray], path: Path) -> None:
    """Draw the share near an atom against the confidence, of each map and of all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(
        xlabel="confidence", ylabel="share within 1.5 Å of an atom", xlim=(0, 1), ylim=(0, 1)
    )
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="dashed")
    edges = np.linspace(0, 1, 11)
    for one, own in zip(found, said, strict=True):
        axes.plot(*_curve(one.near, own, edges), color="#9ecae1", linewidth=0.8)
    near, own = np.concatenate([one.near for one in found]), np.concatenate(said)
    axes.plot(*_curve(near, own, edges), color="#08519c", linewidth=2, marker="o", label="all maps")
    axes.plot([], [], color="#9ecae1", linewidth=0.8, label="one map")
    axes.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _curve(near: np.ndarray, said: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    owner = np.minimum(np.searchsorted(edges, said, side="right") - 1, len(edges) - 2)
    count = np.bincount(owner, minlength=len(edges) - 1)
    used = count >= 50
    x, y = (np.bincount(owner, v, len(edges) - 1)[used] / count[used] for v in (said, near))
    return x, y
