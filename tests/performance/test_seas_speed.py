"""SeaS at the real size with random weights: steps a second, milliseconds an image, memory, and the floors.

The paper's own (Table 7, one A100): 73 hours for the 73 defect types of MVTec AD, 720 ms an image.
"""

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.conformance.trial_split import part_of, trial_split
from bench.methods.context import Context
from generators.seas.params import SeaSParams

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers", reason="the extra 'diffusion' is not installed")

SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000, "steps_offset": 1}
TYPES, STEPS = 73, 800
PAPER_SECONDS, PAPER_HOURS = 0.720, 73
A100_BF16, H200_BF16 = 312e12, 790e12
"""FLOP/s: the A100's data sheet, and what was measured on an H200."""


def unet_and_vae(tiny: bool = False) -> tuple[Any, Any]:
    """Stable Diffusion 1's networks with random weights on torch's default device, or tiny ones like them."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    widths = {"block_out_channels": (16, 16, 32, 32), "norm_num_groups": 8} if tiny else {}
    unet = UNet2DConditionModel(
        sample_size=8 if tiny else 64,
        cross_attention_dim=32 if tiny else 768,
        layers_per_block=1 if tiny else 2,
        attention_head_dim=2 if tiny else 8,
        **widths,
    )
    vae = AutoencoderKL(
        block_out_channels=(16, 16, 16, 16) if tiny else (128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1 if tiny else 2,
        norm_num_groups=8 if tiny else 32,
    )
    return unet, vae


def text_parts(folder: Path, tiny: bool) -> tuple[Any, Any]:
    """A tokenizer of single letters and a text encoder of CLIP's size that fits it."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    entries = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={token: n for n, token in enumerate(entries)}, merges=[])
    sizes = (32, 64, 2, 4) if tiny else (768, 3072, 12, 12)
    config = CLIPTextConfig(
        vocab_size=len(entries),
        hidden_size=sizes[0],
        intermediate_size=sizes[1],
        num_hidden_layers=sizes[2],
        num_attention_heads=sizes[3],
        max_position_embeddings=77,
        eos_token_id=len(entries) - 1,
    )
    return tokenizer, CLIPTextModel(config)


def measured(folder: Path, device: str, tiny: bool, steps: int, **options: Any) -> dict[str, float]:
    """Seconds a step of both trainings, seconds a batch of samples, and peak memory in bytes."""
    from bench.methods.training import FitPart
    from generators.seas.base import Base, TextSide
    from generators.seas.fine_tuning import FineTuning, fine_tuning_fit
    from generators.seas.mask_training import MaskTraining, build_branch, mask_fit
    from generators.seas.material import Latents, choose_normals, gather, latent_noise
    from generators.seas.prompts import unbalanced
    from generators.seas.sampling import Sampler

    params = SeaSParams(**options)
    category = part_of(trial_split(folder), "category", "plate", "").categories["plate"]
    place = torch.device(device)
    ctx = Context(0, "generator.fit", "seas", "plate", device, folder)
    with torch.random.fork_rng(), place:
        unet, vae = unet_and_vae(tiny)
        tokenizer, encoder = text_parts(folder, tiny)
    base = Base(tokenizer, encoder, unet, vae.requires_grad_(False), SCHEDULE)
    prompts = unbalanced(len(category.anomalies))
    text = TextSide(base, prompts).to(place)
    normal = choose_normals(category, params, ctx, "seas")
    material = gather(category, sorted(category.anomalies), normal, params, "seas")
    latents = Latents(vae, material, place)
    tuning = FineTuning(base, text, prompts, material, latents, params, place)
    fit = fine_tuning_fit(tuning, ctx, "seas", FitPart("unet", 0, steps), steps)
    found = {"step": each(fit.step, steps, device)}
    branch = build_branch(base, params).to(place)
    with torch.no_grad():
        embedded = text(tuning.ids)
        empty = text(text.ids([""]).to(place))
    training = MaskTraining(base, branch, embedded, material, latents, params, place)
    fit = mask_fit(training, ctx, "seas", FitPart("mask", 0, steps), steps)
    found["mask step"] = each(fit.step, steps, device)
    found["memory"] = float(torch.cuda.max_memory_allocated()) if device != "cpu" else 0.0
    dtype = torch.bfloat16 if params.sampling_precision == "bf16" else torch.float32
    unet.to(dtype=dtype, memory_format=torch.channels_last).eval()
    for module in (vae, branch):
        module.to(dtype).eval()
    sampler = Sampler(base, branch, embedded[:1], empty, params, place)
    size = params.sampling_batch
    images = np.zeros((size, params.side, params.side, 3), dtype=np.uint8)

    def sample(index: int) -> None:
        sampler.make(images, latent_noise(ctx.rng("noise", index), size, vae, params.side, place))

    found["batch"] = each(sample, 3, device)
    return found


def each(call: Any, count: int, device: str) -> float:
    """Seconds a call, after two that warm up: the middle of those timed."""
    seconds = []
    for index in range(count + 2):
        start = time.perf_counter()
        call(index)
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[2:]))


def flops() -> SimpleNamespace:
    """Floating-point operations of one image through the U-Net, the decoder and the encoder at 512 x 512."""
    from torch.utils.flop_counter import FlopCounterMode

    def count(call: Any) -> float:
        with FlopCounterMode(display=False) as counter:
            call()
        return float(counter.get_total_flops())

    with torch.device("meta"), torch.no_grad():
        unet, vae = unet_and_vae()
        latents, time_ = torch.empty(1, 4, 64, 64), torch.empty(1, dtype=torch.long)
        prompts, image = torch.empty(1, 77, 768), torch.empty(1, 3, 512, 512)
        return SimpleNamespace(
            unet=count(lambda: unet(latents, time_, encoder_hidden_states=prompts)),
            decode=count(lambda: vae.decode(latents)),
            encode=count(lambda: vae.encode(image)),
        )


def floors(params: SeaSParams, cost: SimpleNamespace) -> tuple[float, float]:
    """Floating-point operations an image, and of fine-tuning 73 types with cached latents."""
    image = 2 * params.sampling_steps * cost.unet + cost.encode + params.mask_steps * cost.decode
    batch = params.abnormal_batch + params.normal_batch
    return image, TYPES * STEPS * batch * 3 * cost.unet


def test_the_floors_are_those_of_the_networks(capsys: pytest.CaptureFixture[str]) -> None:
    cost = flops()
    assert cost.unet == pytest.approx(0.803e12, rel=0.02)
    assert cost.decode == pytest.approx(2.52e12, rel=0.03)
    assert cost.encode == pytest.approx(1.12e12, rel=0.03)
    image, training = floors(SeaSParams(), cost)
    with capsys.disabled():
        print(
            f"\nfloor by FLOPs: {image / 1e12:.1f} TFLOP an image, {training / 1e18:.2f} EFLOP for 73 types"
        )
        for name, speed in (("A100 (312 TFLOP/s)", A100_BF16), ("H200 (790 TFLOP/s)", H200_BF16)):
            print(f"  {name}: {image / speed * 1e3:.0f} ms an image, {training / speed / 3600:.2f} h")
    assert image / A100_BF16 < PAPER_SECONDS
    assert training / A100_BF16 / 3600 < PAPER_HOURS


def test_what_is_measured_on_an_accelerator_runs_at_tiny_size(tmp_path: Path) -> None:
    from generators.seas.params import TINY

    found = measured(tmp_path, "cpu", True, 1, **{**TINY, "sampling_steps": 3})
    assert all(found[name] > 0 for name in ("step", "mask step", "batch"))


@pytest.mark.full
@pytest.mark.parametrize("steps", [25, 10])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_speed_on_an_accelerator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], compiled: bool, steps: int
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device; Table 7 can only be compared on one")
    torch.cuda.reset_peak_memory_stats()
    params = {"compiled": compiled, "sampling_steps": steps}
    found = measured(tmp_path, "cuda", False, 10, **params)
    cost = flops()
    image, training = floors(SeaSParams(**params), cost)
    per_image = found["batch"] / SeaSParams().sampling_batch
    hours = TYPES * STEPS * (found["step"] + found["mask step"]) / 3600
    told = {
        "device": torch.cuda.get_device_name(),
        "sampling steps": steps,
        "compiled": compiled,
        "ms an image": round(per_image * 1e3, 1),
        "paper, ms an image (A100)": PAPER_SECONDS * 1e3,
        "TFLOP/s at sampling": round(image / per_image / 1e12),
        "steps a second": round(1 / found["step"], 2),
        "mask steps a second": round(1 / found["mask step"], 2),
        "hours for 73 types": round(hours, 2),
        "paper, hours (A100)": PAPER_HOURS,
        "TFLOP/s at fine-tuning": round(training / (TYPES * STEPS) / found["step"] / 1e12),
        "peak memory of training, GB": round(found["memory"] / 1e9, 1),
    }
    with capsys.disabled():
        print(f"\n{json.dumps(told, indent=1)}")
    assert per_image < PAPER_SECONDS
    assert hours < PAPER_HOURS
