"""A fault in a file that a user wrote - a split, a plug-in, a spec - names the file and the place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.methods import registry
from bench.planning.protocol_file import load_protocol

SMOKE = ("run", "--protocol", "mvtec_supervised", "--scale", "smoke")
DEFECTS = ("dent", "missing_part", "scratch", "stain")

BASE = "[base.washer]\n" + "".join(f'{defect} = ["000"]\n' for defect in DEFECTS)
SPLITS: dict[str, tuple[str, tuple[str, ...]]] = {
    "unknown stem": (
        BASE.replace('dent = ["000"]', 'dent = ["00O"]'),
        ("unknown image '00O'", "did you mean", "washer/dent"),
    ),
    "wrong type": (BASE.replace('dent = ["000"]', "dent = [0]"), ("washer/dent", "list of file stems")),
    "a text for a table": ('base = "all"\n', ("'[base]'", "not a table")),
    "malformed": ("[base.washer\n", ("is not valid",)),
    "not UTF-8": ("\xff", ("is not valid",)),
    "unknown key": (BASE.replace("[base.", "[bse."), ("unknown key 'bse'", "did you mean 'base'?")),
    "unknown type": (BASE.replace("dent", "dnt"), ("unknown defect type 'dnt'", "did you mean 'dent'?")),
    "a type left out": (BASE.replace('dent = ["000"]\n', ""), ("washer/dent", "name at least one")),
    "nothing left to test": (
        BASE.replace('dent = ["000"]', 'dent = ["000", "001", "002", "003"]'),
        ("no test image", "washer/dent", "list fewer"),
    ),
}


@pytest.mark.parametrize(("text", "says"), SPLITS.values(), ids=SPLITS)
def test_a_fault_in_a_split_file_names_the_file_and_the_place(
    text: str,
    says: tuple[str, ...],
    refused: Callable[..., str],
    sound: Path,
    store: Path,
    tmp_path: Path,
    done_tasks: Callable[[], list[str]],
) -> None:
    split = tmp_path / "mine.toml"
    split.write_bytes(text.encode("latin-1"))
    line = refused(*SMOKE, "--data", sound, "--categories", "washer", "--split", split, "--store", store)
    for part in (str(split), *says):
        assert part in line
    assert not done_tasks()


ADAPTER = """
from bench.methods import Generator

class Mine(Generator):
    {facts}
    def fit(self, data, out, ctx):
        pass
    def sample(self, model, data, request, ctx):
        yield from ()
"""
PLUGINS: dict[str, tuple[str, tuple[str, ...]]] = {
    "syntax error": ("def broken(:\n", ("cannot be imported", "invalid syntax", "line 1")),
    "fails as it is imported": ("1 / 0\n", ("cannot be imported: mine.py:1: ZeroDivisionError",)),
    "imports what is not there": ("import no_such_package\n", ("cannot be imported", "no_such_package")),
    "defines nothing": ("x = 1\n", ("defines no Generator and no Detector",)),
    "a class without a name": (ADAPTER.format(facts="version = 1"), ("generator Mine", "has no name")),
    "a class that lacks what the planner asks": (
        ADAPTER.format(facts='name, version, scope = "mine", 1, "category"'),
        ("generator Mine", "has no needs"),
    ),
    "the name of a built-in": (
        ADAPTER.format(
            facts='name, version, scope, needs, yields = "perlin", 1, "category", frozenset(), frozenset()'
        ),
        ("generator 'perlin'", "built in"),
    ),
}


@pytest.mark.parametrize(("source", "says"), PLUGINS.values(), ids=PLUGINS)
def test_a_fault_in_a_plug_in_names_the_file(
    source: str, says: tuple[str, ...], refused: Callable[..., str], store: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(source)
    line = refused(*SMOKE, "--plugin", plugin, "--store", store)
    for part in (f"plug-in file {plugin}", *says):
        assert part in line
    assert not (store / "data").exists()


@pytest.mark.parametrize(
    "words",
    [("check", "detector", "pixel_gauss"), ("show", "pixel_gauss"), (*SMOKE, "--detectors", "pixel_gauss")],
)
def test_a_method_that_a_project_declares_and_nobody_installed_is_said_to_be_so(
    refused: Callable[..., str], words: tuple[str, ...]
) -> None:
    points = (
        '[project]\nname = "x"\n[project.entry-points."bench.detectors"]\npixel_gauss = "mine:PixelGauss"\n'
    )
    Path("pyproject.toml").write_text(points)
    line = refused(*words)
    assert "'pixel_gauss' is declared in" in line
    assert f"run `pip install -e {Path.cwd()}` again" in line


def test_what_a_plug_in_itself_gets_wrong_is_one_line_too(
    bench: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "mine.py"
    facts = 'name, version, scope, needs, yields = "mine", 1, "category", frozenset(), frozenset()\n'
    facts += "    def missing(self, weights=None):\n        return [][0]\n"
    plugin.write_text(ADAPTER.format(facts=facts))
    said = bench(*SMOKE, "--plugin", plugin, "--generators", "mine", "--store", store)
    assert said.code == 70
    assert said.err == (
        "bench: unforeseen IndexError: list index out of range; --debug shows where, please report it\n"
    )


def _spec_with(tmp_path: Path, old: str, new: str) -> Path:
    text = registry.protocols()["mvtec_supervised"].read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_bytes(text.replace(old, new, 1).encode("latin-1"))
    return path


SPECS = {
    "wrong type": ("resolution = 256", 'resolution = "big"', ("scales.paper.resolution", "integer", "'big'")),
    "unknown key": ("resolution = 256", "resolutoin = 256", ("unknown key 'scales.paper.resolutoin'",)),
    "unknown key beside all others": ("seeds = [0]", "seeds = [0]\nsedes = 1", ("scales.paper.sedes",)),
    "shares that do not sum to one": ("normal = 0.5", "normal = 0.6", ("mix 'real'", "do not sum to 1")),
    "malformed": ("[mixes.real]", "[mixes.real", ("is not valid TOML", "line")),
    "not UTF-8": ("title = ", "# \xff\ntitle = ", ("is not valid TOML",)),
}


@pytest.mark.parametrize(("old", "new", "says"), SPECS.values(), ids=SPECS)
def test_a_fault_in_the_spec_of_a_protocol_names_the_file_and_the_place(
    old: str, new: str, says: tuple[str, ...], tmp_path: Path
) -> None:
    path = _spec_with(tmp_path, old, new)
    with pytest.raises(BenchError) as error:
        load_protocol(str(path))
    sentence = str(error.value)
    for part in (str(path), *says):
        assert part in sentence
    assert len(sentence) < 400
