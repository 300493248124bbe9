"""What the mask branch looks at: outputs of the U-Net's up layers and of the VAE, taken by hooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def outputs_of(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Inside, each call of a module leaves its output in the list."""
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        outputs.append(output)

    handles = [module.register_forward_hook(keep) for module in modules]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def noise_and_features(
    unet: Any, levels: Sequence[int], latents: Tensor, times: Tensor, prompts: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """The predicted noise, and the outputs F of the up layers `levels`, counted from 1.

    At 512 x 512 these are (1280, 16, 16), (1280, 32, 32), (640, 64, 64) and (320, 64, 64).
    """
    with outputs_of([unet.up_blocks[level - 1] for level in levels]) as features:
        noise = unet(latents, times, encoder_hidden_states=prompts).sample
    return noise, list(features)


def decode(vae: Any, latents: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Images in [-1, 1] of scaled latents, and the outputs of the decoder's first three up blocks.

    At 512 x 512 these are (512, 128, 128), (512, 256, 256) and (256, 512, 512).
    """
    with outputs_of(vae.decoder.up_blocks[:3]) as features:
        images = vae.decode(latents / vae.config.scaling_factor).sample
    return images, list(features)


def encoder_features(vae: Any, images: Tensor) -> list[Tensor]:
    """The encoder's features of images in [-1, 1], from coarse to fine as the decoder's are (Table 15)."""
    encoder = vae.encoder
    with outputs_of([encoder.conv_in, *encoder.down_blocks[:2]]) as features:
        vae.encode(images)
    return list(features)[::-1]


def fine_features(source: str, vae: Any, latents: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The image that the latents decode to, and the features of high resolution for its mask."""
    images, decoded = decode(vae, latents)
    if source == "vae-decoder":
        return images, decoded
    return images, encoder_features(vae, images.clamp(-1, 1))


def channels(unet: Any, vae: Any, levels: Sequence[int], source: str) -> tuple[list[int], list[int]]:
    """Channels of the U-Net's features and of the VAE's, for building the mask branch."""

    def width(block: Any) -> int:
        return block.resnets[-1].out_channels

    coarse = [width(unet.up_blocks[level - 1]) for level in levels]
    if source == "vae-decoder":
        fine = [width(block) for block in vae.decoder.up_blocks[:3]]
    else:
        encoder = vae.encoder
        fine = [width(encoder.down_blocks[1]), width(encoder.down_blocks[0]), encoder.conv_in.out_channels]
    return coarse, fine
