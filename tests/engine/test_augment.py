"""Training cubes turned and blurred: in every orientation, never mirrored, and the same each time."""

import torch

from training.augment import Augmented, blurred, turned


def test_rotations_are_24_different_ones_and_no_mirror():
    cube = torch.arange(27.0).view(1, 3, 3, 3)
    seen = {tuple(turned(cube, i).flatten().tolist()) for i in range(24)}
    assert len(seen) == 24
    mirrors = {tuple(turned(cube.flip(1), i).flatten().tolist()) for i in range(24)}
    assert not seen & mirrors


def test_augmentation_repeats_and_blur_keeps_the_mean():
    pairs = [(torch.rand(1, 8, 8, 8), torch.rand(1, 8, 8, 8), torch.zeros(3)) for _ in range(4)]
    data = Augmented(pairs, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(data[2], data[2], strict=True)) and len(data[2]) == 3
    flat = torch.full((1, 8, 8, 8), 2.0)
    assert torch.allclose(blurred(flat, 0.7), flat)
