"""Stable Diffusion's parts from a folder, safetensors only, and new tokens in its text encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer
from transformers.utils import logging

from generators.seas.prompts import Prompt, Prompts, positions

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Base:
    """The parts of a diffusion model. `schedule` is the scheduler's configuration."""

    tokenizer: Any
    text_encoder: Any
    unet: Any
    vae: Any
    schedule: Mapping[str, Any]


def load_base(folder: Path) -> Base:
    """Read a folder in diffusers layout; raises OSError where a file is missing or no safetensors."""
    logging.disable_progress_bar()
    options: Any = {"use_safetensors": True, "local_files_only": True}
    return Base(
        CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
        CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32, **options).eval(),
        UNet2DConditionModel.from_pretrained(folder / "unet", low_cpu_mem_usage=False, **options).eval(),
        AutoencoderKL.from_pretrained(folder / "vae", low_cpu_mem_usage=False, **options).eval(),
        json.loads((folder / "scheduler" / "scheduler_config.json").read_text()),
    )


class LearnedWords(nn.Module):
    """The look-up U' of A.3: the rows of the text encoder, which stay as they are, and new ones to learn.

    With `whole` the old rows are learned too, and saved with the new ones.
    """

    fixed: Tensor

    def __init__(self, fixed: Tensor, new: Tensor, whole: bool = False) -> None:
        super().__init__()
        if whole:
            self.fixed = nn.Parameter(fixed.detach().clone())
        else:
            self.register_buffer("fixed", fixed.detach(), persistent=False)
        self.new = nn.Parameter(new.detach().clone())

    def forward(self, ids: Tensor) -> Tensor:
        count = len(self.fixed)
        old = F.embedding(ids.clamp(max=count - 1), self.fixed)
        if len(self.new) == 0:
            return old
        return torch.where(ids[..., None] < count, old, F.embedding((ids - count).clamp(min=0), self.new))


class TextSide(nn.Module):
    """Prompts to conditioning vectors e; rows of tokens, the new ones or all, are all that learns in it."""

    def __init__(self, base: Base, prompts: Prompts, whole: bool = False) -> None:
        super().__init__()
        self.tokenizer, self.encoder = base.tokenizer, base.text_encoder
        self.encoder.requires_grad_(False)
        rows = self.encoder.embeddings.token_embedding.weight
        # New tokens get the numbers that follow the tokenizer's; a padded look-up has rows beyond them.
        fixed = rows[: len(self.tokenizer)]
        starts = [
            fixed[self.tokenizer(word, add_special_tokens=False).input_ids].mean(0) for _, word in prompts.new
        ]
        added = self.tokenizer.add_tokens([token for token, _ in prompts.new])
        if added != len(prompts.new) or len(fixed) + added != len(self.tokenizer):
            raise ValueError(
                "the tokenizer of the base model does not fit its text encoder, or knows <ob1> or <df1>"
            )
        new = torch.stack(starts) if starts else fixed[:0]
        self.words = LearnedWords(fixed, new, whole)
        self.encoder.embeddings.token_embedding = self.words

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Token ids, int64 (B, Z), padded as Stable Diffusion was trained."""
        length = self.encoder.config.max_position_embeddings
        tokens = self.tokenizer(
            list(texts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        return tokens.input_ids

    def places(self, prompt: Prompt) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Where the tokens of the product and those of the anomaly stand in the prompt."""
        ids = self.ids([prompt.text])[0].tolist()
        inner = [self.tokenizer(word, add_special_tokens=False).input_ids for word in prompt.normal]
        outer = [self.tokenizer(word, add_special_tokens=False).input_ids for word in prompt.anomaly]
        where = positions(ids, [*inner, *outer])
        split = sum(map(len, inner))
        return where[:split], where[split:]

    def forward(self, ids: Tensor) -> Tensor:
        """Conditioning vectors, (B, Z, C1)."""
        return self.encoder(input_ids=ids).last_hidden_state
