"""AnomalyDiffusion as released: `anomalydiffusion_run.py fit|sample`, named by anomalydiffusion.toml."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from layout import collect, copies, environment, mvtec_layout, numbered, run, spare, workspace

LDM = "models/ldm/text2img-large/model.ckpt"
CONFIGS = "configs/latent-diffusion/txt2img-1p4B-finetune"
ANOMALY = Path("logs/anomaly-checkpoints/checkpoints")
OWN = ("logs", "data", "data-masks", "name-anomaly.txt", "generated_mask", "generated_dataset")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=("fit", "sample"))
    for name in ("repository", "data", "model", "out", "category", "defect", "device", "checkpoints"):
        parser.add_argument(f"--{name}", default="")
    for name in ("count", "seed"):
        parser.add_argument(f"--{name}", type=int, default=0)
    asked = parser.parse_args()
    data, repository = Path(asked.data), Path(asked.repository)
    here = workspace(repository, data.parent / "workspace", OWN)
    # the mask model takes n // 3 files of a type, the anomaly model n // 3 + 1
    mvtec_layout(data, here / "data", lambda third: 3 * third - 1)
    defects = mvtec_layout(data, here / "data-masks", lambda third: 3 * third)
    pairs = [(category, defect) for category in defects for defect in defects[category]]
    (here / "name-anomaly.txt").write_text("\n".join("+".join(pair) for pair in pairs))
    if asked.step == "sample":
        sample(asked, here)
    elif asked.checkpoints:
        keep(Path(asked.checkpoints), Path(asked.out) / "logs", pairs)
    else:
        fit(asked, here, pairs)


def fit(asked: argparse.Namespace, here: Path, pairs: list[tuple[str, str]]) -> None:
    script = [sys.executable, "main.py", "--spatial_encoder_embedding", "--data_enhance"]
    script += ["--base", f"{CONFIGS}-encoder+embedding.yaml", "-t", "--actual_resume", LDM, "-n", "test"]
    script += ["--gpus", "0,", "--init_word", "anomaly", "--mvtec_path=data"]
    # its last step, a test, wants a loader that its configuration has not
    script += ["--seed", asked.seed, "--no-test", "true", "--logdir", "logs/anomaly"]
    run(script, here, asked.device, writes=Path("logs/anomaly"))
    if not (here / ANOMALY).exists():
        trained = sorted((here / "logs/anomaly").glob("*/checkpoints/spatial_encoder.pt"))
        copies(trained[-1].parent if trained else here / ANOMALY, here / ANOMALY)
    for category, defect in pairs:
        script = [sys.executable, "train_mask.py", "--mvtec_path=data-masks", "--base", f"{CONFIGS}.yaml"]
        script += ["-t", "--actual_resume", f"./{LDM}", "-n", "test", "--gpus", "0,", "--init_word", "crack"]
        script += [f"--sample_name={category}", f"--anomaly_name={defect}"]
        script += ["--seed", asked.seed, "--no-test", "true"]
        run(script, here, asked.device, writes=Path(f"logs/mask-checkpoints/{category}-{defect}"))
    keep(here / "logs", Path(asked.out) / "logs", pairs)


def keep(logs: Path, target: Path, pairs: list[tuple[str, str]]) -> None:
    """The checkpoints that sampling reads, of all that the training left."""
    wanted = [f"anomaly-checkpoints/checkpoints/{name}.pt" for name in ("spatial_encoder", "embeddings")]
    wanted += [f"mask-checkpoints/{'-'.join(pair)}/checkpoints/embeddings.pt" for pair in pairs]
    for name in wanted:
        copies(logs / name, target / name)


def sample(asked: argparse.Namespace, here: Path) -> None:
    shutil.rmtree(here / "logs", ignore_errors=True)
    shutil.copytree(Path(asked.model) / "logs", here / "logs")
    names = [f"--sample_name={asked.category}", f"--anomaly_name={asked.defect}"]
    masks = here / "generated_mask" / asked.category / asked.defect
    pairs = here / "generated_dataset" / asked.category / asked.defect
    for folder in (masks, pairs):
        shutil.rmtree(folder, ignore_errors=True)
    count = spare(asked.count)
    script = [sys.executable, "generate_mask.py", "--data_root=data-masks", *names]
    until_made(script, here, asked.device, masks, count)
    script = [sys.executable, "generate_with_mask.py", "--data_root=data-masks", *names, "--adaptive_mask"]
    # image-mask/ is what it writes last of each pair
    until_made(script, here, asked.device, pairs / "image-mask", count)
    whole = set(numbered(pairs / "image-mask", r"(\d+)\.jpg"))
    images, found = (numbered(pairs / kind, r"(\d+)\.jpg") for kind in ("image", "mask"))
    complete = {number: path for number, path in images.items() if number in whole}
    collect(complete, found, Path(asked.out) / asked.category / asked.defect)


def until_made(script: list[str], here: Path, device: str, folder: Path, count: int) -> None:
    """Run until `count` files lie in the folder: the scripts make 504 whatever is asked for."""
    print("$", *script, flush=True)
    process = subprocess.Popen(script, cwd=here, env=environment(device))
    made: dict[int, Path] = {}
    while process.poll() is None and len(made) <= count:
        time.sleep(0.2)
        made = numbered(folder, r"(\d+)\.jpg") if folder.is_dir() else {}
    if process.poll() is None:
        process.kill()
        process.wait()
        # the newest may be half written
        made[max(made)].unlink()
    elif process.returncode:
        sys.exit(f"{script[1]} ended with status {process.returncode}")


if __name__ == "__main__":
    main()
