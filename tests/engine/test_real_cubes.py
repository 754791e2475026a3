"""Real maps as a stream of cubes: what is known of their targets, and changes that keep their noise real."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from real_maps import HEADER, SHAPE, density, positions, write_pair, write_table
from scipy.spatial import cKDTree
from training_runs import make, words

import train as script
from cryomap.errors import InputError
from cryomap.networks.checkpoint import load_weights
from cryomap.networks.training_ids import training_ids
from pairs.entries import Entry, read_list, split_of
from simulation import surroundings
from simulation.box import Box
from simulation.degrade import shell_means
from simulation.experiment import Experiment, scaled, target_of
from simulation.packs import pack, unpack
from simulation.randomness import rotation
from simulation.settings import Settings
from simulation.structures import is_held_out
from training.feeds import Inputs, make_feed
from training.real_cubes import RealCubes, cut_padded
from training.real_pairs import real_pair, real_pairs, smoothed
from training.recipe import RealMaps, read_recipe
from training.versions import fsc_of_poorer, poorer, room_to_turn, turned_freely, version, with_b_factor

SETTINGS = Settings(resolution=(3.0, 6.0), target_sigma=0.9)


def entry(folder, name="map", resolution=3.5, **more):
    return Entry(
        name, "", "", resolution, "train", str(folder / f"{name}.mrc"), str(folder / f"{name}.pdb"), **more
    )


def far_from(points, distance):
    """Bool (z, y, x): further than `distance` from all points (n, 3; x, y, z)."""
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)[..., ::-1]
    nearest = cKDTree(points).query(index.reshape(-1, 3))[0].reshape(SHAPE)
    return torch.from_numpy(nearest > distance)


def test_unmodelled_neighbours_are_neither_learned_nor_erased(tmp_path):
    """A second body beside the model's, in a map with solvent and in one that is masked."""
    atoms = positions(1)
    neighbour = atoms[:100] * [0.4, 0.4, 0.4] + [2, 2, 2]
    rng = np.random.default_rng(0)
    values = density(atoms) + density(neighbour) + 0.02 * rng.standard_normal(SHAPE)
    write_pair(tmp_path, "map", values, atoms)
    pair = real_pair(entry(tmp_path), SETTINGS)
    there = torch.from_numpy(density(neighbour) > 1) & far_from(atoms, 5)
    assert there.sum() > 100 and not pair.known[there].any()
    assert pair.known[~far_from(atoms, 2.5)].all()
    solvent = far_from(atoms, 9) & far_from(neighbour, 6)
    assert pair.known[solvent].float().mean() > 0.8 and not pair.empty.any()
    write_pair(tmp_path, "masked", np.where(values > 0.15, values, 0), atoms)
    pair = real_pair(entry(tmp_path, "masked"), SETTINGS)
    assert not pair.known[there].any() and pair.known[~far_from(atoms, 4)].all()
    assert pair.known[torch.from_numpy(values < 0.1)].all() and pair.empty.float().mean() > 0.3


def test_what_the_target_leaves_out_does_not_count(tmp_path):
    """Waters, but where the map is good enough to show them: there they are in the target."""
    atoms = positions(2)
    waters = np.array([[40.0, 40.0, 40.0], [41.0, 12.0, 40.0]])
    write_pair(tmp_path, "map", density(np.concatenate([atoms, waters])), atoms, waters=waters)
    poor, good = (real_pair(entry(tmp_path, resolution=r), SETTINGS) for r in (3.5, 2.5))
    for x, y, z in waters.astype(int):
        assert not poor.known[z, y, x] and float(poor.target[z, y, x]) < 0.01
        assert good.known[z, y, x] and float(good.target[z, y, x]) > 0.2


def test_nothing_comes_round_the_edge(tmp_path):
    atoms = positions(3, 20) * 0.3
    atoms = atoms - atoms.min(axis=0)  # in the corner at the first voxel
    write_pair(tmp_path, "map", density(atoms), atoms)
    pair = real_pair(entry(tmp_path), SETTINGS)
    corner = torch.zeros(1, 3)
    assert surroundings.near(corner, 4.0, pair.box)[-2, -2, -2]
    within = surroundings.near(corner, 4.0, pair.box, periodic=False)
    assert within[2, 2, 2] and not within[24:].any() and not within[:, 24:].any()
    outside = surroundings.near(torch.tensor([[-3.0, 10, 10]]), 4.0, pair.box, periodic=False)
    assert outside[0, 10, 10] and not outside[2:].any()
    values = torch.zeros(SHAPE)
    values[0, 0, 0] = 1
    assert float(smoothed(values, 2.0)[-1, -1, -1]) < 1e-6
    made = poorer(replace(pair, filled=1e9), 5.0, torch.Generator().manual_seed(1))  # no noise to speak of
    assert float(made[-4:, -4:, -4:].abs().max()) < 0.01 * float(made.abs().max())


def test_a_poorer_map_has_the_fsc_that_it_is_said_to_have(tmp_path):
    """With the map itself, where the molecule is: here in the middle of the box."""
    rng = torch.Generator().manual_seed(1)
    raw = torch.randn(64, 64, 64, generator=rng)
    raw = torch.fft.irfftn(
        torch.fft.rfftn(raw) * torch.exp(-8 * Box((64,) * 3).frequencies ** 2), s=raw.shape
    )
    inside = torch.zeros(64, 64, 64)
    inside[16:48, 16:48, 16:48] = 1
    raw = raw * inside
    write_pair(tmp_path, "map", density(positions(1)), positions(1))
    pair = replace(
        real_pair(entry(tmp_path), SETTINGS), raw=raw, empty=torch.zeros(64, 64, 64).bool(), filled=1 / 8
    )
    box = pair.box
    curve = torch.zeros(51)
    for seed in range(3):
        made = poorer(pair, 6.0, torch.Generator().manual_seed(seed))
        f, g = box.fourier(raw * inside), box.fourier(made * inside)
        cross, _ = shell_means((f * g.conj()).real, box)
        powers = [shell_means(c.abs() ** 2, box)[0] for c in (f, g)]
        curve += (cross / (powers[0] * powers[1]).sqrt())[:51] / 3
    for s in (0.08, 0.12, 1 / 6, 0.2, 0.25):
        wanted = float(fsc_of_poorer(torch.tensor(s), 6.0))
        assert float(curve[round(100 * s)]) == pytest.approx(wanted, abs=0.12)
    assert float(fsc_of_poorer(torch.tensor(1 / 6), 6.0)) == pytest.approx(0.5)


def test_masks_of_a_version_make_more_known_not_less(tmp_path):
    write_pair(tmp_path, "map", density(positions(4)) + 0.2, positions(4))
    pair = real_pair(entry(tmp_path), SETTINGS)
    for seed in range(4):
        observed, known = version(pair, SETTINGS, RealMaps(masked=1.0), torch.Generator().manual_seed(seed))
        assert (known | ~pair.known).all() and known[0, 0, 0]
        assert float(observed[0, 0, 0]) == float(observed[-1, -1, -1])
    plain, known = version(pair, SETTINGS, RealMaps(), torch.Generator().manual_seed(0))
    torch.testing.assert_close(plain, pair.observed, atol=1e-5, rtol=0)
    assert torch.equal(known, pair.known)


def test_noise_takes_the_place_of_a_mask(tmp_path):
    """It is there at 5 to 40 % of the molecule's amplitude, half of the time; what has its solvent stays as it is."""
    atoms = positions(3)
    values = density(atoms)
    write_pair(tmp_path, "masked", np.where(values > 0.15, values, 0), atoms)
    write_pair(tmp_path, "whole", values + 0.05 * np.random.default_rng(0).standard_normal(SHAPE), atoms)
    masked, whole = (real_pair(entry(tmp_path, name), SETTINGS) for name in ("masked", "whole"))
    how, ratios = RealMaps(unmasked=0.5), []
    for seed in range(40):
        observed, known = version(masked, SETTINGS, how, torch.Generator().manual_seed(seed))
        assert torch.equal(known, masked.known)
        outside = observed[masked.empty]
        ratios.append(float(outside.std() / observed[~masked.empty].square().mean().sqrt()))
        observed = version(whole, SETTINGS, how, torch.Generator().manual_seed(seed))[0]
        assert torch.allclose(observed, whole.observed, atol=1e-3 * float(whole.observed.std()))
    ratios = np.array(ratios)
    assert 10 <= (ratios == 0).sum() <= 30
    assert 0.02 < ratios[ratios > 0].min() < 0.15 and 0.2 < ratios.max() < 0.6


def test_free_rotations_turn_input_target_and_what_is_known_alike():
    cube = 16
    size = room_to_turn(cube)
    axes = [torch.arange(size) - (size - 1) / 2] * 3
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    matrix = rotation(torch.Generator().manual_seed(3))
    blob = torch.exp(-((z - 1.5) ** 2 + (y + 1) ** 2 + (x - 2) ** 2) / 6)
    (turned,) = turned_freely([blob], matrix, cube)
    place = torch.stack(torch.meshgrid(*[torch.arange(cube) - (cube - 1) / 2] * 3, indexing="ij"), -1)
    centre = (place * turned[..., None]).sum((0, 1, 2)) / turned.sum()
    expected = torch.tensor([1.5, -1.0, 2.0]) @ matrix  # p is read at matrix p
    assert torch.allclose(centre, expected, atol=0.25)
    whole = turned_freely([torch.ones(size, size, size)], matrix, cube)[0]
    assert float(whole.min()) > 0.999


def test_a_b_factor_blurs_by_the_gaussian_it_stands_for():
    cube = torch.zeros(32, 32, 32)
    cube[16, 16, 16] = 1
    narrow = with_b_factor(cube, 300.0)
    sharpened = with_b_factor(with_b_factor(narrow, 60.0), -60.0)
    torch.testing.assert_close(sharpened, narrow, atol=1e-3, rtol=0)
    sigma2 = 300 / (8 * np.pi**2)
    assert float(narrow[16, 16, 19] / narrow[16, 16, 16]) == pytest.approx(np.exp(-0.5 * 9 / sigma2), rel=0.1)
    assert float(with_b_factor(torch.ones(16, 16, 16), -25.0).std()) < 1e-5


def test_cubes_reach_outside_small_maps_and_nothing_is_known_there(tmp_path):
    write_pair(tmp_path, "map", density(positions(5)), positions(5))
    pairs = real_pairs([entry(tmp_path)], SETTINGS)
    observed, target, known = RealCubes(pairs, SETTINGS, RealMaps(b_share=0), 56, 2, seed=1)[3]
    assert observed.shape == target.shape == known.shape == (2, 1, 56, 56, 56)
    inside = np.prod(SHAPE) / 56**3
    assert float(known.mean()) <= inside and float(known.mean()) > 0.4 * inside
    piece = cut_padded(torch.ones(4, 5, 6), (-2, 3, 4), 4)
    assert piece.sum() == 2 * 2 * 2 and piece[2:, :2, :2].min() == 1


def test_cubes_are_the_same_whatever_came_before(tmp_path):
    table = write_table(tmp_path)
    pairs = real_pairs(read_list(table), SETTINGS)
    how = RealMaps((4.3, 8.0), free_rotation=0.3, anisotropic=0.3, resampled=0.3, masked=0.3, contrast=0.3)
    made = [RealCubes(pairs, SETTINGS, how, 24, 1, seed=2) for _ in range(2)]
    for i in range(40):
        made[0][i]
    for i in (5, 30, 6):
        assert all(torch.equal(a, b) for a, b in zip(made[0][i], made[1][i], strict=True))
    assert not torch.equal(made[0][5][0], made[0][6][0])


def test_specimens_share_their_weight_and_docked_models_count_half(tmp_path):
    write_pair(tmp_path, "map", density(positions(6)), positions(6))
    kinds = (("a", True), ("b", True), ("b", True), ("c", False))
    entries = [entry(tmp_path, specimen=s, deposited=d) for s, d in kinds]
    weights = [pair.weight for pair in real_pairs(entries, SETTINGS)]
    assert [w / weights[0] for w in weights] == pytest.approx([1, 0.5, 0.5, 0.5])


def test_the_target_is_made_by_the_function_of_the_simulated_ones(tmp_path):
    write_pair(tmp_path, "map", density(positions(7)), positions(7))
    pair = real_pair(entry(tmp_path), SETTINGS)
    from training.real_maps import laid_out

    atoms = laid_out(entry(tmp_path), SETTINGS).atoms
    assert torch.equal(pair.target, scaled(target_of(atoms, SETTINGS, pair.box, 3.5), SETTINGS))
    assert isinstance(Experiment(pair.observed, pair.target, 3.5, "", atoms).observed, torch.Tensor)


REAL = """
method = "superem"
cube = 16
network = { channels = 4, blocks = 1, norm = "none", dropout = 0.0 }
[data]
box = 32
resolution = [3.0, 5.0]
[shares]
real = 0.5
simulated = 0.5
[real]
poorer = [4.3, 8.0]
[optimise]
ema_decay = 0.0
batch = 2
cubes_per_box = 1
"""


def test_a_run_mixes_feeds_and_holds_out_a_fold(tmp_path):
    made = make(tmp_path)
    table = write_table(tmp_path)
    (made / "real.toml").write_text(REAL)
    line = [*words(made, "folds", recipe="real.toml"), "--pairs", str(table), "--steps", "2"]
    assert script.main([*line, "--folds", "3", "--fold", "1"]) == 0
    folds = json.loads((made / "folds" / "folds.json").read_text())
    assert set(folds) == {"fold-0", "fold-1", "fold-2"}
    assert sorted(name for names in folds.values() for name in names) == [f"map{i}" for i in range(4)]
    card = load_weights(None, made / "folds" / "fold-1" / "superem.safetensors")[1]
    assert set(card.training["maps"]).isdisjoint(folds["fold-1"])
    assert set(card.training["maps"]) | set(folds["fold-1"]) == {f"map{i}" for i in range(4)}
    assert card.training["data"] == {"real": 0.5, "simulated": 0.5} and card.training["fold"] == 1
    assert "held out" in card.results["validation"]
    assert script.main([*line, "--folds", "4", "--fold", "1"]) == 2  # the folder is of other folds


def test_weights_that_have_seen_what_is_held_out_are_no_start(tmp_path, capsys):
    """They are for the other fold; and a run that goes on with other maps still tells those of before."""
    made = make(tmp_path)
    lines = write_table(tmp_path).read_text().splitlines()
    table = tmp_path / "ids.tsv"
    ids = ["emdb_id", *(f"EMD-{1000 + n}" for n in range(len(lines) - 1))]
    table.write_text("".join(f"{line}\t{one}\n" for line, one in zip(lines, ids, strict=True)))
    (made / "real.toml").write_text(REAL)
    line = [*words(made, "run", recipe="real.toml"), "--pairs", str(table), "--steps", "1", "--folds", "2"]
    assert script.main(line) == 0
    weights = made / "run" / "fold-0" / "superem.safetensors"
    seen = {one for one in training_ids(weights) if one.startswith("EMD-")}
    assert seen and seen < set(ids)
    line += ["--start-from", str(weights)]
    assert script.main([*line, "--fold", "1"]) == 2
    assert (
        f"{weights}: trained on {', '.join(sorted(seen))}, which this run holds out"
        in capsys.readouterr().err
    )
    table.write_text(table.read_text().replace("EMD-1", "EMD-2"))
    assert script.main(line) == 0
    assert training_ids(weights) > seen | {one.replace("EMD-1", "EMD-2") for one in seen}


def test_splits_of_a_table_count_also_where_one_line_has_none(tmp_path):
    make(tmp_path)
    head, *lines = write_table(tmp_path).read_text().splitlines()
    given = zip(lines, ("train", "validation", "test", ""), strict=True)
    table = tmp_path / "splits.tsv"
    table.write_text(f"{head}\tsplit\n" + "".join(f"{line}\t{split}\n" for line, split in given))
    (tmp_path / "real.toml").write_text(REAL)
    feed = make_feed(
        read_recipe(tmp_path / "real.toml"), Inputs(tmp_path / "made.npz", table), tmp_path / "a", 0
    )
    drawn = {"map3"} if split_of("map3") == "train" else set()
    assert set(feed.facts["maps"]) == {"map0"} | drawn and len(feed.validation["held out"]) >= 1


def test_nothing_is_validated_where_no_map_held_out_is_of_a_resolution_that_counts(tmp_path):
    make(tmp_path)
    table = write_table(tmp_path)
    table.write_text(table.read_text().replace("\t3.0\t", "\t9\t"))
    (tmp_path / "real.toml").write_text(REAL)
    recipe = read_recipe(tmp_path / "real.toml")
    for fold in range(4):
        given = Inputs(tmp_path / "made.npz", table, folds=4, fold=fold)
        validation = make_feed(recipe, given, tmp_path / "a", 0).validation
        held_out = json.loads((tmp_path / "a" / "folds.json").read_text())[f"fold-{fold}"]
        assert ("held out" in validation) == (held_out != ["map0"])


def test_a_recipe_of_real_maps_asks_for_them(tmp_path, capsys):
    made = make(tmp_path)
    (made / "real.toml").write_text(REAL)
    assert script.main([*words(made, "run", recipe="real.toml"), "--steps", "1"]) == 2
    assert "give --pairs" in capsys.readouterr().err
    with pytest.raises(InputError, match="none of its atoms is in the map"):
        write_pair(tmp_path, "off", density(positions(1)), positions(1) + 500)
        real_pair(entry(tmp_path, "off"), SETTINGS)


def test_structures_related_to_a_map_that_is_measured_are_left_out(tmp_path):
    """One related to a map of the held-out fold, and one to a map that is only validated on."""
    make(tmp_path)
    table = write_table(tmp_path)
    (tmp_path / "real.toml").write_text(REAL)
    recipe = read_recipe(tmp_path / "real.toml")
    given = Inputs(tmp_path / "made.npz", table, folds=2, fold=0)
    whole = make_feed(recipe, given, tmp_path / "a", 0).facts["structures"]
    apart = json.loads((tmp_path / "a" / "folds.json").read_text())["fold-0"]
    structures = unpack(tmp_path / "made.npz")
    used = [i for i, s in enumerate(structures) if not is_held_out(s.pdb_id)][:2]
    for i, name in zip(used, (apart[0], "other"), strict=True):
        structures[i] = replace(structures[i], relative_of=("EMD-9", name))
    pack(structures, tmp_path / "made.npz")
    assert make_feed(recipe, given, tmp_path / "a", 0).facts["structures"] == whole - 1
    line = write_pair(tmp_path, "other", density(positions(8)), positions(8)) + "\t4\to\tyes"
    (tmp_path / "other.tsv").write_text(HEADER + line + "\n")
    both = make_feed(recipe, replace(given, real_maps=tmp_path / "other.tsv"), tmp_path / "a", 0)
    assert both.facts["structures"] == whole - 2 and set(both.validation) >= {"held out", "real", "simulated"}
