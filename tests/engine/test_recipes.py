"""Recipes: the papers' and ours are read, and nothing that can't be used gets through."""

import pytest

from cryomap.errors import InputError
from simulation.settings import RECIPES
from training.recipe import Recipe, read_recipe


@pytest.mark.parametrize("name", sorted(p.stem for p in RECIPES.glob("*.toml")))
def test_every_recipe_reads(name):
    assert read_recipe(name).method == name.split("-")[0]


def test_the_papers_recipes_are_the_papers():
    """SuperEM: 16 a step, 100 epochs of 201,552 cubes, no augmentation; CryoSAMU: 8 times 18, 95 of 29,829."""
    superem, cryosamu = (read_recipe(name) for name in ("superem", "cryosamu"))
    o = superem.optimise
    assert (o.batch, o.epochs, superem.augment_pairs) == (16, 100, False)
    assert o.for_cubes(201_552).steps == o.steps == 100 * 201_552 // 16
    o = cryosamu.optimise
    assert (o.batch, o.per_device, o.epochs, cryosamu.augment_pairs) == (144, 18, 95, True)
    assert o.for_cubes(29_829).steps == o.steps == round(95 * 29_829 / 144)


def test_epochs_of_pairs_set_the_length_of_the_schedule():
    o = read_recipe("superem").optimise
    assert o.for_cubes(800).steps == 100 * 800 / 16


WRONG = {
    "foo": "foo = 1",
    "foo ": '[data]\ntarget_weights = "foo"',
    "steps": '[optimise]\nsteps = "many"',
    "learning_rate": "[optimise]\nlearning_rate = -1",
    "learning_rate ": "[optimise]\nlearning_rate = nan",
    "resolution": "[data]\nresolution = 4.0",
    "resolution ": "[data]\nresolution = [6.0, 4.0]",
    "zone": "[data]\nzone = 1.5",
    "batch": "[optimise]\nbatch = 0",
    "batch ": "[optimise]\nbatch = 3",
    "warm_up": "[optimise]\nwarm_up = true",
    "data": "data = 4",
    "content": '[loss]\ncontent = "l7"',
    "normalization": '[data.normalization]\nname = "foo"',
    "architecture": "network = { channels = 4, blob = 2 }",
    "tile": "run = { tile = 16, margin = 9 }",
    "shares": "shares = { dreams = 1.0 }",
    "optimiser": '[optimise]\noptimiser = "sgd"',
    "poorer": "[real]\npoorer = [4.3]",
}


@pytest.mark.parametrize("named", WRONG)
def test_a_recipe_with_a_wrong_key_or_value_is_refused(tmp_path, named):
    (tmp_path / "wrong.toml").write_text(f'method = "superem"\ncube = 16\n{WRONG[named]}\n')
    with pytest.raises(InputError, match=rf"wrong\.toml.*{named.strip()}") as refused:
        read_recipe(tmp_path / "wrong.toml")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "method =", 'method = "superem"', 'method = "other"\ncube = 16'])
def test_half_a_recipe_is_refused(tmp_path, text):
    (tmp_path / "half.toml").write_text(text)
    with pytest.raises(InputError, match=r"half\.toml: not a usable recipe"):
        read_recipe(tmp_path / "half.toml")


def test_a_recipe_may_leave_out_all_but_method_and_cube(tmp_path):
    (tmp_path / "short.toml").write_text('method = "superem"\ncube = 16\n')
    assert read_recipe(tmp_path / "short.toml") == Recipe("superem", 16)
