"""ESM-IF1's encoder (Hsu et al. 2022) by fair-esm: backbone coordinates to 512 numbers a residue."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cryomap.errors import InputError

from .encoder_files import read_checkpoint

if TYPE_CHECKING:
    import torch

URL = "https://dl.fbaipublicfiles.com/fair-esm/models/esm_if1_gvp4_t16_142M_UR50.pt"


class Encoder:
    """The encoder of an ESM-IF1 checkpoint.

    Args:
        weights: the checkpoint, esm_if1_gvp4_t16_142M_UR50.pt.
        device: where it runs.

    Raises:
        InputError: fair-esm or what it needs is not installed, or the file is no such checkpoint.
    """

    def __init__(self, weights: str | os.PathLike, device: str | torch.device = "cpu"):
        import torch

        esm = _import_esm()
        data = read_checkpoint(
            Path(weights),
            "an ESM-IF1",
            ("args", "model"),
            f"ESM-IF1's weights are at {URL}",
            safe=[argparse.Namespace],  # which holds the settings
        )
        try:
            model, alphabet = esm.pretrained.load_model_and_alphabet_core("esm_if1", data)
        except (KeyError, AttributeError, RuntimeError, ValueError, TypeError) as error:
            raise InputError(f"{weights}: not an ESM-IF1 checkpoint ({error!r:.200})") from None
        self.device = torch.device(device)
        self.encoder = model.encoder.to(self.device).eval()
        self.convert = esm.inverse_folding.util.CoordBatchConverter(alphabet)

    def __call__(self, backbone: np.ndarray) -> np.ndarray:
        """Embeddings (residues, 512), float32, of one chain's N, CA, C (residues, 3, 3) in A."""
        import torch

        batch = [(np.ascontiguousarray(backbone, np.float32), None, None)]
        coordinates, confidence, _, _, padding = self.convert(batch, device=self.device)
        with torch.inference_mode():
            output = self.encoder(coordinates, padding, confidence)["encoder_out"][0]
        # The first and last positions are padding that the converter adds.
        return output[1:-1, 0].float().cpu().numpy()


def _import_esm():
    try:
        import esm
        import esm.inverse_folding
        import esm.pretrained
    except ImportError as error:
        raise InputError(f"ESM-IF1 can't be used ({error}); install requirements-embed.txt") from None
    return esm
