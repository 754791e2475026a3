"""Training on prepared pairs: no structures are needed, epochs are counted, their own split is validated on."""

import pytest
from pair_entries import prepare

import train as script
from cryomap.errors import InputError
from cryomap.networks.checkpoint import load_weights
from pairs.datasets import PairCubes
from training.feeds import Inputs, make_feed
from training.recipe import read_recipe

RECIPE = """
method = "superem"
cube = 25
network = { channels = 4, blocks = 1, norm = "instance", dropout = 0.0 }
augment_pairs = false
[data]
target_sigma = 0
normalization = { name = "superem" }
[optimise]
schedule = "cosine"
epochs = 3
ema_decay = 0.0
batch = 4
cubes_per_box = 2
"""


@pytest.fixture
def pairs(pair_folder, tmp_path):
    """Two entries, one to train on and one to validate on."""
    files = "\n".join(
        f"entry{n}.map.gz\tentry{n}.cif.gz\t4.5\t{split}" for n, split in ((1, "train"), (2, "validation"))
    )
    (tmp_path / "list.tsv").write_text(f"map_file\tmodel_file\tresolution_A\tsplit\n{files}\n")
    out = tmp_path / "pairs"
    assert prepare("superem", out, "--list", tmp_path / "list.tsv", "--folder", pair_folder) == 0
    (tmp_path / "pairs.toml").write_text(RECIPE)
    return out


def test_pairs_alone_are_enough(pairs, tmp_path):
    line = f"superem --recipe {tmp_path / 'pairs.toml'} --pairs {pairs} --out {tmp_path / 'run'} --workers 0 --steps 2"
    assert script.main([*line.split(), "--accelerator", "cpu", "--validate-every", "999"]) == 0
    card = load_weights(None, tmp_path / "run" / "superem.safetensors")[1]
    assert card.training["cubes"] == len(PairCubes(pairs, "train")) and card.training["data"] == {"real": 1.0}
    assert set(card.results["validation"]) == {"pairs"}


def test_epochs_make_the_length_of_the_schedule(pairs, tmp_path):
    recipe = read_recipe(tmp_path / "pairs.toml")
    feed = make_feed(recipe, Inputs(pairs=pairs), tmp_path, 0)
    cubes = len(PairCubes(pairs, "train"))
    assert recipe.optimise.for_cubes(feed.epoch).steps == round(3 * cubes / 4) != recipe.optimise.steps
    seen = [feed.stream[i][0] for i in range(cubes // 2)]
    assert seen[0].shape == (2, 1, 25, 25, 25)


def test_prepared_cubes_have_no_folds(pairs, tmp_path, capsys):
    line = f"superem --recipe {tmp_path / 'pairs.toml'} --pairs {pairs} --out {tmp_path / 'run'} --folds 2"
    assert script.main([*line.split(), "--steps", "1", "--accelerator", "cpu"]) == 2
    assert "--folds" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_table_is_no_folder_of_cubes(pairs, tmp_path, capsys):
    line = (
        f"superem --recipe {tmp_path / 'pairs.toml'} --pairs {tmp_path / 'list.tsv'} --out {tmp_path / 'run'}"
    )
    assert script.main([*line.split(), "--steps", "1", "--accelerator", "cpu"]) == 2
    assert "make them with scripts/prepare_pairs.py" in capsys.readouterr().err


def test_cubes_of_maps_that_are_measured_are_not_trained_on(pairs, tmp_path, pair_folder):
    recipe = read_recipe(tmp_path / "pairs.toml")
    (tmp_path / "measured.tsv").write_text(
        "map_file\tmodel_file\tresolution_A\n"
        f"{pair_folder / 'entry1.map.gz'}\t{pair_folder / 'entry1.cif.gz'}\t4.5\n"
    )
    with pytest.raises(InputError, match="no entry of the split 'train'"):
        make_feed(recipe, Inputs(pairs=pairs, real_maps=tmp_path / "measured.tsv"), tmp_path, 0)
