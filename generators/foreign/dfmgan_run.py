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
    asked = parser.parse_args()
    data = Path(asked.data)
    here = workspace(Path(asked.repository), data.parent / "workspace", OWN)
    if asked.step == "fit":
        # it trains on the whole folder of a type: the third is all that is there
        fit(asked, here, mvtec_layout(data, here / "data", lambda third: third))
    else:
        sample(asked, here)


def fit(asked: argparse.Namespace, here: Path, defects: dict[str, list[str]]) -> None:
    (category,) = defects
    size = ["--width", SIDE, "--height", SIDE]
    tool, train = [sys.executable, "dataset_tool.py"], [sys.executable, "train.py"]
    common = ["--gpus", asked.gpus, "--seed", asked.seed, "--metrics", "none"]
    good = Path("runs/good")
    run(
        [*tool, "--source", f"data/{category}/train/good", "--dest", "zips/good.zip", *size],
        here,
        asked.device,
    )
    device = asked.device if asked.gpus == 1 else ""
    run(
        [*train, "--data", "zips/good.zip", "--outdir", good, "--kimg", asked.pretrain, *common],
        here,
        device,
        writes=good,
    )
    for defect in defects[category]:
        archive, runs = f"zips/{defect}_mask.zip", Path("runs") / f"defect-{defect}"
        source = ["--source", f"data/{category}/test/{defect}"]
        source += ["--source-mask", f"data/{category}/ground_truth/{defect}"]
        run([*tool, *source, "--dest", archive, *size], here, asked.device)
        resumed = ["--resume", last(here / good), "--kimg", asked.transfer, "--snap", 10]
        words = [*train, "--data", archive, "--outdir", runs, *resumed, "--transfer", "res_block_match_dis"]
        run([*words, *common], here, device, writes=runs)
        copies(last(here / runs), Path(asked.out) / f"{defect}.pkl")


def last(runs: Path) -> Path:
    """The last snapshot of a training: which is the good one is for people to choose, says the README."""
    found = sorted(runs.glob("*/network-snapshot-*.pkl"))
    return found[-1] if found else runs / "network-snapshot.pkl"


def sample(asked: argparse.Namespace, here: Path) -> None:
    # seeds of this chunk's spares must not be those of the next chunk
    first = asked.seed * 1_000_000 + 2 * asked.start
    output = Path("gen_img")
    for old in (here / output).glob("*"):
        old.unlink()
    if (here / output).exists():  # it makes the folder itself
        (here / output).rmdir()
    network = Path(asked.model) / f"{asked.defect}.pkl"
    seeds = f"{first}-{first + spare(asked.count) - 1}"
    script = [sys.executable, "generate.py", "--network", network, "--output", output, "--gen-mask"]
    run([*script, "--seeds", seeds], here, asked.device)
    images, masks = (numbered(here / output, rf"(\d+)_{kind}\.png") for kind in ("img", "mask"))
    collect(images, masks, Path(asked.out) / asked.category / asked.defect)


if __name__ == "__main__":
    main()
