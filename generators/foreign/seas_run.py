"""SeaS as released: `seas_run.py fit|sample`, named by seas.toml."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

from layout import collect, copies, mvtec_layout, numbered, run, spare, workspace

TOKENS = 4
"""Anomaly tokens per defect type, `anomaly_token_num` of configs/seas.yaml."""
BATCH = 10
"""`batch_size` of the inference in configs/seas.yaml; no rest of a batch is made."""
OWN = ("data", "outputs", "seeded.yaml")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=("fit", "sample"))
    for name in ("repository", "data", "model", "out", "category", "defect", "device"):
        parser.add_argument(f"--{name}", default="")
    for name in ("count", "start", "seed", "steps", "guidance"):
        parser.add_argument(f"--{name}", type=int, default=0)
    arguments = parser.parse_args()
    data = Path(arguments.data)
    # paths are given relative to this folder: the repository looks for "visa" and "3d" in them
    folder = workspace(Path(arguments.repository), data.parent / "workspace", OWN)
    defects = mvtec_layout(data, folder / "data", lambda third: 3 * third)
    (fit if arguments.step == "fit" else sample)(arguments, folder, defects)


def fit(arguments: argparse.Namespace, folder: Path, defects: dict[str, list[str]]) -> None:
    (category,) = defects
    steps = arguments.steps * len(defects[category])
    output = f"outputs/checkpoints/{category}"
    folders = [
        f"--output_dir={output}",
        f"--instance_data_dir=data/{category}/test/",
        f"--mask_dir=data/{category}/ground_truth/",
        f"--normal_data_dir=data/{category}/train/good/",
        f"--checkpointing_steps={steps}",
    ]
    launch = [sys.executable, "-m", "accelerate.commands.launch"]
    launch += ["--config_file", "configs/accelerater_config.yaml"]
    one = {"ACCELERATE_FORCE_NUM_PROCESSES": "1"}
    generation, mask = Path(output) / "generation-checkpoint", Path(output) / "mask-checkpoint"
    run(
        [*launch, "examples/SeaS_main.py", *folders, f"--gen_train_steps={steps}"],
        folder,
        arguments.device,
        writes=generation,
        **one,
    )
    trained = [f"--seas_trained_model_path={generation}", f"--mask_train_steps={steps}"]
    run(
        [*launch, "examples/SeaS_mask_main.py", *folders, *trained],
        folder,
        arguments.device,
        writes=mask,
        **one,
    )
    for checkpoint in (generation, mask):
        copies(folder / checkpoint, Path(arguments.out) / checkpoint.name)
    (Path(arguments.out) / "defects.json").write_text(json.dumps(defects[category]))


def sample(arguments: argparse.Namespace, folder: Path, defects: dict[str, list[str]]) -> None:
    model, output = Path(arguments.model), Path("outputs/images")
    defects_in_order = json.loads((model / "defects.json").read_text())
    prompt = "a ob1"
    if arguments.defect != "good":
        first = defects_in_order.index(arguments.defect) * TOKENS + 1
        prompt += " with " + " ".join(f"sks{first + i}" for i in range(TOKENS))
    batches = -(-spare(arguments.count) // BATCH)
    # seeds of this chunk's spares must not be those of the next chunk
    seeded(
        folder, seed_start=arguments.seed * 1_000_000 + 2 * arguments.start, guidance_scale=arguments.guidance
    )
    shutil.rmtree(folder / output, ignore_errors=True)
    (folder / output).mkdir(parents=True)
    run(
        [
            sys.executable,
            "examples/SeaS_infer.py",
            "--config=seeded.yaml",
            f"--output_dir={output}",
            f"--ref_data_dir=data/{arguments.category}/train/good/",
            f"--gen_model_path={model / 'generation-checkpoint'}",
            f"--rmp_model_path={model / 'mask-checkpoint' / 'rmp'}",
            f"--prompt={prompt}",
            f"--total_infer_num={batches * BATCH}",
        ],
        folder,
        arguments.device,
    )
    masks = {} if arguments.defect == "good" else numbered(folder / output / "mask", r"(\d+)\.png")
    images = numbered(folder / output / "image", r"(\d+)\.png")
    collect(images, masks, Path(arguments.out) / arguments.category / arguments.defect)


def seeded(folder: Path, **values: int) -> None:
    """The repository's configuration with other values: it takes precedence over the command line."""
    text = (folder / "configs" / "seas.yaml").read_text(encoding="utf-8")
    for key, value in values.items():
        text, count = re.subn(rf"(?m)^(\s*{key}\s*:\s*)[0-9.]+", rf"\g<1>{value}", text)
        if not count:
            sys.exit(f"configs/seas.yaml has no {key}")
    (folder / "seeded.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
