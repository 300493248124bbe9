"""Cross-attention maps of chosen down layers, kept while the U-Net runs (Eq. 2, 8).

A processor on those layers computes the softmax that it keeps; all others stay with fused attention.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor


class KeptMaps:
    """The maps of one forward pass, by down layer."""

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = tuple(levels)
        self.recording = False
        self._kept: dict[int, list[Tensor]] = {level: [] for level in self.levels}

    def keep(self, level: int, probabilities: Tensor) -> None:
        """Keep softmax values (B, heads, r*r, Z), averaged over heads (Eq. 8)."""
        self._kept[level].append(probabilities.float().mean(dim=1))  # (B, r*r, Z)

    def of(self, level: int) -> Tensor:
        """The map A of a down layer, float32 (B, r, r, Z), the mean over its attention modules."""
        mean = torch.stack(self._kept[level]).mean(dim=0)
        side = round(mean.shape[1] ** 0.5)
        return mean.reshape(len(mean), side, side, -1)

    def of_tokens(self, level: int, positions: Tensor) -> Tensor:
        """The mean map (B, r, r) of the tokens at `positions`, int64 (B, N), of the first B prompts."""
        maps = self.of(level)[: len(positions)]
        index = positions[:, None, None, :].expand(*maps.shape[:3], -1)
        return maps.gather(3, index).mean(dim=3)

    @contextmanager
    def record(self) -> Iterator[KeptMaps]:
        """Inside, a forward pass leaves its maps here; they are forgotten at the end."""
        self.recording = True
        try:
            yield self
        finally:
            self.recording = False
            self._kept = {level: [] for level in self.levels}


class KeepingProcessor:
    """Attention that hands its softmax to `KeptMaps` while that records, and is fused otherwise."""

    def __init__(self, maps: KeptMaps, level: int) -> None:
        self.maps, self.level = maps, level
        self.fused = AttnProcessor2_0()

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        **more: Any,
    ) -> Tensor:
        if not self.maps.recording:
            return self.fused(attn, hidden_states, encoder_hidden_states, attention_mask, temb, **more)
        query = attn.to_q(hidden_states)
        heads = attn.heads

        def parted(x: Tensor) -> Tensor:
            return x.unflatten(2, (heads, -1)).transpose(1, 2)  # (B, heads, tokens, d)

        query, key, value = map(
            parted, (query, attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states))
        )
        scores = (query @ key.transpose(2, 3)).float() / query.shape[3] ** 0.5
        probabilities = scores.softmax(dim=3)  # (B, heads, r*r, Z)
        self.maps.keep(self.level, probabilities)
        mixed = (probabilities.to(value.dtype) @ value).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](mixed))


def keep_maps(unet: Any, levels: Sequence[int]) -> KeptMaps:
    """Set the keeping processor on the cross-attention of the down layers `levels`, counted from 1.

    Where the fourth has no attention, as in Stable Diffusion 1, its map of 8 x 8 is that of the middle block.
    """
    maps = KeptMaps(levels)
    for level in levels:
        block = unet.down_blocks[level - 1]
        if getattr(block, "attentions", None) is None:
            block = unet.mid_block
        for transformer in block.attentions:
            for layer in transformer.transformer_blocks:
                layer.attn2.set_processor(KeepingProcessor(maps, level))
    return maps
