"""Where the base model is found, what is told where it is not, and what of it is part of a task's key."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from bench.errors import BenchError
from generators.seas import SeaS
from generators.seas.weights import FILES, find_base, fingerprint

BASE = "CompVis/stable-diffusion-v1-4"


def test_a_folder_of_weights_holds_it_by_name(weights: Path, base_folder: Path, tmp_path: Path) -> None:
    assert find_base(BASE, weights) == base_folder
    (tmp_path / "CompVis").mkdir()
    (tmp_path / BASE).symlink_to(base_folder)
    assert find_base(BASE, tmp_path) == tmp_path / BASE


def test_a_folder_can_be_named_itself(base_folder: Path) -> None:
    assert find_base(str(base_folder), None) == base_folder
    assert SeaS.configure("tiny", {"base": str(base_folder)}).missing(None) == []


def test_the_hubs_cache_is_looked_into(base_folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--CompVis--stable-diffusion-v1-4"
    (repository / "snapshots").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc\n")
    (repository / "snapshots" / "abc").symlink_to(base_folder)
    assert find_base(BASE, None) == repository / "snapshots" / "abc"


@pytest.mark.parametrize("name", FILES)
def test_each_missing_file_is_named_in_one_sentence(base_folder: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(base_folder, tmp_path / "stable-diffusion-v1-4"))
    (copy / name).unlink()
    (sentence,) = SeaS.configure("tiny").missing(tmp_path)
    assert sentence.count("\n") == 0
    assert f"of it {name} is not there" in sentence
    assert f"`hf download {BASE}`" in sentence


def test_pickled_weights_are_not_taken(base_folder: Path, tmp_path: Path) -> None:
    from generators.seas.base import load_base

    copy = Path(shutil.copytree(base_folder, tmp_path / "stable-diffusion-v1-4"))
    for path in list(copy.rglob("*.safetensors")):
        path.rename(path.with_suffix(".bin"))
    assert SeaS.configure("tiny").missing(tmp_path)
    with pytest.raises(OSError, match="safetensors"):
        load_base(copy)


@pytest.mark.parametrize("absent", ["diffusers", "transformers", "bitsandbytes"])
def test_a_missing_package_is_told_with_the_command(weights: Path, monkeypatch, absent: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == absent else found(name))
    preset = {"optimizer": "8bit"} if absent == "bitsandbytes" else {}
    sentences = SeaS.configure("tiny", preset).missing(weights)
    assert len(sentences) == 1
    assert absent in sentences[0]
    assert "pip install" in sentences[0]


def test_other_weights_have_another_digest(weights: Path, base_folder: Path, tmp_path: Path) -> None:
    seas = SeaS.configure("tiny")
    copy = Path(shutil.copytree(base_folder, tmp_path / "stable-diffusion-v1-4"))
    assert seas.weights_digest(tmp_path) == seas.weights_digest(weights) == fingerprint(base_folder)
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert seas.weights_digest(tmp_path) != seas.weights_digest(weights)
    assert seas.weights_digest(None) == ""


def test_checkpoints_of_the_real_model_name_their_text_encoder_so(base_folder: Path, tmp_path: Path) -> None:
    """Stable Diffusion's files were saved by an older transformers, whose names begin with text_model."""
    import torch
    from safetensors.torch import load_file, save_file

    from generators.seas.base import load_base

    copy = Path(shutil.copytree(base_folder, tmp_path / "old"))
    path = copy / "text_encoder" / "model.safetensors"
    state = {
        f"text_model.{name.removeprefix('text_model.')}": value for name, value in load_file(path).items()
    }
    save_file(state, path, {"format": "pt"})
    new, old = load_base(base_folder).text_encoder, load_base(copy).text_encoder
    ids = torch.arange(24)[None]
    with torch.no_grad():
        torch.testing.assert_close(old(input_ids=ids)[0], new(input_ids=ids)[0])


def test_sampling_without_the_base_model_ends_with_the_sentence(split, context, tmp_path: Path) -> None:
    from bench.methods import Request

    ctx = context(stage="generator.sample")
    nowhere = type(ctx)(0, "generator.sample", "seas", "plate", "cpu", tmp_path, None)
    with pytest.raises(BenchError, match="needs the diffusion model"):
        next(SeaS.configure("tiny").sample(tmp_path, split, Request("plate", "hole", range(1)), nowhere))
