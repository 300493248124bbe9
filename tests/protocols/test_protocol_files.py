"""A protocol of a user's own is one file: what it extends, what its name stands for, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.methods import registry
from bench.planning.protocol_file import load_protocol, recorded_name

HEAD = """
name = "half"
version = 1
title = "Half of the defects real"
extends = "mvtec_supervised"
"""
HALF = """
[rows]
generated = ["generated", "half"]
[mixes.half]
normal = 0.5
generated = 0.25
real = 0.25
"""
WHOLE = """
name = "whole"
version = 3
title = "Everything said here but the counts of the scales"
extends = "scales.toml"
split = "first-third@1"
baseline = "normal"
score = ["normals"]
[rows]
alone = ["normal"]
generated = ["more"]
[mixes.normal]
normal = 1
[mixes.more]
normal = 1
generated_normals = true
[scales.quick]
generators = ["augmented_normals"]
detectors = ["patchcore"]
[scales.smoke]
generators = ["augmented_normals"]
detectors = ["patchcore"]
"""
Planned = Callable[..., Any]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str, name: str = "mine.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_a_file_that_extends_a_protocol_states_only_what_differs(planned: Planned, write: Write) -> None:
    path = write(HEAD + HALF)
    plan = planned(str(path), generators=("crop_paste",), detectors=("unet",))
    assert plan.rows() == [("real", "none"), ("generated", "crop_paste"), ("half", "crop_paste")]
    assert plan.trained_on()["half"] == {"normal", "real", "generated"}
    assert plan.prepared.about["title"] == "Half of the defects real"


def test_fits_of_rows_that_two_protocols_share_are_made_once(planned: Planned, write: Write) -> None:
    methods = {"generators": ("crop_paste",), "detectors": ("unet",)}
    built_in = {task.key for task in planned("mvtec_supervised", **methods).tasks("detector.fit")}
    extended = {task.key for task in planned(str(write(HEAD + HALF)), **methods).tasks("detector.fit")}
    assert len(built_in & extended) == 2


def test_a_file_that_says_all_itself_scores_only_what_it_names(planned: Planned, write: Write) -> None:
    plan = planned(str(write(WHOLE)))
    assert plan.rows() == [("normal", "none"), ("more", "augmented_normals")]
    assert {goal.stage for goal in plan.goals} == {"score.normals", "score.detection"}


def test_what_a_file_states_goes_before_what_it_extends(write: Write) -> None:
    path = write(HEAD + "[scales.quick]\nresolution = 96\n[mixes.real]\nnormal = 0.4\nreal = 0.6\n")
    spec, built_in = load_protocol(str(path)), load_protocol("mvtec_supervised")
    assert spec.scale("quick") == built_in.scale("quick").model_copy(update={"resolution": 96})
    assert spec.mixes["real"].shares == {"normal": 0.4, "real": 0.6}
    assert spec.mixes["generated"] == built_in.mixes["generated"]
    assert spec.question == ""


def test_a_mix_is_replaced_whole(write: Write) -> None:
    spec = load_protocol(str(write(HEAD + '[mixes."generated+real"]\nnormal = 0.5\ngenerated = 0.5\n')))
    assert spec.mixes["generated+real"].shares == {"normal": 0.5, "generated": 0.5}


def test_files_extend_each_other_over_several_steps(write: Write) -> None:
    write(HEAD + HALF, "half.toml")
    path = write('name = "third"\nversion = 1\ntitle = "t"\nextends = "half.toml"\nbaseline = "real"\n')
    assert load_protocol(str(path)).rows.generated == ("generated", "half")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title =", 'note = "A sentence."\ntitle ='),
        ('["generated", "half"]', '["half"]'),
        ("[rows]", '[scales.smoke]\ndetectors = ["lfd"]\nseeds = [1, 2]\n[rows]'),
    ],
)
def test_texts_and_lists_of_rows_methods_and_seeds_leave_records_comparable(
    write: Write, old: str, new: str
) -> None:
    before = recorded_name(load_protocol(str(write(HEAD + HALF))))
    assert recorded_name(load_protocol(str(write((HEAD + HALF).replace(old, new, 1))))) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("generated = 0.25\nreal = 0.25", "generated = 0.3\nreal = 0.2"),
        ("[rows]", '[detectors.unet]\nscope = "dataset"\n[rows]'),
        ("[rows]", "[scales.smoke.methods.unet]\nbalanced = false\n[rows]"),
    ],
)
def test_what_changes_a_number_parts_records(write: Write, old: str, new: str) -> None:
    before = recorded_name(load_protocol(str(write(HEAD + HALF))))
    after = recorded_name(load_protocol(str(write((HEAD + HALF).replace(old, new, 1)))))
    assert before.startswith("half#")
    assert after.startswith("half#")
    assert before != after


def test_the_path_of_a_built_in_protocol_is_that_protocol() -> None:
    path = registry.protocols()["mvtec_synthesis"]
    assert recorded_name(load_protocol(str(path))) == "mvtec_synthesis"


REFUSED = {
    "unknown key": ("[scales.smoke]\nresolutoin = 64\n", ("unknown key 'scales.smoke.resolutoin'", "64")),
    "unknown key of a mix": ("[mixes.half]\nreel = 0.5\n", ("unknown key 'mixes.half.reel'",)),
    "wrong type": ("[scales.quick]\nreplicates = 'many'\n", ("scales.quick.replicates", "'many'")),
    "row of an unknown mix": ("[rows]\ngenerated = ['genrated']\n", ("rows.generated", "'generated'?")),
    "row of a wrong kind": ("[rows]\nalone = ['real', 'generated']\n", ("rows.alone", "needs a generator")),
    "row that needs none": ("[rows]\ngenerated = ['real']\n", ("rows.generated", "no generated images")),
    "row twice": ("[rows]\nalone = ['real', 'real']\n", ("rows.alone names a mix twice",)),
    "baseline that is not a row": ("baseline = 'generated'\n", ("baseline", "rows.alone")),
    "shares": ("[mixes.real]\nnormal = 0.5\nreal = 0.4\n", ("mix 'real'", "do not sum to 1")),
    "counts": ("counts = 'none.toml'\n", ("counts", "'none.toml'")),
}


@pytest.mark.parametrize(("more", "words"), REFUSED.values(), ids=REFUSED)
def test_a_fault_is_one_sentence_with_the_file_and_the_key(
    write: Write, more: str, words: tuple[str, ...]
) -> None:
    path = write(HEAD + more)
    with pytest.raises(BenchError) as refused:
        load_protocol(str(path))
    sentence = str(refused.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    assert [part for part in words if part not in sentence] == []


@pytest.mark.parametrize(
    ("extends", "words"),
    [
        (
            "'mvtec_supervise'",
            "extends: unknown protocol 'mvtec_supervise'; did you mean 'mvtec_supervised'?",
        ),
        ("'other.toml'", "extends: there is no file 'other.toml'"),
        ("['a', 'b']", r"extends: name one file or protocol \(given: \['a', 'b'\]\)"),
        ("'mine.toml'", "extends: .*mine.toml is extended in a circle"),
    ],
)
def test_what_cannot_be_extended_is_named(write: Write, extends: str, words: str) -> None:
    with pytest.raises(BenchError, match=words):
        load_protocol(str(write(f"name = 'mine'\nversion = 1\ntitle = 't'\nextends = {extends}\n")))


def test_a_circle_over_two_files_is_refused(write: Write) -> None:
    write("extends = 'mine.toml'\n", "other.toml")
    with pytest.raises(BenchError, match=r"other\.toml: extends: .*mine\.toml is extended in a circle"):
        load_protocol(str(write("extends = 'other.toml'\n")))


def test_a_fault_in_an_extended_file_is_told_of_that_file(write: Write) -> None:
    other = write("[scales.smoke]\nsedes = 1\n", "other.toml")
    with pytest.raises(BenchError, match=rf"^{other}: unknown key 'scales\.smoke\.sedes'"):
        load_protocol(str(write(WHOLE.replace("scales.toml", "other.toml"))))


@pytest.mark.parametrize("key", ["name", "version", "title"])
def test_a_name_a_version_and_a_title_are_not_inherited(write: Write, key: str) -> None:
    text = "".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith(key))
    with pytest.raises(BenchError, match=f"mine.toml: '{key}' is missing"):
        load_protocol(str(write(text)))


@pytest.mark.parametrize("name", ["mvtec_synthesis", "score"])
def test_the_name_of_a_built_in_protocol_is_refused(write: Write, name: str) -> None:
    path = write(HEAD.replace('"half"', f'"{name}"'))
    with pytest.raises(BenchError, match=rf"mine\.toml: name: .*'{name}'; choose another name"):
        load_protocol(str(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"the protocol file .*mine\.toml cannot be read"):
        load_protocol(str(tmp_path / "mine.toml"))
