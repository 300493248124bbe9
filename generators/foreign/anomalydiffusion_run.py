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
    arguments = parser.parse_args()
    data, repository = Path(arguments.data), Path(arguments.repository)
    folder_of_run = workspace(repository, data.parent / "workspace", OWN)
    # the mask model takes n // 3 files of a type, the anomaly model n // 3 + 1
    mvtec_layout(data, folder_of_run / "data", lambda third: 3 * third - 1)
    defects = mvtec_layout(data, folder_of_run / "data-masks", lambda third: 3 * third)
    pairs = [(category, defect) for category in defects for defect in defects[category]]
    (folder_of_run / "name-anomaly.txt").write_text("\n".join("+".join(pair) for pair in pairs))
    if arguments.step == "sample":
        sample(arguments, folder_of_run)
    elif arguments.checkpoints:
        keep(Path(arguments.checkpoints), Path(arguments.out) / "logs", pairs)
    else:
        fit(arguments, folder_of_run, pairs)


def fit(arguments: argparse.Namespace, folder_of_run: Path, pairs: list[tuple[str, str]]) -> None:
    script = [sys.executable, "main.py", "--spatial_encoder_embedding", "--data_enhance"]
    script += ["--base", f"{CONFIGS}-encoder+embedding.yaml", "-t", "--actual_resume", LDM, "-n", "test"]
    script += ["--gpus", "0,", "--init_word", "anomaly", "--mvtec_path=data"]
    # its last step, a test, wants a loader that its configuration does not have
    script += ["--seed", arguments.seed, "--no-test", "true", "--logdir", "logs/anomaly"]
    run(script, folder_of_run, arguments.device, writes=Path("logs/anomaly"))
    if not (folder_of_run / ANOMALY).exists():
        trained = sorted((folder_of_run / "logs/anomaly").glob("*/checkpoints/spatial_encoder.pt"))
        copies(trained[-1].parent if trained else folder_of_run / ANOMALY, folder_of_run / ANOMALY)
    for category, defect in pairs:
        script = [sys.executable, "train_mask.py", "--mvtec_path=data-masks", "--base", f"{CONFIGS}.yaml"]
        script += ["-t", "--actual_resume", f"./{LDM}", "-n", "test", "--gpus", "0,", "--init_word", "crack"]
        script += [f"--sample_name={category}", f"--anomaly_name={defect}"]
        script += ["--seed", arguments.seed, "--no-test", "true"]
        run(
            script, folder_of_run, arguments.device, writes=Path(f"logs/mask-checkpoints/{category}-{defect}")
        )
    keep(folder_of_run / "logs", Path(arguments.out) / "logs", pairs)


def keep(logs: Path, target: Path, pairs: list[tuple[str, str]]) -> None:
    """The checkpoints that sampling reads, of all that the training left."""
    names = [f"anomaly-checkpoints/checkpoints/{name}.pt" for name in ("spatial_encoder", "embeddings")]
    names += [f"mask-checkpoints/{'-'.join(pair)}/checkpoints/embeddings.pt" for pair in pairs]
    for name in names:
        copies(logs / name, target / name)


def sample(arguments: argparse.Namespace, folder_of_run: Path) -> None:
    shutil.rmtree(folder_of_run / "logs", ignore_errors=True)
    shutil.copytree(Path(arguments.model) / "logs", folder_of_run / "logs")
    names = [f"--sample_name={arguments.category}", f"--anomaly_name={arguments.defect}"]
    masks = folder_of_run / "generated_mask" / arguments.category / arguments.defect
    pairs = folder_of_run / "generated_dataset" / arguments.category / arguments.defect
    for folder in (masks, pairs):
        shutil.rmtree(folder, ignore_errors=True)
    count = spare(arguments.count)
    script = [sys.executable, "generate_mask.py", "--data_root=data-masks", *names]
    until_made(script, folder_of_run, arguments.device, masks, count)
    script = [sys.executable, "generate_with_mask.py", "--data_root=data-masks", *names, "--adaptive_mask"]
    # image-mask/ is what it writes last of each pair
    until_made(script, folder_of_run, arguments.device, pairs / "image-mask", count)
    whole = set(numbered(pairs / "image-mask", r"(\d+)\.jpg"))
    images, mask_files = (numbered(pairs / kind, r"(\d+)\.jpg") for kind in ("image", "mask"))
    complete = {number: path for number, path in images.items() if number in whole}
    collect(complete, mask_files, Path(arguments.out) / arguments.category / arguments.defect)


def until_made(script: list[str], folder_of_run: Path, device: str, folder: Path, count: int) -> None:
    """Run until `count` files lie in the folder: the scripts make 504 whatever is asked for."""
    print("$", *script, flush=True)
    process = subprocess.Popen(script, cwd=folder_of_run, env=environment(device))
    files: dict[int, Path] = {}
    while process.poll() is None and len(files) <= count:
        time.sleep(0.2)
        files = numbered(folder, r"(\d+)\.jpg") if folder.is_dir() else {}
    if process.poll() is None:
        process.kill()
        process.wait()
        # the newest may be half written
        files[max(files)].unlink()
    elif process.returncode:
        sys.exit(f"{script[1]} ended with status {process.returncode}")


if __name__ == "__main__":
    main()
