"""DFMGAN as released: `dfmgan_run.py fit|sample`, named by dfmgan.toml."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from layout import collect, copies, mvtec_layout, numbered, run, spare, workspace

OWN = ("data", "runs", "zips", "gen_img")
SIDE = 256


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=("fit", "sample"))
    for name in ("repository", "data", "model", "out", "category", "defect", "device"):
        parser.add_argument(f"--{name}", default="")
    for name in ("count", "start", "seed", "gpus", "pretrain", "transfer"):
        parser.add_argument(f"--{name}", type=int, default=0)
    arguments = parser.parse_args()
    data = Path(arguments.data)
    folder = workspace(Path(arguments.repository), data.parent / "workspace", OWN)
    if arguments.step == "fit":
        # it trains on the whole folder of a type: the third is all that is there
        fit(arguments, folder, mvtec_layout(data, folder / "data", lambda third: third))
    else:
        sample(arguments, folder)


def fit(arguments: argparse.Namespace, folder: Path, defects: dict[str, list[str]]) -> None:
    (category,) = defects
    size = ["--width", SIDE, "--height", SIDE]
    tool, train = [sys.executable, "dataset_tool.py"], [sys.executable, "train.py"]
    common = ["--gpus", arguments.gpus, "--seed", arguments.seed, "--metrics", "none"]
    good = Path("runs/good")
    run(
        [*tool, "--source", f"data/{category}/train/good", "--dest", "zips/good.zip", *size],
        folder,
        arguments.device,
    )
    device = arguments.device if arguments.gpus == 1 else ""
    run(
        [*train, "--data", "zips/good.zip", "--outdir", good, "--kimg", arguments.pretrain, *common],
        folder,
        device,
        writes=good,
    )
    for defect in defects[category]:
        archive, runs = f"zips/{defect}_mask.zip", Path("runs") / f"defect-{defect}"
        source = ["--source", f"data/{category}/test/{defect}"]
        source += ["--source-mask", f"data/{category}/ground_truth/{defect}"]
        run([*tool, *source, "--dest", archive, *size], folder, arguments.device)
        resumed = ["--resume", last(folder / good), "--kimg", arguments.transfer, "--snap", 10]
        words = [*train, "--data", archive, "--outdir", runs, *resumed, "--transfer", "res_block_match_dis"]
        run([*words, *common], folder, device, writes=runs)
        copies(last(folder / runs), Path(arguments.out) / f"{defect}.pkl")


def last(runs: Path) -> Path:
    """The last snapshot of a training: which is the good one is for people to choose, says the README."""
    snapshots = sorted(runs.glob("*/network-snapshot-*.pkl"))
    return snapshots[-1] if snapshots else runs / "network-snapshot.pkl"


def sample(arguments: argparse.Namespace, folder: Path) -> None:
    # seeds of this chunk's spares must not be those of the next chunk
    first = arguments.seed * 1_000_000 + 2 * arguments.start
    output = Path("gen_img")
    for old in (folder / output).glob("*"):
        old.unlink()
    if (folder / output).exists():  # it makes the folder itself
        (folder / output).rmdir()
    network = Path(arguments.model) / f"{arguments.defect}.pkl"
    seeds = f"{first}-{first + spare(arguments.count) - 1}"
    script = [sys.executable, "generate.py", "--network", network, "--output", output, "--gen-mask"]
    run([*script, "--seeds", seeds], folder, arguments.device)
    images, masks = (numbered(folder / output, rf"(\d+)_{kind}\.png") for kind in ("img", "mask"))
    collect(images, masks, Path(arguments.out) / arguments.category / arguments.defect)


if __name__ == "__main__":
    main()
