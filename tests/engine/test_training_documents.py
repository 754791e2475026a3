"""The commands of docs/training.md: what they name is there, and their recipes get what they train on."""

import shlex
from pathlib import Path

import pytest

import train as script
from training.feeds import Inputs, shares_of

ROOT = Path(__file__).resolve().parents[2]


def commands(program):
    """The words after the program of each command that runs it."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in text.splitlines() if f"{program} " in line]
    return [
        line[line.index(program) + 1 :] for line in lines if program in line and line[0].startswith(".venv")
    ]


def test_every_program_is_there():
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    named = {
        word
        for line in text.splitlines()
        for word in line.split()
        if word.startswith("scripts/") and word.endswith(".py")
    }
    assert len(named) > 5 and all((ROOT / name).is_file() for name in named)


@pytest.mark.parametrize("words", commands("scripts/train.py"), ids=" ".join)
def test_a_recipe_gets_all_that_it_trains_on(words):
    arguments = script.parse(words)
    script.check(arguments)
    recipe = script.find_recipe(arguments.recipe or arguments.method, arguments.method)
    assert shares_of(recipe, Inputs(arguments.structures, arguments.pairs))
    assert recipe.for_embeddings(512 if arguments.embeddings else 0)
