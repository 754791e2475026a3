"""Experimental pairs: from maps and models to cubes, against the papers' own words."""

from __future__ import annotations

import pickle

import gemmi
import numpy as np
import pytest
import torch
from pair_entries import prepare, protein, write_model
from scipy.interpolate import RegularGridInterpolator

from cryomap.atoms import read_model
from cryomap.density import DensityMap, read_map, write_map
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.simulate import structure_factor_map
from pairs.datasets import PairCubes
from pairs.embeddings import Embeddings
from pairs.entries import LISTS, read_list, split_of
from pairs.examine import make_pair
from pairs.files import occupied, valid_starts
from pairs.recipes import PAIR_RECIPES, map_model_correlation, objection, target
from training.prepared_cubes import PreparedCubes


def test_the_papers_lists_are_complete():
    cryosamu, superem = read_list(LISTS / "cryosamu.tsv"), read_list(LISTS / "superem.tsv")
    counts = {split: sum(e.split == split for e in cryosamu) for split in ("train", "validation", "test")}
    # The text says 247 training maps; Table S1 prints 245.
    assert counts == {"train": 245, "validation": 62, "test": 75}
    assert len({e.emdb_id for e in cryosamu}) == len({e.pdb_id for e in cryosamu}) == 382
    assert (min(e.resolution for e in cryosamu), max(e.resolution for e in cryosamu)) == (4.0, 7.9)
    assert len(superem) == 36 and {e.split for e in superem} == {"test"}
    assert all(3 <= e.resolution <= 6 for e in superem)
    modelled = [e for e in cryosamu if e.modelling]
    assert len(modelled) == 20 and {e.split for e in modelled} == {"test"}  # Table S4
    cryoten = read_list(LISTS / "cryoten.tsv")
    assert len({e.emdb_id for e in cryoten}) == 150 and {e.split for e in cryoten} == {"test"}


def test_the_input_is_the_map_at_1_A_scaled_by_the_whole_map(pair_folder):
    density, model = read_map(pair_folder / "entry1.map.gz"), read_model(pair_folder / "entry1.cif.gz")
    pair = make_pair(density, model, PAIR_RECIPES["superem"], 4.5)
    grid = density.grid
    axes = [grid.origin[2 - a] + grid.step[2 - a] * np.arange(n) for a, n in enumerate(grid.shape)]
    interpolate = RegularGridInterpolator(
        axes, density.values.astype(float), bounds_error=False, fill_value=0
    )
    whole = grid.cubic(1.0)
    points = np.indices(whole.shape).reshape(3, -1).T + np.array(whole.origin)[::-1]
    # The padding where 1 A voxels reach past the first or the last one of the map is left out of the comparison.
    inside = ((points >= [a[0] for a in axes]) & (points <= [a[-1] for a in axes])).all(axis=1)
    inside = inside.reshape(whole.shape)
    expected = np.clip(interpolate(points), 0, None).reshape(whole.shape)
    assert pair.shape[1:] == whole.shape
    assert pair[0][inside] == pytest.approx((expected / expected[inside].max())[inside], abs=2e-6)


@pytest.mark.parametrize(
    ("method", "resolution", "k"),
    [
        # Situs: exp(-1.5 r^2 / (R/2)^2); TEMPy2: sigma = 0.356 R. Either program cuts them off somewhere.
        ("superem", 3.4, 1.5 / 0.9**2),
        ("superem", 4.5, 1.5 / 1.5**2),
        ("cryosamu", 4.5, 1 / (2 * 0.712**2)),
    ],
)
def test_the_target_is_the_papers_formula(pair_folder, method, resolution, k):
    density, model = read_map(pair_folder / "entry1.map.gz"), read_model(pair_folder / "entry1.cif.gz")
    wanted = make_pair(density, model, PAIR_RECIPES[method], resolution)[1]
    grid = density.grid.cubic(1.0)
    mass = {6: 12.011, 7: 14.007, 8: 15.999} if method == "superem" else {6: 6, 7: 7, 8: 8}
    rng = np.random.default_rng(0)
    chosen = np.argwhere((wanted > 0.1) & (wanted < 0.999))
    chosen = chosen[rng.choice(len(chosen), 60)]
    ratios = []
    for voxel in chosen:
        r2 = ((grid.to_xyz(voxel[::-1]) - model.positions) ** 2).sum(axis=1)
        weights = np.array([mass[int(z)] for z in model.atomic_numbers])
        ratios.append((weights * np.exp(-k * r2)).sum() / wanted[tuple(voxel)])
    assert np.std(ratios) / np.mean(ratios) < 0.01


def test_cubes_are_valid_where_neither_map_is_all_zero():
    rng = np.random.default_rng(0)
    pair = np.zeros((2, 40, 33, 29), np.float32)
    pair[0, 5:20, 8:20, 3:29], pair[1, 18:30, 10:12, 9:14] = 1, rng.random((12, 2, 5))
    for size, stride, margin in ((9, 4, 0), (16, 10, 3)):
        starts = {tuple(s) for s in valid_starts(pair, size, stride, margin).tolist()}
        padded = np.pad(pair, [(0, 0)] + [(margin, size)] * 3)
        expected = set()
        for corner in np.ndindex(*(n for n in pair.shape[1:])):
            z, y, x = (c * stride - margin for c in corner)
            ends = [n - margin if margin else n - size + 1 for n in pair.shape[1:]]
            cube = padded[:, z + margin :, y + margin :, x + margin :][:, :size, :size, :size]
            if all(s < e for s, e in zip((z, y, x), ends, strict=True)) and cube.any(axis=(1, 2, 3)).all():
                expected.add((z, y, x))
        assert starts == expected and len(starts) > 5


def test_a_map_without_a_full_cube_has_none():
    assert len(valid_starts(np.ones((2, 10, 30, 30), np.float32), 25, 4)) == 0
    assert occupied(np.zeros((4, 4, 4)), [np.array([0])] * 3, 4).tolist() == [[[False]]]


def test_cutting_to_the_model_loses_no_valid_cube(pair_folder):
    """A small model in a wide map: the cubes are those of scanning the whole map."""
    model = read_model(pair_folder / "entry1.cif.gz")
    grid = Grid((120, 90, 240), (1.0,) * 3, (-45.0, -30.0, -40.0))
    values = np.random.default_rng(0).random(grid.shape).astype(np.float32)
    for method in ("superem", "cryosamu"):
        recipe = PAIR_RECIPES[method]
        part = make_pair(DensityMap(values, grid), model, recipe, 4.5)
        whole = np.stack([values, target(recipe, model, grid, 4.5)])
        starts = valid_starts(part, recipe.size, recipe.stride, recipe.margin)
        assert part[0].size < 0.6 * values.size
        assert len(starts) == len(valid_starts(whole, recipe.size, recipe.stride, recipe.margin))


def test_cubes_are_those_of_the_files_also_in_worker_processes(pair_folder, tmp_path):
    out = tmp_path / "pairs"
    assert prepare("cryosamu", out, "--list", pair_folder / "list.tsv") == 0
    cubes = PairCubes(out, "train")
    maps, starts = np.load(out / "entry1.npy"), np.load(out / "entry1.starts.npy")
    assert maps.dtype == np.float16 and cubes.size == 64
    padded = np.pad(maps.astype(np.float32), [(0, 0), (64, 64), (64, 64), (64, 64)])
    assert starts.min() == -7
    for i, (z, y, x) in enumerate(starts + 64):
        expected = padded[:, z : z + 64, y : y + 64, x : x + 64]
        assert np.array_equal(torch.cat(cubes[i]).numpy(), expected)
    loader = torch.utils.data.DataLoader(cubes, batch_size=2, num_workers=1, multiprocessing_context="spawn")
    first = next(iter(loader))
    assert torch.equal(first[0][0], cubes[0][0])
    assert len(pickle.dumps(cubes)) < 5000
    with pytest.raises(IndexError):
        cubes[len(cubes)]
    with pytest.raises(InputError, match="'test'"):
        PairCubes(out, "test")


def test_cubes_come_with_their_structures_embedding(pair_folder, tmp_path):
    out, embeddings = tmp_path / "pairs", tmp_path / "embeddings"
    embeddings.mkdir()
    prepare("cryosamu", out, "--list", pair_folder / "list.tsv")
    with pytest.raises(InputError, match="no embedding of entry1"):
        Embeddings(embeddings, PairCubes(out).entries)
    values = np.random.default_rng(0).random((800, 512)).astype(np.float32)
    np.save(embeddings / "entry1.npy", values)
    cubes = PairCubes(out)
    stream = PreparedCubes(cubes, 2, embeddings=Embeddings(embeddings, cubes.entries))
    observed, target, known, embedding = stream[0]
    assert torch.equal(embedding[1], torch.from_numpy(values)) and embedding.shape == (2, 800, 512)
    assert observed.shape == target.shape == known.shape == (2, 1, 64, 64, 64)


def test_correlation_is_that_of_the_definition(pair_folder):
    density, model = read_map(pair_folder / "entry1.map.gz"), read_model(pair_folder / "entry1.cif.gz")
    computed = structure_factor_map(model, density.grid, 4.5)
    assert map_model_correlation(computed, model, 4.5) == pytest.approx(1, abs=1e-3)
    assert 0.8 < map_model_correlation(density, model, 4.5) < 0.999
    flat = DensityMap(np.zeros(density.grid.shape, np.float32), density.grid)
    assert map_model_correlation(flat, model, 4.5) == 0


def test_a_map_most_of_which_has_no_model_is_refused_by_cryosamu(tmp_path, capsys):
    """Inside the model's mask nothing is wrong: the correlation doesn't see three copies beside it."""
    structure = protein(1)
    write_model(structure, tmp_path / "m.cif")
    model, grid = read_model(tmp_path / "m.cif"), Grid((40, 48, 112), (1.25,) * 3, (1.0, -0.5, 0.25))
    own = structure_factor_map(model, grid, 4.5).values
    copies = sum(np.roll(own, 26 * i, axis=2) for i in range(4))
    for name, values in (("alone", own), ("crowded", copies)):
        write_map(DensityMap(np.float32(values), grid), tmp_path / f"{name}.map")
    rows = [f"{name}.map\tm.cif\t4.5\ttrain\n" for name in ("alone", "crowded")]
    (tmp_path / "list.tsv").write_text("map_file\tmodel_file\tresolution_A\tsplit\n" + "".join(rows))
    correlations = [
        map_model_correlation(DensityMap(np.float32(values), grid), model, 4.5) for values in (own, copies)
    ]
    assert min(correlations) > 0.95
    words = ["--list", tmp_path / "list.tsv", "--max-identity", 100]
    assert prepare("cryosamu", tmp_path / "pairs", *words) == 0
    told = capsys.readouterr().err
    assert "crowded: 75 % of the density lies far from the model, over 50 %" in told and "alone" not in told
    assert prepare("cryosamu", tmp_path / "all", *words, "--max-unmodelled", 0.8) == 0
    assert "left out" not in capsys.readouterr().err


def test_what_the_papers_refuse(tmp_path):
    superem, cryosamu = PAIR_RECIPES["superem"], PAIR_RECIPES["cryosamu"]

    def model(edit=lambda chain: None):
        structure = protein(1)
        edit(structure[0]["A"])
        write_model(structure, tmp_path / "m.cif")
        return read_model(tmp_path / "m.cif")

    def rename(chain, names):
        for residue in chain:
            residue.name = names

    def bare(chain):
        for residue in chain:
            residue.remove_atom("CB", "\0")

    def add_nucleotide(chain):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "DA", gemmi.SeqId("99")
        for name in ("P", "C1'", "C3'", "O3'"):
            atom = gemmi.Atom()
            atom.name, atom.element, atom.occ = name, gemmi.Element(name[0]), 1.0
            residue.add_atom(atom)
        chain.add_residue(residue)

    assert objection(superem, model(), 3.0) == objection(superem, model(), 6.0) == ""
    assert "2.9 A is outside 3 to 6 A" in objection(superem, model(), 2.9)
    assert objection(cryosamu, model(), 4.0) == objection(cryosamu, model(), 8.0) == ""
    assert "outside" in objection(cryosamu, model(), 8.1)
    assert "UNK" in objection(cryosamu, model(lambda chain: rename(chain, "UNK")), 5)
    assert "side chains" in objection(cryosamu, model(bare), 5)
    assert "nucleic" in objection(cryosamu, model(add_nucleotide), 5)
    assert objection(superem, model(add_nucleotide), 5) == ""


def test_splits_depend_on_the_name_alone_and_have_the_papers_shares():
    splits = [split_of(f"EMD-{n}") for n in range(4000)]
    shares = [splits.count(s) / 4000 for s in ("train", "validation", "test")]
    assert shares == pytest.approx([0.65, 0.15, 0.20], abs=0.03)
