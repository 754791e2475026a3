"""A structure for the trainer's tests, made on the spot."""

import torch

from simulation.structures import Structure


def made_structure(atoms: int = 600, seed: int = 0, pdb_id: str = "MADE", spacing: float = 2.2) -> Structure:
    """Two protein chains as jittered lattices 40 A apart, a ligand on the first, an ion on the second."""
    rng = torch.Generator().manual_seed(seed)
    edge = round((atoms / 2) ** (1 / 3))
    lattice = (
        torch.stack(torch.meshgrid(*[torch.arange(edge)] * 3, indexing="ij"), -1).reshape(-1, 3) * spacing
    )
    first = lattice + 0.4 * torch.randn(lattice.shape, generator=rng)
    second = lattice + 0.4 * torch.randn(lattice.shape, generator=rng) + torch.tensor([40.0, 0, 0])
    ligand = torch.tensor([[-2.5, 3.0, 3.0], [-2.5, 4.5, 3.0], [-2.5, 6.0, 3.0]])
    ion = torch.tensor([[37.5, 3.0, 3.0]])
    positions = torch.cat([first, second, ligand, ion])
    n = len(lattice)
    numbers = torch.tensor([6, 7, 8])[torch.randint(3, (2 * n,), generator=rng)]
    return Structure(
        pdb_id,
        positions,
        torch.cat([numbers, torch.tensor([6, 8, 6, 30])]).byte(),
        torch.rand(len(positions), generator=rng),
        torch.tensor([0] * (2 * n) + [2, 2, 2, 4]).byte(),
        torch.tensor([0] * n + [1] * n + [2, 2, 2, 3]).int(),
        torch.cat([torch.arange(2 * n) // 8, torch.tensor([n, n, n, n + 1])]).int(),
        torch.cat([torch.arange(2 * n) % 8, torch.zeros(4)]).byte().clamp(max=6),
        torch.cat([torch.arange(2 * n) % 4, torch.zeros(4)]).byte(),
    )
