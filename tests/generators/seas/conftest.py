"""A Stable Diffusion of tiny size with random weights, saved and read as the real one, and a product."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.conformance.trial_split import part_of, trial_split
from bench.methods import TrainSplit
from bench.methods.context import Context

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers", reason="the extra 'diffusion' is not installed")
pytest.importorskip("transformers", reason="the extra 'diffusion' is not installed")

TAUGHT_STEPS = 400
WORDS = ("a", "photo", "of", "with", "defect", "object", "plate", "weave", "chip", "washer", ",")
SCHEDULE = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def save_tokenizer(folder: Path) -> int:
    """A byte-pair tokenizer of letters and a few words, in the real one's files; returns its size."""
    letters = [chr(code) for code in range(33, 127)]
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges = []
    for word in WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merges.append((parts[0], parts[1]))
            parts = [parts[0] + parts[1], *parts[2:]]
            vocabulary.append(parts[0])
    entries = dict.fromkeys([*vocabulary, "<|startoftext|>", "<|endoftext|>"])
    vocab = {token: number for number, token in enumerate(entries)}
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(f"{a} {b}" for a, b in dict.fromkeys(merges))
    )
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 24}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(vocab)


def calibrate(vae: Any, images: np.ndarray) -> None:
    """Give a random VAE latents like those of a trained one: little noise, mean 0, deviation 1."""
    with torch.no_grad():
        vae.quant_conv.weight[4:] = 0
        vae.quant_conv.bias[4:] = -12.0
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
        means = vae.encode(pixels).latent_dist.mean
        centre = means.mean(dim=(0, 2, 3))
        vae.quant_conv.bias[:4] -= centre
        vae.post_quant_conv.bias += vae.post_quant_conv.weight[:, :, 0, 0] @ centre  # it decodes as before
        vae.register_to_config(scaling_factor=float(1 / means.std(dim=(0, 2, 3)).mean()))


def straighten(vae: Any) -> None:
    """Let a random VAE begin as a blur, from which it learns within seconds.

    What is added to a path gives nothing yet, and a change of size averages four pixels or repeats one.
    """
    from diffusers.models.attention_processor import Attention
    from diffusers.models.downsampling import Downsample2D
    from diffusers.models.resnet import ResnetBlock2D
    from diffusers.models.upsampling import Upsample2D

    for module in vae.modules():
        if isinstance(module, ResnetBlock2D):
            torch.nn.init.zeros_(module.conv2.weight)
        elif isinstance(module, Attention):
            torch.nn.init.zeros_(module.to_out[0].weight)
        elif isinstance(module, Downsample2D | Upsample2D):
            kernel = torch.zeros(3, 3)
            if isinstance(module, Downsample2D):
                kernel[:2, :2] = 1 / 4
            else:
                kernel[1, 1] = 1
            with torch.no_grad():
                same = torch.eye(module.conv.out_channels)[:, :, None, None]
                module.conv.weight.copy_(same * kernel)
                module.conv.bias.zero_()


def teach(vae: Any, images: np.ndarray, steps: int) -> None:
    """Let a VAE learn to give back parts of images in all poses, half of them with other colours."""
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    optimizer = torch.optim.AdamW(vae.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        # Small parts first, which are as cheap as fewer whole images and show more.
        side, count = (32, 8) if step < steps // 2 else (64, 2)
        batch = []
        for row in rng.integers(len(pixels), size=count):
            top, left = rng.integers(pixels.shape[2] - side + 1, size=2)
            part = pixels[row, :, top : top + side, left : left + side]
            if rng.random() < 0.5:
                part = part[rng.permutation(3)] * float(rng.choice([-1, 1]))
            batch.append(torch.rot90(part, int(rng.integers(4)), (1, 2)))
        given = torch.stack(batch)
        loss = (vae.decode(vae.encode(given).latent_dist.mean).sample - given).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory, split: TrainSplit) -> Path:
    """A weights folder that holds `stable-diffusion-v1-4` at tiny size, in diffusers layout, safetensors."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    folder = tmp_path_factory.mktemp("weights")
    base = folder / "stable-diffusion-v1-4"
    size = save_tokenizer(base / "tokenizer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        CLIPTextModel(
            CLIPTextConfig(
                vocab_size=size,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=24,
                bos_token_id=size - 2,
                eos_token_id=size - 1,
                pad_token_id=size - 1,
            )
        ).save_pretrained(base / "text_encoder")
        UNet2DConditionModel(
            sample_size=16,
            layers_per_block=1,
            block_out_channels=(16, 16, 32, 32),
            cross_attention_dim=32,
            norm_num_groups=8,
            attention_head_dim=2,
            down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
            up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        ).save_pretrained(base / "unet")
        vae = AutoencoderKL(
            block_out_channels=(16, 16, 16),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            norm_num_groups=8,
            layers_per_block=1,
            latent_channels=4,
            sample_size=64,
        ).eval()
    normal = split.categories["plate"].normal
    calibrate(vae, np.stack([normal[row] for row in range(len(normal))]))
    vae.save_pretrained(base / "vae")
    (base / "scheduler").mkdir()
    (base / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULE))
    return folder


@pytest.fixture(scope="session")
def taught_folder(tmp_path_factory: pytest.TempPathFactory, base_folder: Path) -> Path:
    """The same base model with a VAE that has learned to give back images, as a real one has.

    It has seen normal images of the sample data set alone, no defect. Through a random VAE a stain is not to
    be told from the grain around it.
    """
    from diffusers import AutoencoderKL

    from bench.sample import CATEGORIES, SampleSpec, render

    folder = tmp_path_factory.mktemp("taught") / "stable-diffusion-v1-4"
    shutil.copytree(base_folder, folder)
    spec = SampleSpec(size=64)
    images = np.stack(
        [render(spec, category, "train", "good", row).image for category in CATEGORIES for row in range(10)]
    )
    vae = AutoencoderKL.from_pretrained(folder / "vae", low_cpu_mem_usage=False)
    straighten(vae)
    teach(vae.train(), images, TAUGHT_STEPS)
    calibrate(vae.eval(), images)
    vae.save_pretrained(folder / "vae")
    return folder


@pytest.fixture(scope="session")
def base_folder(weights: Path) -> Path:
    return weights / "stable-diffusion-v1-4"


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory) -> TrainSplit:
    """The product "plate" with two defect types."""
    return part_of(trial_split(tmp_path_factory.mktemp("split")), "category", "plate", "")


@pytest.fixture
def context(tmp_path: Path, weights: Path) -> Callable[..., Context]:
    def make(name: str = "scratch", stage: str = "generator.fit", seed: int = 0, **given: Any) -> Context:
        scratch = tmp_path / name
        scratch.mkdir(exist_ok=True)
        return Context(seed, stage, "seas", "plate", "cpu", scratch, weights, **given)

    return make


@pytest.fixture
def tuning(base_folder: Path, split: TrainSplit, context: Callable[..., Context]) -> Callable[..., Any]:
    """A fine-tuning of the tiny model on "plate", with options: base, text, prompts, material, tuning."""
    from generators.seas.base import TextSide, load_base
    from generators.seas.fine_tuning import FineTuning
    from generators.seas.fitting import prompts_for
    from generators.seas.material import Latents, choose_normals, gather
    from generators.seas.params import TINY, SeaSParams

    def make(**options: Any) -> SimpleNamespace:
        params = SeaSParams(**{**TINY, **options})
        category = split.categories["plate"]
        ctx = context()
        base = load_base(base_folder)
        prompts = prompts_for(params, "plate", len(category.anomalies))
        text = TextSide(base, prompts, params.learned_tokens == "all")
        normal = choose_normals(category, params, ctx, "seas")
        material = gather(category, sorted(category.anomalies), normal, params, "seas")
        base.vae.requires_grad_(False)
        latents = Latents(base.vae, material, torch.device("cpu"))
        stage = FineTuning(base, text, prompts, material, latents, params, torch.device("cpu"))
        return SimpleNamespace(
            base=base,
            text=text,
            prompts=prompts,
            material=material,
            latents=latents,
            params=params,
            stage=stage,
            ctx=ctx,
        )

    return make


def random_maps(*shape: int, seed: int = 0) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).random(shape))
