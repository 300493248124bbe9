import json
import os

import pytest

from bench.data.layout import find_dataset
from bench.data.split import RULES, make_split
from bench.data.split_file import dump_split, load_split
from bench.errors import BenchError


@pytest.fixture
def dataset(tmp_path, write_category):
    write_category(tmp_path / "data" / 'große "Schraube"', crack=6, dent=3)
    write_category(tmp_path / "data" / "nut", dent=4)
    return find_dataset(tmp_path / "data")


@pytest.fixture
def bolt(tmp_path, write_category):
    write_category(tmp_path / "data" / "bolt", crack=4)
    return find_dataset(tmp_path / "data")


def written(tmp_path, text, suffix="toml"):
    path = tmp_path / f"mine.{suffix}"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("rule", RULES)
def test_a_split_that_is_written_and_read_is_the_same(tmp_path, dataset, rule):
    split = make_split(dataset, rule, 3 if rule == "random@1" else None)
    again = load_split(dataset, written(tmp_path, dump_split(split)))
    assert again.categories == split.categories
    assert again.name.startswith(f"file:{rule}#")


def test_the_test_set_is_the_rest_where_the_file_lists_none(tmp_path, bolt):
    split = load_split(bolt, written(tmp_path, "[base.bolt]\ncrack = ['002', '000']"))
    (category,) = split.categories
    assert [i.stem for i in category.base["crack"]] == ["000", "002"]
    assert [i.stem for i in category.test["crack"]] == ["001", "003"]
    assert category.normal == bolt.categories[0].train_good


def test_json_says_the_same_as_toml(tmp_path, bolt):
    toml = load_split(bolt, written(tmp_path, "[base.bolt]\ncrack = ['002']"))
    content = json.dumps({"base": {"bolt": {"crack": ["002"]}}})
    assert load_split(bolt, written(tmp_path, content, "json")) == toml


def test_the_name_follows_what_is_listed(tmp_path, bolt):
    names = [
        load_split(bolt, written(tmp_path, f"[base.bolt]\ncrack = {stems}")).name
        for stems in ("['002', '001']", "['001', '002']", "['001']")
    ]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("file:mine#")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[base.bolts]\ncrack = ['000']", "unknown category 'bolts' of 'data'; did you mean 'bolt'"),
        ("[base.bolt]\ncrak = ['000']", "unknown defect type 'crak' of 'bolt'; did you mean 'crack'"),
        ("[base.bolt]\ncrack = ['0000']", "unknown image '0000'; did you mean"),
        ("[base.bolt]\ncrack = []", "list of images of 'bolt/crack' .* is empty"),
        ("[base.bolt]\ncrack = '000'", "must be a list of file stems"),
        ("[base.bolt]\ncrack = [0]", "must be a list of file stems"),
        ("[base.bolt]\ncrack = ['000', '000']", "listed twice"),
        ("[base.bolt]\ncrack = ['000', '001', '002', '003']", "leaves no test image"),
        ("[base.bolt]\ncrack = ['000']\n[test.bolt]\ncrack = ['000']", "is both base and test"),
        ("[base.bolt]", "lists no base images for 'bolt/crack'"),
        ("", "lists nothing for category 'bolt'"),
        ("base = 3", "not a table"),
        ("[bse.bolt]\ncrack = ['000']", "unknown key 'bse'; did you mean 'base'"),
        ("name = 3", "name that is not text"),
        ("[base", "is not valid"),
    ],
)
def test_a_split_file_that_does_not_fit_is_refused_with_the_reason(tmp_path, bolt, text, sentence):
    with pytest.raises(BenchError, match=sentence) as error:
        load_split(bolt, written(tmp_path, text))
    assert "mine.toml" in str(error.value)


def test_json_that_is_no_table_is_refused(tmp_path, bolt):
    with pytest.raises(BenchError, match="must be a table"):
        load_split(bolt, written(tmp_path, "[]", "json"))


def test_a_split_file_that_is_absent_is_refused(tmp_path, bolt):
    with pytest.raises(BenchError, match=r"cannot read the split file .*gone\.toml: No such file"):
        load_split(bolt, tmp_path / "gone.toml")


def test_a_stem_of_two_files_cannot_be_listed(tmp_path, bolt, photograph):
    photograph(1).save(tmp_path / "data" / "bolt" / "test" / "crack" / "000.bmp")
    with pytest.raises(BenchError, match="stem of two files"):
        load_split(find_dataset(tmp_path / "data"), written(tmp_path, "[base.bolt]\ncrack = ['000']"))


@pytest.mark.parametrize(
    ("suffix", "text"),
    [("toml", "[base.bolt]\ncrack = ['002']"), ("json", '{"base": {"bolt": {"crack": ["002"]}}}')],
)
def test_a_mark_of_byte_order_is_no_part_of_the_text(tmp_path, bolt, suffix, text):
    plain = load_split(bolt, written(tmp_path, text, suffix))
    assert load_split(bolt, written(tmp_path, "\ufeff" + text, suffix)) == plain


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_pipe_is_refused_and_never_waited_for(tmp_path, bolt, suffix):
    os.mkfifo(tmp_path / f"mine.{suffix}")
    with pytest.raises(BenchError, match="it is a pipe, not a regular file"):
        load_split(bolt, tmp_path / f"mine.{suffix}")
