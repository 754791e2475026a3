"""Prepared cubes as a stream: each once an epoch, turned and blurred anew, never mirrored, the same each time."""

import torch

from training.prepared_cubes import PreparedCubes, blurred, turned


class Pairs(list):
    """As `PairCubes`: (input, target), and which entry each is of."""

    def entry_of(self, index):
        return f"entry{index}"


def made(count):
    return Pairs((torch.rand(1, 8, 8, 8), torch.rand(1, 8, 8, 8)) for _ in range(count))


def test_rotations_are_24_different_ones_and_no_mirror():
    cube = torch.arange(27.0).view(1, 3, 3, 3)
    seen = {tuple(turned(cube, i).flatten().tolist()) for i in range(24)}
    assert len(seen) == 24
    mirrors = {tuple(turned(cube.flip(1), i).flatten().tolist()) for i in range(24)}
    assert not seen & mirrors
    assert torch.equal(turned(cube, 0), cube)


def test_every_cube_comes_once_an_epoch_in_another_order():
    pairs = made(6)
    stream = PreparedCubes(pairs, 2, seed=1, augmented=False)
    targets = [t for i in range(6) for t in stream[i][1]]
    numbers = [next(n for n, (_, own) in enumerate(pairs) if torch.equal(own, t)) for t in targets]
    assert sorted(numbers[:6]) == sorted(numbers[6:]) == list(range(6)) and numbers[:6] != numbers[6:]


def test_augmentation_repeats_but_differs_from_epoch_to_epoch():
    stream = PreparedCubes(made(3), 1, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(stream[2], stream[2], strict=True))
    epochs = {}
    for target in (stream[i][1] for i in range(12)):
        epochs.setdefault(round(float(target.sum()), 3), set()).add(tuple(target.flatten().tolist()))
    assert len(epochs) == 3 and all(len(seen) == 4 for seen in epochs.values())


def test_without_augmentation_cubes_are_what_they_are():
    pairs = made(1)
    observed, target, known = PreparedCubes(pairs, 1, augmented=False)[5]
    assert torch.equal(observed[0], pairs[0][0]) and torch.equal(target[0], pairs[0][1]) and known.min() == 1


def test_blur_keeps_the_mean():
    flat = torch.full((1, 8, 8, 8), 2.0)
    assert torch.allclose(blurred(flat, 0.7), flat)
