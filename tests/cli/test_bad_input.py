"""Whatever a user can get wrong is one line that names the thing and the mend, before any work starts."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

RUN = ("run", "--protocol", "mvtec_supervised")
SMOKE = (*RUN, "--scale", "smoke")

# id: the words after `bench`, and what the line must say
NAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "no protocol": (("run",), ("--protocol", "bench run --help")),
    "unknown command": (("rnu",), ("'rnu'", "bench --help")),
    "unknown option": ((*RUN, "--generator", "perlin"), ("--generator", "--generators")),
    "unknown protocol": (
        ("run", "--protocol", "mvtec_supervise"),
        ("unknown protocol", "did you mean 'mvtec_supervised'?"),
    ),
    "unknown generator": (
        (*RUN, "--generators", "perlim"),
        ("unknown generator 'perlim'", "did you mean 'perlin'?"),
    ),
    "unknown generator like no other": ((*RUN, "--generators", "zzz"), ("known: ", "crop_paste", "perlin")),
    "unknown detector": (
        (*RUN, "--detectors", "unt"),
        ("unknown detector 'unt'", "did you mean 'unet'?"),
    ),
    "detector as generator": ((*RUN, "--generators", "unet"), ("unknown generator 'unet'", "known: ")),
    "unknown category": (
        (*RUN, "--categories", "washr"),
        ("unknown category 'washr'", "did you mean 'washer'?"),
    ),
    "unknown scale": ((*RUN, "--scale", "quik"), ("unknown scale 'quik'", "did you mean 'quick'?")),
    "unknown split": ((*RUN, "--split", "randm"), ("unknown split 'randm'", "did you mean 'random'?")),
    "unknown preset": (
        (*RUN, "--detectors", "unet[quik]"),
        ("unknown preset 'quik' of 'unet'", "did you mean 'quick'?"),
    ),
    "brackets left open": ((*RUN, "--detectors", "unet[quick"), ("'unet[quick'", "name[preset]")),
    "unknown features": (
        (*RUN, "--features", "cannonical"),
        ("unknown features 'cannonical'", "did you mean 'canonical'?"),
    ),
    "unknown device": ((*RUN, "--device", "tpu"), ("--device", "'tpu'", "'cuda'")),
    "unknown parameter": (
        (*RUN, "--set", "unet.learning_rat=1e-3"),
        ("unknown parameter 'learning_rat' of 'unet'", "did you mean 'learning_rate'?"),
    ),
    "unknown method in --set": (
        (*RUN, "--set", "unt.epochs=3"),
        ("unknown method 'unt'", "--set unt.epochs", "did you mean 'unet'?"),
    ),
    "unknown setting": ((*RUN, "--set", "resolutoin=64"), ("'resolutoin'", "did you mean 'resolution'?")),
    "unknown scope": (
        (*RUN, "--set", "unet.scope=defect"),
        ("unknown scope 'defect' of 'unet'", "category, dataset"),
    ),
    "wrong type of a parameter": (
        (*RUN, "--set", "unet.learning_rate=fast"),
        ("'learning_rate' of 'unet'", "'fast'", "number"),
    ),
    "wrong choice of a parameter": (
        (*RUN, "--set", "unet.encoder=resnet19"),
        ("'encoder' of 'unet'", "'resnet19'", "'resnet18'"),
    ),
    "parameters that contradict each other": (
        (*RUN, "--set", "unet.encoder=resnet18"),
        ("'unet'", "encoder_weights=embedded", "encoder=tf_efficientnet_lite0"),
    ),
    "balanced is no word": (
        (*RUN, "--set", "unet.balanced=maybe"),
        ("'balanced' of 'unet'", "true or false"),
    ),
    "parameter out of range": (
        (*RUN, "--set", "perlin.octaves=99"),
        ("'octaves' of 'perlin'", "99", "less than or equal to 8"),
    ),
    "setting out of range": (
        (*RUN, "--set", "generated_per_type=0"),
        ("--set: generated_per_type", "greater than or equal to 1", "given: 0"),
    ),
    "setting of a wrong type": ((*RUN, "--set", "resolution=big"), ("--set: resolution", "integer", "'big'")),
    "yes for a number": (
        (*RUN, "--set", "unet.epochs=true"),
        ("'epochs' of 'unet'", "True", "not a yes or no"),
    ),
    "yes for a count": ((*RUN, "--set", "chunk=true"), ("chunk", "True", "no yes or no")),
    "infinite parameter": (
        (*RUN, "--set", "unet.learning_rate=inf"),
        ("'learning_rate' of 'unet'", "finite"),
    ),
    "infinite setting": ((*RUN, "--set", "replicates=inf"), ("replicates", "inf")),
    "--set without a value": ((*RUN, "--set", "unet.epochs"), ("'unet.epochs'", "key=value")),
    "--seeds of words": ((*RUN, "--seeds", "one"), ("--seeds 'one'", "0-2")),
    "--seeds backwards": ((*RUN, "--seeds", "3-1"), ("--seeds '3-1'", "0-2")),
    "--seeds of a superscript": ((*RUN, "--seeds", "²"), ("--seeds", "0-2")),
    "--seeds without end": ((*RUN, "--seeds", "0-999999999"), ("--seeds", "more than 1000")),
    "--shots out of range": ((*RUN, "--shots", "3"), ("'--shots'", "bench run --help")),
    "--shots with a random split": (
        (*RUN, "--shots", "1", "--split", "random"),
        ("--shots", "'random'", "leave one out"),
    ),
    "no workers": ((*RUN, "--workers", "0"), ("'--workers'", "bench run --help")),
    "a method named twice": (
        (*RUN, "--generators", "perlin[tiny],perlin,perlin[tiny]"),
        ("generator 'perlin[tiny]' is named twice",),
    ),
    "an empty list of names": (
        (*RUN, "--generators", " , "),
        ("empty list of names", "leave the option out"),
    ),
    "weights folder missing": ((*RUN, "--weights", "no-such"), ("weights folder no-such", "does not exist")),
    "plug-in missing": ((*RUN, "--plugin", "mine.py"), ("mine.py", "does not exist")),
    "split file missing": ((*RUN, "--split", "mine.toml"), ("the split file mine.toml", "no such file")),
    "data folder missing": ((*RUN, "--data", "no-such"), ("the data folder no-such", "does not exist")),
}


@pytest.mark.parametrize(("words", "says"), NAMES.values(), ids=NAMES)
def test_a_wrong_word_is_refused_before_anything_is_rendered(
    words: tuple[str, ...], says: tuple[str, ...], refused: Callable[..., str], store: Path
) -> None:
    line = refused(*words, *(("--store", store) if words[0] == "run" else ()))
    for part in says:
        assert part.lower() in line.lower()
    assert not (store / "data").exists()
    assert not list(store.glob("tasks/*"))


def _truncate(data: Path) -> None:
    image = data / "washer/test/dent/002.png"
    image.write_bytes(image.read_bytes()[:200])


def _resize_mask(data: Path) -> None:
    Image.fromarray(np.full((32, 48), 255, np.uint8)).save(data / "weave/ground_truth/cut/001_mask.png")


def _remove_mask(data: Path) -> None:
    (data / "weave/ground_truth/hole/003_mask.png").unlink()


def _remove_masks(data: Path) -> None:
    shutil.rmtree(data / "weave/ground_truth/hole")


def _leave_one(data: Path) -> None:
    for number in (1, 2, 3):
        (data / f"washer/test/stain/00{number}.png").unlink()


def _remove_normals(data: Path) -> None:
    for image in (data / "washer/train/good").iterdir():
        image.unlink()


def _write_text_as_image(data: Path) -> None:
    (data / "weave/train/good/000.png").write_text("not an image")


def _empty(data: Path) -> None:
    shutil.rmtree(data)
    data.mkdir()


def _flatten(data: Path) -> None:
    _empty(data)
    for number in range(3):
        Image.new("RGB", (8, 8)).save(data / f"{number}.png")


def _replace_by_a_file(data: Path) -> None:
    shutil.rmtree(data)
    data.write_text("data")


def _claim_to_be_mvtec_ad(data: Path) -> None:
    shutil.rmtree(data / "weave")
    bottle = (data / "washer").rename(data / "bottle")
    (bottle / "test/stain").rename(bottle / "test/contamination")
    (bottle / "ground_truth/stain").rename(bottle / "ground_truth/contamination")
    for defect, new in (("dent", "broken_large"), ("scratch", "broken_small")):
        (bottle / "test" / defect).rename(bottle / "test" / new)
        (bottle / "ground_truth" / defect).rename(bottle / "ground_truth" / new)


DATA: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "truncated image": (_truncate, ("washer/test/dent/002.png", "truncated")),
    "text as image": (_write_text_as_image, ("weave/train/good/000.png",)),
    "mask of another size": (
        _resize_mask,
        ("weave/ground_truth/cut/001_mask.png", "48x32", "64x64", "make them equal"),
    ),
    "missing mask": (_remove_mask, ("weave/test/hole/003.png", "no mask", "003_mask.png")),
    "no masks of a type": (
        _remove_masks,
        ("weave/test/hole", "no masks at all", "add weave/ground_truth/hole"),
    ),
    "one image of a type": (_leave_one, ("washer/test/stain", "1 image", "add images or remove the type")),
    "no normal images": (_remove_normals, ("washer/train/good", "no images", "add normal images")),
    "empty folder": (_empty, ("no data set in", "train/good", "found nothing")),
    "not the layout": (_flatten, ("no data set in", "MVTec AD layout", "found 0.png")),
    "a file": (_replace_by_a_file, ("is a file, not a folder", "MVTec AD layout")),
    "claims to be MVTec AD": (
        _claim_to_be_mvtec_ad,
        ("claims to be MVTec AD", "bottle/train/good: 6 images, published 209", "rename"),
    ),
}


@pytest.mark.parametrize(("plant", "says"), DATA.values(), ids=DATA)
def test_a_fault_in_the_data_is_found_before_any_task_runs(
    plant: Callable[[Path], None],
    says: tuple[str, ...],
    refused: Callable[..., str],
    data: Path,
    store: Path,
    done_tasks: Callable[[], list[str]],
) -> None:
    plant(data)
    line = refused(*SMOKE, "--data", data, "--store", store)
    for part in says:
        assert part in line
    assert not done_tasks()
    assert not list((store / "runs").iterdir())


def test_of_many_faults_the_first_is_told_and_the_rest_are_counted(
    refused: Callable[..., str], data: Path, store: Path
) -> None:
    _truncate(data)
    _remove_mask(data)
    line = refused(*SMOKE, "--data", data, "--store", store)
    assert f"and 1 more; `bench data check {data}` lists all" in line


def test_an_unknown_category_of_the_data_is_refused_by_its_nearest_name(
    refused: Callable[..., str], sound: Path, store: Path
) -> None:
    line = refused(*SMOKE, "--data", sound, "--categories", "waver", "--store", store)
    assert "unknown category 'waver' of 'products'; did you mean 'weave'?" in line


def test_canonical_features_without_weights_and_network_are_refused_at_once(
    refused: Callable[..., str], store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object, **__: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr("bench.features.weights.download", cut)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    line = refused(*RUN, "--features", "canonical", "--weights", tmp_path, "--store", store)
    for part in ("weights-inception-2015-12-05", f"put the file into {tmp_path}", "--features embedded"):
        assert part in line
    assert not (store / "data").exists()


def test_weights_that_are_not_the_published_ones_are_refused(
    refused: Callable[..., str], store: Path, tmp_path: Path
) -> None:
    (tmp_path / "weights-inception-2015-12-05-6726825d.pth").write_bytes(b"half a file")
    line = refused(*RUN, "--features", "canonical", "--weights", tmp_path, "--store", store)
    assert "is not the published file" in line
    assert "replace it" in line


def test_cuda_without_a_gpu_is_refused_before_anything_is_rendered(
    refused: Callable[..., str], store: Path
) -> None:
    from bench.store.environment import environment

    if environment()["gpus"]:
        pytest.skip("this machine has a GPU")
    line = refused(*RUN, "--device", "cuda", "--store", store)
    assert "--device cuda" in line
    assert "--device auto" in line
    assert not store.exists()
