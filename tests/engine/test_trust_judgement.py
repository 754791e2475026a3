import json

import numpy as np
import pytest
from trust_maps import FAR, LIGAND, RESOLUTION, SIZE, chain, experiment, ligand, model, result

from cryomap.density import DensityMap
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.trust.consistency import Comparison, expected_spread
from cryomap.trust.judgement import judge
from cryomap.trust.lost import Region, lost_regions, threshold
from cryomap.trust.sites import near_sites
from cryomap.typed_json import to_plain

LEVEL = 0.012


@pytest.fixture(scope="module")
def atoms():
    return chain(np.random.default_rng(3))


def distance(region: Region, place: np.ndarray) -> float:
    return float(np.linalg.norm(np.array(region.center) - place))


def test_support_is_one_figure_whatever_the_contour(rng):
    atoms = chain(rng)
    before, after = experiment(rng, np.concatenate([atoms, ligand()])), result(atoms)
    judged = [
        judge(before, after, level=level, resolution=RESOLUTION) for level in (LEVEL / 3, LEVEL, 3 * LEVEL)
    ]
    assert len({trust.mean_support for trust in judged}) == 1
    shown = judged[0].support.values
    assert judged[0].mean_support == pytest.approx(
        (shown * after.values).sum() / after.values.sum(), abs=1e-3
    )
    assert all(np.array_equal(shown, trust.support.values) for trust in judged)


def test_a_faithful_result_loses_and_invents_nothing(rng, atoms):
    everything = np.concatenate([atoms, ligand()])
    trust = judge(experiment(rng, everything), result(everything), level=LEVEL, resolution=RESOLUTION)
    assert trust.lost == () and trust.invented == ()
    assert trust.mean_support > 0.9


def test_a_lost_ligand_is_found_and_named(rng, atoms):
    everything = np.concatenate([atoms, ligand()])
    before, after = experiment(rng, everything), result(atoms)
    trust = judge(before, after, level=LEVEL, resolution=RESOLUTION, model=model(atoms, ligand()))
    assert len(trust.lost) == 1
    (region,) = trust.lost
    assert distance(region, LIGAND) < 1
    assert region.share > 0.8
    assert region.peak_sigma > trust.threshold
    assert (region.nearest, region.kind) == ("/B:301 HEM", "ligand")
    assert region.distance < 1
    assert len(region.voxels) * 1.0 == pytest.approx(region.volume)
    at = trust.support.values[tuple(np.rint(LIGAND[::-1]).astype(int))]
    assert at < 0.3 < np.median(trust.support.values[tuple(np.rint(atoms[:, ::-1]).astype(int).T)])


def test_where_an_ion_is_known_less_convinces(atoms):
    """Two atoms in so much noise that they are hard to tell from it, in six maps; and the same noise without them."""
    ion = ligand()[:2]
    known, found, alarms = model(atoms, ion), {False: 0, True: 0}, 0
    for seed in range(6):
        with_ion, without = (
            experiment(np.random.default_rng(seed), a, noise=0.15)
            for a in (np.concatenate([atoms, ion]), atoms)
        )
        for told in found:
            trust = judge(
                with_ion, result(atoms), level=LEVEL, resolution=RESOLUTION, model=known if told else None
            )
            found[told] += any(distance(region, LIGAND) < 2.5 for region in trust.lost)
        alarms += len(judge(without, result(atoms), level=LEVEL, resolution=RESOLUTION, model=known).lost)
    assert found[True] >= 5 and found[True] > found[False] and alarms <= 1


def test_sites_need_no_model(atoms):
    """What the worker is told: positions alone."""
    before = experiment(np.random.default_rng(1), np.concatenate([atoms, ligand()[:2]]), noise=0.15)
    trust = judge(before, result(atoms), level=LEVEL, resolution=RESOLUTION, sites=ligand()[:2])
    (region,) = trust.lost
    assert distance(region, LIGAND) < 2.5 and region.peak_sigma < trust.threshold and region.nearest == ""


def test_voxels_near_sites_on_a_turned_grid():
    turn = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    grid = Grid((10, 11, 12), (0.8, 1.0, 1.3), (5.0, -3.0, 2.0), rotation=turn)
    sites = np.array([grid.to_xyz((4.3, 5.2, 6.1)), grid.to_xyz((0, 0, 0)), (500.0, 0.0, 0.0)])
    near = near_sites(sites, grid)
    points = grid.to_xyz(np.argwhere(np.ones(grid.shape))[:, ::-1])
    distances = np.linalg.norm(points[:, None] - sites, axis=2).min(axis=1)
    assert np.array_equal(near.ravel(), distances <= 1.5)


def test_an_invented_blob_is_found(rng, atoms):
    trust = judge(
        experiment(rng, atoms), result(np.concatenate([atoms, ligand()])), level=LEVEL, resolution=RESOLUTION
    )
    assert trust.lost == ()
    assert [distance(r, LIGAND) < 1 for r in trust.invented] == [True]


def test_a_ligand_kept_at_three_quarters_is_not_reported(rng, atoms):
    everything = np.concatenate([atoms, ligand()])
    whole, without = result(everything), result(atoms)
    partly = DensityMap(0.25 * without.values + 0.75 * whole.values, whole.grid)
    assert judge(experiment(rng, everything), partly, level=LEVEL, resolution=RESOLUTION).lost == ()


def test_a_peak_of_noise_is_not_reported(rng, atoms):
    """What the result leaves out rightly: nothing of the size of the noise is called lost, in ten maps."""
    found = 0
    for _ in range(10):
        before = experiment(rng, atoms, noise=0.12)
        found += len(judge(before, result(atoms), level=LEVEL, resolution=RESOLUTION).lost)
    assert found <= 1


def test_zone_masked_input_on_another_grid(rng, atoms):
    """Input cut out by a mask, at 1.4 A and shifted; the result on a 1 A grid."""
    everything = np.concatenate([atoms, ligand()])
    grid = Grid((40, 40, 40), (1.4,) * 3, (0.3, 0.0, -0.2))
    before = experiment(rng, everything, grid)
    points = grid.to_xyz(np.indices(grid.shape).reshape(3, -1).T[:, ::-1])
    near = np.zeros(len(points), bool)
    for atom in everything:
        near |= ((points - atom) ** 2).sum(axis=1) < 25
    before.values[~near.reshape(grid.shape)] = 0
    trust = judge(before, result(atoms, Grid((SIZE,) * 3)), level=LEVEL, resolution=RESOLUTION)
    assert [distance(r, LIGAND) < 1.5 for r in trust.lost] == [True]
    assert trust.invented == ()
    assert trust.support.grid == grid


def test_resolution_is_told_from_the_maps(rng, atoms):
    trust = judge(experiment(rng, atoms), result(atoms), level=LEVEL)
    assert 2.0 < trust.resolution < 6.0


def test_json_holds_everything_but_arrays(rng, atoms):
    everything = np.concatenate([atoms, ligand()])
    trust = judge(experiment(rng, everything), result(atoms), level=LEVEL, resolution=RESOLUTION)
    content = json.loads(json.dumps(to_plain(trust)))
    (lost,) = content["lost"]
    keys = {"center", "volume", "peak_sigma", "share", "nearest", "kind", "distance", "confidence"}
    assert set(lost) == keys
    assert np.linalg.norm(np.array(lost["center"]) - LIGAND) < 1
    assert content["support"] == pytest.approx(trust.mean_support, abs=1e-4)


def test_maps_that_lie_apart_are_refused(rng, atoms):
    after = result(atoms)
    away = DensityMap(after.values, Grid(after.grid.shape, origin=(500.0, 0.0, 0.0)), "away")
    with pytest.raises(InputError, match="away: has no density where input lies"):
        judge(experiment(rng, atoms), away, level=LEVEL, resolution=RESOLUTION)


def test_a_result_without_any_density_above_0_is_named(rng, atoms):
    """Splines swing below 0 on another grid: such a result has values, and no density."""
    before = experiment(rng, atoms)
    below = DensityMap(np.full(before.grid.shape, -1e-3, np.float32), before.grid, "below")
    with pytest.raises(InputError, match="below: has no density where"):
        judge(before, below, level=LEVEL, resolution=RESOLUTION)


def test_a_level_above_everything_is_refused(rng, atoms):
    with pytest.raises(InputError, match="no density above contour level 100"):
        judge(experiment(rng, atoms), result(atoms), level=100.0, resolution=RESOLUTION)


def test_detail_far_from_density_has_no_support(rng, atoms):
    trust = judge(experiment(rng, atoms), result(atoms), level=LEVEL, resolution=RESOLUTION)
    assert abs(trust.support.values[tuple(FAR.astype(int)[::-1])]) < 0.3


def test_a_single_dense_voxel_has_a_spread():
    observed = np.zeros((4, 4, 4), np.float32)
    observed[1, 2, 3] = 1
    least, growth = expected_spread(observed, observed / 2, observed > 0.5, noise=0.1)
    assert least >= 0.1**2 - 1e-9 and 0 <= growth < np.inf


@pytest.mark.parametrize("seen, found", [(True, 0), (False, 1)])
def test_a_blob_that_the_result_hides_is_lost_at_three_sigma(seen, found):
    grid = Grid((40,) * 3)
    index = np.indices(grid.shape) - 20.0
    blob = np.exp(-(index**2).sum(axis=0) / 18).astype(np.float32)
    ones = np.ones(grid.shape, np.float32)
    comparison = Comparison(
        grid, RESOLUTION, blob, 0.2 * blob, ones > 0, blob > 0.2, 0.2, 0.2, (0.04, 0.0), agreement=0.9
    )
    assert threshold(comparison) > 4 and (0.8 * blob / 0.2).max() < 4.1
    assert len(lost_regions(comparison, hidden=np.full(grid.shape, not seen))) == found
