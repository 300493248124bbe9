"""The TOML files of released repositories, each run against a small one with scripts of the same names.

These scripts look at the folders that they are given as the released ones do, and write what those write;
what they compute is not looked at.
"""

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detectors.foreign
import generators.foreign
from bench.conformance.trial_split import part_of, trial_split
from bench.data.pool import open_pool
from bench.errors import BenchError
from bench.foreign.adapter import foreign_adapter
from bench.foreign.spec import load_foreign
from bench.methods import Batch, DetectorSplit, Request
from bench.methods.context import Context

FILES = sorted(
    [
        *Path(generators.foreign.__path__[0]).glob("*.toml"),
        *Path(detectors.foreign.__path__[0]).glob("*.toml"),
    ]
)
BY_NAME = {path.stem: path for path in FILES}

PAIR = """
from PIL import Image, ImageDraw
def picture(path, shade, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new(mode, (48, 48), 0 if mode == "L" else (90, shade % 256, 90))
    ImageDraw.Draw(image).rectangle((8, 8, 20, 20), fill=255 if mode == "L" else (255, 0, 0))
    image.save(path)
"""

SEAS = {
    "configs/accelerater_config.yaml": "num_processes: 1\n",
    "configs/seas.yaml": "inference:\n  models:\n    guidance_scale: 8\n  seed_start: 0\n  gen_mask: True\n",
    "examples/SeaS_main.py": """
import argparse, os
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("output_dir", "instance_data_dir", "mask_dir", "normal_data_dir"):
    parser.add_argument("--" + name, type=Path)
for name in ("gen_train_steps", "checkpointing_steps", "mask_train_steps"):
    parser.add_argument("--" + name, type=int)
parser.add_argument("--seas_trained_model_path", type=Path)
options = parser.parse_args()
assert os.environ["ACCELERATE_FORCE_NUM_PROCESSES"] == "1"
for folder in (options.instance_data_dir, options.mask_dir, options.normal_data_dir):
    assert "visa" not in str(folder) and "3d" not in str(folder), folder
types = sorted(entry.name for entry in options.instance_data_dir.iterdir())
assert types == ["hole", "stain"]
for name in types:
    third = len(list((options.instance_data_dir / name).iterdir())) // 3
    assert third == 3
    for i in range(third):
        assert (options.instance_data_dir / name / f"{i:03}.png").exists()
        assert (options.mask_dir / name / f"{i:03}_mask.png").exists()
assert len(list(options.normal_data_dir.iterdir())) == 6
assert options.checkpointing_steps == 2 * 800
if options.seas_trained_model_path is None:
    assert options.gen_train_steps == 2 * 800
    checkpoint = options.output_dir / "generation-checkpoint" / "unet" / "weights.safetensors"
else:
    assert options.mask_train_steps == 2 * 800
    assert (options.seas_trained_model_path / "unet" / "weights.safetensors").exists()
    checkpoint = options.output_dir / "mask-checkpoint" / "rmp"
checkpoint.parent.mkdir(parents=True)
checkpoint.write_text("trained")
""",
    "examples/SeaS_mask_main.py": "import runpy; runpy.run_path('examples/SeaS_main.py')\n",
    "examples/SeaS_infer.py": PAIR
    + """
import argparse, re
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("config", "output_dir", "ref_data_dir", "gen_model_path", "rmp_model_path"):
    parser.add_argument("--" + name, type=Path)
parser.add_argument("--prompt")
parser.add_argument("--total_infer_num", type=int)
options = parser.parse_args()
text = options.config.read_text()
seed = int(re.search(r"seed_start: (\\d+)", text)[1])
assert "guidance_scale: 8" in text
assert (options.gen_model_path / "unet").is_dir() and options.rmp_model_path.is_file()
assert len(list(options.ref_data_dir.iterdir())) == 6
assert options.prompt == "a ob1 with sks5 sks6 sks7 sks8", options.prompt
for i in range(options.total_infer_num // 10 * 10):
    picture(options.output_dir / "image" / f"{i:03}.png", seed + i)
    picture(options.output_dir / "mask" / f"{i:03}.png", 0, "L")
""",
}

ANOMALYDIFFUSION = {
    "configs/latent-diffusion/txt2img-1p4B-finetune.yaml": "model: {}\n",
    "configs/latent-diffusion/txt2img-1p4B-finetune-encoder+embedding.yaml": "model: {}\n",
    "models/ldm/text2img-large/model.ckpt": "weights",
    "name-anomaly.txt": "bottle+broken_large",
    "main.py": """
import argparse, os
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("--base", "--actual_resume", "--init_word", "--gpus", "-n", "--seed", "--no-test", "--logdir"):
    parser.add_argument(name)
parser.add_argument("--mvtec_path", type=Path)
parser.add_argument("-t", action="store_true")
parser.add_argument("--spatial_encoder_embedding", action="store_true")
parser.add_argument("--data_enhance", action="store_true")
options = parser.parse_args()
assert Path(options.base).exists() and Path(options.actual_resume).exists() and options.t
for line in Path("name-anomaly.txt").read_text().split("\\n"):
    category, defect = line.split("+")
    images = options.mvtec_path / category / "test" / defect
    masks = options.mvtec_path / category / "ground_truth" / defect
    files = sorted(os.listdir(images), key=lambda name: int(name[:3]))
    rows = [i for i in range(len(files)) if i <= len(files) // 3]
    assert len(rows) == 3, files
    assert len({os.path.realpath(images / files[i]) for i in rows}) == 3
    assert len(os.listdir(masks)) == len(files)
checkpoints = Path(options.logdir) / "today_test" / "checkpoints"
checkpoints.mkdir(parents=True)
for name in ("spatial_encoder.pt", "embeddings.pt", "last.ckpt"):
    (checkpoints / name).write_text(line)
""",
    "train_mask.py": """
import argparse, os
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("--base", "--actual_resume", "--init_word", "--gpus", "-n", "--seed", "--no-test"):
    parser.add_argument(name)
for name in ("--sample_name", "--anomaly_name"):
    parser.add_argument(name)
parser.add_argument("--mvtec_path", type=Path)
parser.add_argument("-t", action="store_true")
options = parser.parse_args()
masks = options.mvtec_path / options.sample_name / "ground_truth" / options.anomaly_name
files = sorted(os.listdir(masks), key=lambda name: int(name[:3]))
assert len({os.path.realpath(masks / name) for name in files[: len(files) // 3]}) == 3
checkpoints = Path("logs/mask-checkpoints") / f"{options.sample_name}-{options.anomaly_name}" / "checkpoints"
checkpoints.mkdir(parents=True)
(checkpoints / "embeddings.pt").write_text("trained")
""",
    "generate_mask.py": PAIR
    + """
import argparse, time
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("--data_root", "--sample_name", "--anomaly_name"):
    parser.add_argument(name)
options = parser.parse_args()
pair = f"{options.sample_name}-{options.anomaly_name}"
assert Path(f"logs/mask-checkpoints/{pair}/checkpoints/embeddings.pt").exists()
for i in range(1000):
    picture(Path("generated_mask") / options.sample_name / options.anomaly_name / f"{i}.jpg", 0, "L")
    if i > 20:
        time.sleep(600)
""",
    "generate_with_mask.py": PAIR
    + """
import argparse, time
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("--data_root", "--sample_name", "--anomaly_name"):
    parser.add_argument(name)
parser.add_argument("--adaptive_mask", action="store_true")
options = parser.parse_args()
assert Path("logs/anomaly-checkpoints/checkpoints/spatial_encoder.pt").exists()
assert len(list((Path("generated_mask") / options.sample_name / options.anomaly_name).iterdir())) >= 8
assert (Path(options.data_root) / options.sample_name / "train" / "good").is_dir()
target = Path("generated_dataset") / options.sample_name / options.anomaly_name
for i in range(1000):
    picture(target / "image" / f"{i}.jpg", i)
    picture(target / "mask" / f"{i}.jpg", 0, "L")
    picture(target / "image-mask" / f"{i}.jpg", i)
    if i > 20:
        time.sleep(600)
""",
}

DFMGAN = {
    "dataset_tool.py": """
import argparse
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("--source", "--dest", "--source-mask"):
    parser.add_argument(name, type=Path)
for name in ("--width", "--height"):
    parser.add_argument(name, type=int)
options = parser.parse_args()
assert (options.width, options.height) == (256, 256)
images = sorted(options.source.rglob("*.png"))
assert len(images) == (6 if options.source_mask is None else 3)
for image in images if options.source_mask else ():
    assert (options.source_mask / f"{image.stem}_mask{image.suffix}").exists()
options.dest.parent.mkdir(parents=True, exist_ok=True)
options.dest.write_text("zip")
""",
    "train.py": """
import argparse
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("--data", "--outdir", "--resume"):
    parser.add_argument(name, type=Path)
for name in ("--gpus", "--kimg", "--snap", "--seed"):
    parser.add_argument(name, type=int)
parser.add_argument("--transfer", choices=("none", "res_block", "res_block_match_dis"))
parser.add_argument("--metrics")
options = parser.parse_args()
assert options.data.exists() and options.metrics == "none" and options.gpus == 1
if options.resume:
    assert options.resume.name == "network-snapshot-003000.pkl"
    assert (options.kimg, options.snap, options.transfer) == (400, 10, "res_block_match_dis")
run = options.outdir / "00000-auto"
run.mkdir(parents=True)
for kimg in (0, options.kimg):
    (run / f"network-snapshot-{kimg:06d}.pkl").write_text(str(kimg))
""",
    "generate.py": PAIR
    + """
import argparse
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("--network", "--output"):
    parser.add_argument(name, type=Path)
parser.add_argument("--seeds")
parser.add_argument("--gen-mask", action="store_true")
options = parser.parse_args()
assert options.network.read_text() == "400"
first, last = map(int, options.seeds.split("-"))
options.output.mkdir()
for i, seed in enumerate(range(first, last + 1)):
    picture(options.output / f"{i}_img.png", seed)
    if options.gen_mask:
        picture(options.output / f"{i}_mask.png", 0, "L")
""",
}

PATCHCORE = {
    "bin/run_patchcore.py": """
import os, sys
from pathlib import Path
import patchcore.patchcore
words = sys.argv[1:]
at = {word: words[i + 1] for i, word in enumerate(words[:-1])}
assert words.index("patch_core") < words.index("sampler") < words.index("dataset")
assert (at["-b"], at["-p"], at["--resize"], at["--imagesize"]) == ("wideresnet50", "0.1", "256", "224")
data = Path(words[-1]) / at["-d"]
assert words[-2] == "mvtec"
assert len(os.listdir(data / "train" / "good")) == 6
assert len(os.listdir(data / "test" / "good")) == len(os.listdir(data / "test" / "probe")) == 1
from PIL import Image
mask = Image.open(next((data / "ground_truth" / "probe").iterdir()))
assert mask.getextrema() == (0, 255)
results = Path(words[words.index("--log_project") + 2])
models = results / at["--log_project"] / at["--log_group"] / "models" / ("mvtec_" + at["-d"])
models.mkdir(parents=True)
(models / "patchcore_params.pkl").write_text("trained")
""",
    "src/patchcore/__init__.py": "",
    "src/patchcore/common.py": "class FaissNN:\n    def __init__(self, on_gpu, workers): ...\n",
    "src/patchcore/datasets/__init__.py": "",
    "src/patchcore/datasets/mvtec.py": """
from enum import Enum
from pathlib import Path
import numpy, PIL.Image, torch
class DatasetSplit(Enum):
    TEST = "test"
class MVTecDataset(torch.utils.data.Dataset):
    def __init__(self, source, classname, resize, imagesize, split):
        folder = Path(source) / classname / split.value
        self.files = [path for kind in sorted(folder.iterdir()) for path in sorted(kind.iterdir())]
    def __len__(self):
        return len(self.files)
    def __getitem__(self, index):
        return numpy.asarray(PIL.Image.open(self.files[index]).convert("RGB"), numpy.float32)
""",
    "src/patchcore/patchcore.py": """
from pathlib import Path
import numpy
class PatchCore:
    def __init__(self, device): ...
    def load_from_path(self, path, device, nn_method):
        assert (Path(path) / "patchcore_params.pkl").read_text() == "trained"
    def predict(self, loader):
        means = [float(batch.mean()) for batch in loader]
        return means, [numpy.full((224, 224), mean) for mean in means], [], []
""",
}
REPOSITORIES = {"seas": SEAS, "anomalydiffusion": ANOMALYDIFFUSION, "dfmgan": DFMGAN, "patchcore": PATCHCORE}


@pytest.fixture(autouse=True)
def accelerate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`accelerate launch --config_file FILE SCRIPT …` where it is not installed."""
    package = tmp_path / "site" / "accelerate" / "commands"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "launch.py").write_text(
        "import runpy, sys\nassert sys.argv[1] == '--config_file' and open(sys.argv[2]).read()\n"
        "sys.argv = sys.argv[3:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    # of the variables that lead to packages this one alone is left to a foreign command
    monkeypatch.setattr("bench.foreign.process._OURS", ())
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


@pytest.fixture
def repository(tmp_path: Path) -> Callable[[str], Path]:
    def write(name: str) -> Path:
        # a task's folder may well have such a name, and SeaS looks for "3d" in paths
        root = tmp_path / "3d-visa" / name
        for path, text in REPOSITORIES[name].items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return root

    return write


def context(stage: str, scratch: Path) -> Context:
    scratch.mkdir(parents=True, exist_ok=True)
    return Context(0, stage, "released", "plate", "cpu", scratch)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_ready_file_loads_and_says_in_one_sentence_what_is_not_here(path: Path) -> None:
    spec = load_foreign(path)
    assert spec.name == f"{path.stem}-released"
    assert {word for word in (spec.fit or []) if word.endswith(".py")} == {f"{{here}}/{path.stem}_run.py"}
    (sentence,) = foreign_adapter(path).configure().missing()
    assert "\n" not in sentence
    assert "which is not here; git clone https://github.com/" in sentence
    assert f"--set {spec.name}.repository=" in sentence


def test_there_is_a_file_for_each_released_repository() -> None:
    assert sorted(BY_NAME) == sorted(REPOSITORIES)


@pytest.mark.parametrize(
    "path",
    sorted(FILES[0].parent.glob("*.py")) + sorted(FILES[-1].parent.glob("*.py")),
    ids=lambda path: path.stem,
)
def test_a_program_is_one_that_an_old_interpreter_reads(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 7))


@pytest.mark.parametrize("name", ["seas", "anomalydiffusion", "dfmgan"])
def test_a_generator_is_trained_and_sampled_by_its_own_scripts(
    name: str, repository: Callable[[str], Path], tmp_path: Path
) -> None:
    data = trial_split(tmp_path / "split")
    adapter = configured(name, repository(name))
    assert adapter.missing() == []
    mine = part_of(data, adapter.scope, "plate", "stain")
    (tmp_path / "model").mkdir()
    adapter.fit(mine, tmp_path / "model", context("generator.fit", tmp_path / "3d" / "fit"))
    assert not [path for path in (tmp_path / "model").rglob("*") if path.is_symlink()]
    split = part_of(data, "category", "plate", "stain")
    chunks = [
        list(
            adapter.sample(
                tmp_path / "model",
                split,
                Request("plate", "stain", range(start, start + 4)),
                context("generator.sample", tmp_path / "3d" / f"from-{start}"),
            )
        )
        for start in (0, 4)
    ]
    for sample in chunks[0] + chunks[1]:
        assert sample.image.shape == (64, 64, 3)
        assert sample.mask is not None and 0 < sample.mask.sum() < sample.mask.size
    if name != "anomalydiffusion":  # its scripts draw without a seed
        assert not np.array_equal(chunks[0][0].image, chunks[1][0].image)


def test_what_was_trained_before_a_kill_is_not_trained_again(
    repository: Callable[[str], Path], tmp_path: Path
) -> None:
    root = repository("dfmgan")
    data = part_of(trial_split(tmp_path / "split"), "category", "plate", "stain")
    adapter = configured("dfmgan", root)
    broken = (root / "train.py").read_text().replace("if options.resume:", "if options.resume:\n    1 / 0")
    (root / "train.py").write_text(broken)
    (tmp_path / "model").mkdir()
    ctx = context("generator.fit", tmp_path / "fit")
    with pytest.raises(BenchError, match="the command ended with status 1"):
        adapter.fit(data, tmp_path / "model", ctx)
    (root / "train.py").write_text("import sys; assert '--resume' in sys.argv\n" + DFMGAN["train.py"])
    adapter.fit(data, tmp_path / "model", ctx)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["hole.pkl", "stain.pkl"]


def test_released_checkpoints_are_taken_in_the_place_of_a_training(
    repository: Callable[[str], Path], tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    files = [
        "anomaly-checkpoints/checkpoints/spatial_encoder.pt",
        "anomaly-checkpoints/checkpoints/embeddings.pt",
    ]
    files += [f"mask-checkpoints/plate-{defect}/checkpoints/embeddings.pt" for defect in ("hole", "stain")]
    for name in files:
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / name).write_text("released")
    adapter = configured("anomalydiffusion", repository("anomalydiffusion"), checkpoints=str(logs))
    data = part_of(trial_split(tmp_path / "split"), "category", "plate", "stain")
    (tmp_path / "model").mkdir()
    adapter.fit(data, tmp_path / "model", context("generator.fit", tmp_path / "fit"))
    checkpoints = list((tmp_path / "model" / "logs").rglob("*.pt"))
    assert len(checkpoints) == 4 and {path.read_text() for path in checkpoints} == {"released"}


def test_patchcore_is_fitted_by_its_script_and_asked_by_its_classes(
    repository: Callable[[str], Path], tmp_path: Path
) -> None:
    trial_split(tmp_path / "split")
    normal = open_pool(tmp_path / "split" / "plate" / "normal")
    data = DetectorSplit(("plate",), (), 64, {"plate": normal}, {}, {})
    adapter = configured("patchcore", repository("patchcore"))
    (tmp_path / "model").mkdir()
    adapter.fit(data, tmp_path / "model", context("detector.fit", tmp_path / "fit"))
    images = np.stack([np.full((64, 64, 3), shade, np.uint8) for shade in (10, 200, 90)])
    ctx = context("detector.predict", tmp_path / "predict")
    (prediction,) = adapter.predict(tmp_path / "model", [Batch(images)], ctx)
    assert prediction.score.tolist() == [10, 200, 90]
    assert prediction.amap.shape == (3, 64, 64)
    assert prediction.amap.mean((1, 2)).tolist() == [10, 200, 90]


def test_a_repository_by_a_relative_path_is_refused(
    repository: Callable[[str], Path], tmp_path: Path
) -> None:
    data = part_of(trial_split(tmp_path / "split"), "category", "plate", "stain")
    adapter = configured("dfmgan", Path("DFMGAN"))
    (tmp_path / "model").mkdir()
    with pytest.raises(BenchError, match="the command ended with status 1"):
        adapter.fit(data, tmp_path / "model", context("generator.fit", tmp_path / "fit"))


def configured(name: str, repository: Path, **more: Any) -> Any:
    options = {"repository": str(repository), "python": sys.executable, **more}
    return foreign_adapter(BY_NAME[name]).configure(overrides=options)
