"""The figures that cards, README and help quote are those of the evaluation reports; cards tell them shortly."""

import json
import re
import textwrap
from pathlib import Path

import pytest
from test_checkpoint import CARD, SMALL

import record_evaluation
from cryomap.cli.main import main
from cryomap.networks.card import BUNDLED, METHODS, REAL_MAPS, SIMULATED, Card, bundled_cards, read_card
from cryomap.networks.checkpoint import save_weights
from cryomap.networks.superem import Generator
from evaluation.measures import DEPOSITED, MEASURES
from evaluation.tables import report

ROOT = Path(__file__).parents[2]
TITLES = {measure.title: measure for measure in MEASURES}


def short(value: float) -> str:
    """As prose has it: .684"""
    return f"{value:.3f}".removeprefix("0")


def table(text: str, heading: str) -> tuple[list[str], dict[str, list[str]]]:
    """The names of the columns and the rows of the Markdown table under a heading."""
    lines = re.split(r"\n#+ ", text.split(f"## {heading}\n")[1])[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[0][1:], {row[0]: row[1:] for row in rows[2:]}


@pytest.mark.parametrize("method", METHODS)
def test_cards_hold_the_means_of_the_report(method):
    text = (BUNDLED / f"{method}-evaluation.md").read_text(encoding="utf-8")
    found = bundled_cards()[method].results[REAL_MAPS]
    columns, rows = table(text, "Means")
    for variant in (DEPOSITED, method):
        column = columns.index(variant)
        told = {t: cells[column] for t, cells in rows.items() if t in TITLES and cells[column] != "–"}
        measures = {measure.title: measure for measure in MEASURES if measure.key in found[variant]}
        assert told == {
            title: measure.text(found[variant][measure.key]) for title, measure in measures.items()
        }
    columns, rows = table(text, "Maps better than deposited, and the largest loss")
    for title, key in record_evaluation.COUNTED.items():
        (row,) = (cells for name, cells in rows.items() if TITLES[name].key == key)
        assert row[columns.index(method)].startswith(f"{found[title]} of {found['maps']},")


def test_the_readme_quotes_the_cards():
    """Rows of the table: | CC_box_hr | .669 → .747 | .445 → .558 |, superem first."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (CC_\w+|mean Q)(?:-score)? \| (.* → .*) \|$", text, re.MULTILINE))
    assert {"CC_mask_hr", "mean Q"} <= set(rows)
    for title, cells in rows.items():
        key = TITLES[title].key
        found = [(card.results[REAL_MAPS], method) for method, card in bundled_cards().items()]
        expected = [f"{short(f[DEPOSITED][key])} → {short(f[method][key])}" for f, method in found]
        assert cells.split(" | ") == expected, title
    ions = [card.results[SIMULATED]["ion"] for card in bundled_cards().values()]
    assert " and ".join(f"{short(ion['before'])} → {short(ion['after'])}" for ion in ions) in text


def test_the_help_quotes_the_cards():
    text = (ROOT / "src/docs/user/tools/enhance.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]*>|\s+", " ", text)
    text = re.sub(r"\s+", " ", text)
    for method, card in bundled_cards().items():
        found = card.results[REAL_MAPS]
        for key in ("cc_mask_hr", "cc_box_hr"):
            assert f"from {short(found[DEPOSITED][key])} to {short(found[method][key])}" in text
        ions = card.results[SIMULATED]["ion"]
        assert f"from {short(ions['before'])} to {short(ions['after'])}" in text


def test_the_help_quotes_the_calibration_of_confidence():
    text = (ROOT / "src/docs/user/commands/enhance.html").read_text(encoding="utf-8")
    found = bundled_cards()["superem"].results["confidence"]
    assert f"off by {short(found['error'])} on average, by up to {short(found['worst'])}" in text
    assert found["maps"] == 7 and "superem on seven" in text
    found = bundled_cards()["cryosamu"].results["confidence"]
    assert f"cryosamu on {found['maps']}, by {short(found['error'])} and up to {short(found['worst'])}" in text


def test_info_is_short(capsys, monkeypatch):
    assert main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40 and all(len(line) <= 100 for line in lines if str(BUNDLED) not in line)
    shown = " ".join(" ".join(lines).split())
    for method, card in bundled_cards().items():
        figures = card.results[REAL_MAPS]
        for key in ("cc_mask_hr", "q_mean"):
            assert f"{figures[DEPOSITED][key]:.3f}, then {figures[method][key]:.3f}" in shown
        assert card.version in shown and f"{card.resolution[0]:g} to {card.resolution[1]:g} A" in shown
        assert len(textwrap.wrap(card.notes, 100)) <= 3 and card.notes.count(". ") <= 1


def test_a_card_without_measurements_tells_what_it_can():
    assert CARD.summary() == ["test, for maps at 3 to 8 A."]
    assert Card(**{**vars(CARD), "notes": "Only a test."}).summary()[-1] == "Only a test."


def test_kinds_of_training_data_are_told_with_their_shares():
    training = {"data": {"real": 0.8, "simulated": 0.2}, "structures": 403}
    (_, told) = Card(**{**vars(CARD), "training": training}).summary()
    assert told == "Trained on 80% real, 20% simulated maps of 403 structures."


def scores(cc: float, q: float, improved: float = 0.0) -> dict:
    cubes = {"improved": improved, "mean_after": cc}
    return {"cc_mask_hr": cc, "q_mean": q, "d_fsc_model_05": 10 * (1 - cc), "cubes": cubes}


@pytest.fixture
def measured(tmp_path):
    """Weights, and what an evaluation and the benchmark of Q say of them."""
    save_weights(Generator(**SMALL), CARD, tmp_path / "w.safetensors")
    entries = [
        {"entry": "a", "resolution": 4, "facts": {}, "missing": {}},
        {"entry": "b", "resolution": 5, "facts": {}, "missing": {}},
    ]
    entries[0]["scores"] = {DEPOSITED: scores(0.4, 0.3), "w": scores(0.6, 0.5, 0.9)}
    entries[1]["scores"] = {DEPOSITED: scores(0.5, 0.4), "w": scores(0.45, 0.4, 0.6)}
    result = {"entries": entries, "methods": {}, "failed": []}
    (tmp_path / "out").mkdir()
    (tmp_path / "out/evaluation.json").write_text(json.dumps(result))
    (tmp_path / "out/evaluation.md").write_text(report(result))
    classes = {"ion": {"residues": 3, "before": 0.5, "after": 0.4}}
    (tmp_path / "q.json").write_text(json.dumps({"classes": classes, "residues": []}))
    return tmp_path


def test_what_was_measured_is_recorded_in_the_card(measured):
    arguments = ["superem", "--weights", measured / "w.safetensors", "--real", measured / "out"]
    arguments += ["--variant", "w", "--simulated", measured / "q.json"]
    assert record_evaluation.main(list(map(str, arguments))) == 0
    card = read_card(measured / "w.json")
    found = card.results[REAL_MAPS]
    assert found[DEPOSITED] == {
        "cc_mask_hr": 0.45,
        "q_mean": 0.35,
        "d_fsc_model_05": 5.5,
        "cubes.mean_after": 0.45,
    }
    assert found["superem"]["cc_mask_hr"] == 0.525 and found["superem"]["cubes.improved"] == 0.75
    assert found["maps"] == found["specimens"] == 2 and found["maps whose CC_mask_hr improves"] == 1
    assert (measured / "w-evaluation.md").read_text() == (measured / "out/evaluation.md").read_text()
    told = " ".join(card.summary())
    assert "CC_mask_hr 0.450, then 0.525; mean Q 0.350, then 0.450" in told and "0.500, then 0.400" in told


def test_nothing_is_recorded_of_what_was_not_measured(measured, capsys):
    before = (measured / "w.json").read_text()
    arguments = ["superem", "--weights", measured / "w.safetensors", "--real", measured / "out"]
    assert record_evaluation.main(list(map(str, arguments))) == 2
    assert "superem: the evaluation has none of it" in capsys.readouterr().err
    assert (measured / "w.json").read_text() == before and not (measured / "w-evaluation.md").exists()
