"""Where the base model lies, and what of it is missing. Loads no torch: the planner asks."""

import hashlib
import importlib.util
import json
import os
from pathlib import Path

PACKAGES = ("diffusers", "transformers")
FILES = (
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "scheduler/scheduler_config.json",
)
"""What is read of a folder in diffusers layout; nothing of it is a pickle."""
_PIECE = 1 << 20


def hub_cache() -> Path:
    """The hub's cache of downloaded models, by the rules of huggingface_hub."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    home = Path(os.environ.get("HF_HOME", cache / "huggingface")).expanduser()
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()


def places(base: str, weights: Path | None) -> list[Path]:
    """Folders where the base model may lie, in the order in which they are looked into."""
    folders = [Path(base).expanduser()]
    if weights is not None:
        folders += [weights / base, weights / Path(base).name]
    repository = hub_cache() / f"models--{base.replace('/', '--')}"
    revision = repository / "refs" / "main"
    if revision.is_file():
        folders.append(repository / "snapshots" / revision.read_text().strip())
    return folders


def find_base(base: str, weights: Path | None) -> Path | None:
    """The folder that holds the base model whole, or None."""
    return next((folder for folder in places(base, weights) if not lacking(folder)), None)


def lacking(folder: Path) -> list[str]:
    """The files of `FILES` that are not in the folder."""
    return [name for name in FILES if not (folder / name).is_file()]


def missing_base(owner: str, base: str, weights: Path | None) -> list[str]:
    """One sentence if the base model is nowhere whole: which file is missing, and what to do."""
    if find_base(base, weights) is not None:
        return []
    begun = next((folder for folder in places(base, weights) if (folder / "unet").is_dir()), None)
    why = "it is neither in the folder of --weights nor in the hub's cache"
    if begun is not None:
        why = f"of it {lacking(begun)[0]} is not there"
    return [
        f"'{owner}' needs the diffusion model {base} as safetensors, and {why}: fetch it by "
        f"`hf download {base}`, or put a folder in diffusers layout as {Path(base).name} into the folder of "
        "--weights"
    ]


def missing_packages(owner: str, packages: tuple[str, ...] = PACKAGES) -> list[str]:
    """One sentence if a package of the extra is not installed, with the command that installs it."""
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    if not absent:
        return []
    return [
        f"'{owner}' needs the package{'s' * (len(absent) > 1)} {' and '.join(absent)}: "
        "pip install 'defectbench[diffusion]'"
    ]


def fingerprint(folder: Path) -> str:
    """A digest of the base model for task keys: sizes, configurations, and both ends of each weight file.

    Reading gigabytes before every plan would cost seconds; two trainings differ in every piece of a file.
    """
    digest = hashlib.sha256()
    for name in FILES:
        path = folder / name
        size = path.stat().st_size
        digest.update(json.dumps([name, size]).encode())
        with path.open("rb") as file:
            if path.suffix != ".safetensors":
                digest.update(file.read())
                continue
            header = 8 + int.from_bytes(file.read(8), "little")
            file.seek(0)
            digest.update(file.read(min(size, header + _PIECE)))
            file.seek(max(0, size - _PIECE))
            digest.update(file.read())
    return digest.hexdigest()
