"""Names out of files where they could become something else: a formula of a spreadsheet or of matplotlib."""

import csv

import numpy as np
from made_models import model_at

from cryomap.metrics.plots import literal
from cryomap.metrics.results import Assessment, MapScores


def test_no_cell_of_a_table_begins_as_a_formula(rng):
    model = model_at(rng.uniform(0, 9, (4, 3)))
    chains = ("=1+1", "+A", "-B", "@SUM(A1)")
    scores = MapScores(
        "=cmd.mrc", "", figures={"cc_box": 0.5}, chains=tuple({"chain": c, "q": 0.1} for c in chains)
    )
    table = Assessment((scores,), model, "", 3.0, 0.6, ("qscore",), ()).to_csv()
    rows = list(csv.reader(table.splitlines()))[1:]
    assert {row[2] for row in rows} == {"", *(f"'{chain}" for chain in chains)}
    assert all(row[0] == "'=cmd.mrc" for row in rows) and rows[0][4] == "0.5"


def test_a_plot_shows_dollar_signs():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    name = r"$\frac$ and $x^$"
    figure = Figure()
    canvas = FigureCanvasAgg(figure)
    figure.text(0.1, 0.5, literal(name))
    canvas.draw()
    assert np.asarray(canvas.buffer_rgba()).min() < 255
