"""Attention over voxels at a cost linear in their number, and attention from voxels to a structure's embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .norm import normalisation

# Tokens worked on at a time: few enough that queries, keys and values stay in a CPU's cache. The sums over
# tokens are the same numbers whatever the chunk; on a 64^3 tile memory traffic, not arithmetic, is the cost.
CHUNK = 16384


def voxels_to_tokens(x: Tensor) -> Tensor:
    """(n, channels, z, y, x) to (n, z * y * x, channels); a view where x is channels-last."""
    return x.flatten(2).transpose(1, 2)


def tokens_to_voxels(tokens: Tensor, like: Tensor) -> Tensor:
    """The inverse of `voxels_to_tokens`, with the spatial shape of `like`."""
    n, _, channels = tokens.shape
    return tokens.transpose(1, 2).reshape(n, channels, *like.shape[2:])


class LinearSelfAttention(nn.Module):
    """Linear attention with the feature map elu + 1, and a residual.

    Source: Katharopoulos et al. 2020, equations 4-7: out_i = phi(q_i) S / (phi(q_i) z), S = sum_j phi(k_j)^T v_j,
    z = sum_j phi(k_j). CryoSAMU gives 4 heads; width 32 a head, pre-normalisation and projection are our choice.

    Args:
        channels: channels of the volume.
        heads: number of heads.
        width: channels of a head.
        groups: of the normalisation before, see `normalisation`.
        pool: edge of the cubes of voxels averaged into one token; 1, the paper's, makes every voxel a token.
    """

    def __init__(
        self, channels: int, heads: int = 4, width: int = 32, groups: int | None = 32, pool: int = 1
    ):
        super().__init__()
        self.heads, self.pool = heads, pool
        self.norm = normalisation(channels, groups)
        self.query = nn.Linear(channels, heads * width, bias=False)
        self.key = nn.Linear(channels, heads * width, bias=False)
        self.value = nn.Linear(channels, heads * width, bias=False)
        self.project = nn.Linear(heads * width, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, z, y, x) to the same shape."""
        y = self.norm(x)
        if self.pool > 1:
            y = functional.avg_pool3d(y, self.pool, ceil_mode=True)
        out = tokens_to_voxels(self._attend(voxels_to_tokens(y)), y)
        if self.pool > 1:
            out = functional.interpolate(out, size=x.shape[2:], mode="nearest")
        return x + out

    def _attend(self, tokens: Tensor) -> Tensor:
        chunks = tokens.split(CHUNK, dim=1)
        summed, total = torch.zeros(()), torch.zeros(())
        for chunk in chunks:
            key, value = self._split(self.key(chunk)), self._split(self.value(chunk))
            key = functional.elu(key) + 1
            summed = summed + (key.transpose(2, 3) @ value).float()
            total = total + key.float().sum(dim=2).unsqueeze(3)
        tokens_in_all = tokens.shape[1]
        summed, total = summed / tokens_in_all, total / tokens_in_all
        out = []
        for chunk in chunks:
            query = functional.elu(self._split(self.query(chunk))) + 1
            weighted = (query @ summed.to(query.dtype)) / (query @ total.to(query.dtype)).clamp_min(1e-6)
            out.append(self.project(weighted.transpose(1, 2).flatten(2)))
        return torch.cat(out, dim=1)

    def _split(self, x: Tensor) -> Tensor:
        n, tokens, _ = x.shape
        return x.view(n, tokens, self.heads, -1).transpose(1, 2)


class CrossAttention(nn.Module):
    """Voxels ask (queries), the structure's embedding answers (keys, values); then a feed-forward; both residual.

    CryoSAMU section 3.3. Without an embedding (validation, inference) the attention is bypassed and the
    feed-forward with its residual stays, section 3.4. Pre-normalisation and the fourfold width are our choice.

    Args:
        channels: channels of the volume.
        context: channels of the embedding; 0: the feed-forward alone.
        heads: number of heads.
    """

    def __init__(self, channels: int, context: int = 512, heads: int = 4):
        super().__init__()
        self.attention = None
        if context:
            self.norm = nn.LayerNorm(channels)
            self.attention = nn.MultiheadAttention(
                channels, heads, kdim=context, vdim=context, batch_first=True
            )
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
        )

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """(n, channels, z, y, x) and, or None, (n, residues, context) to (n, channels, z, y, x).

        Raises:
            ValueError: an embedding where there is no attention to it.
        """
        tokens = voxels_to_tokens(x)
        if embedding is not None:
            if self.attention is None:
                raise ValueError("an embedding, but the network has no cross-attention (context 0)")
            attended, _ = self.attention(self.norm(tokens), embedding, embedding, need_weights=False)
            tokens = tokens + attended
        return tokens_to_voxels(tokens + self.feed_forward(tokens), x)

    def is_untrained(self) -> bool:
        """Whether there is an attention that no embedding ever moved: its biases begin at 0, and move at once."""
        if self.attention is None:
            return False
        biases = (self.norm.bias, self.attention.in_proj_bias, self.attention.out_proj.bias)
        return not any(bool(bias.any()) for bias in biases)
