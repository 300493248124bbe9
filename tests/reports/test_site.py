"""The page: complete, deterministic, harmless, and never half written."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bench.errors import BenchError
from bench.records import Record
from bench.results import Gallery, Results
from reports.pictures import Album
from reports.site import write_site

HOSTILE = '<script>alert("1")</script>\'&amp;"><img src=x onerror=alert(2)>' + "x" * 300 + "\u202egnirts"


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    VOID = frozenset({"meta", "img", "link", "br", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(results: Results, out: Path) -> Page:
    page = Page(write_site(results, out).read_text())
    assert page.open == []
    return page


def test_every_section_of_a_full_run_is_there(results, tmp_path):
    page = page_of(results, tmp_path / "site")
    sections = [each["id"] for each in page.all("section")]
    assert sections == [
        "leaderboard",
        "gains",
        "categories",
        "samples",
        "maps",
        "training",
        "gaps",
        "data",
        "cost",
        "provenance",
        "metrics",
    ]
    assert {each["href"] for each in page.all("a")} <= {f"#{name}" for name in sections}
    for words in (
        "Built-in sample data with embedded features.",
        "loss is not finite",
        "empty mask",
        "bench run --protocol p",
        "Seeds were not varied",
        "3 rows",
        "1.6 min",
    ):
        assert words in page.text


def test_pictures_lie_beside_the_page_with_words_for_those_who_cannot_see_them(results, tmp_path):
    page = page_of(results, tmp_path / "site")
    pictures = page.all("img")
    assert pictures
    for picture in pictures:
        assert (tmp_path / "site" / picture["src"]).is_file()
        assert len(picture["alt"]) > 10


def test_the_same_results_give_the_same_bytes_whatever_the_order_of_records(results, tmp_path):
    first = write_site(results, tmp_path / "one")
    second = write_site(replace(results, records=results.records[::-1]), tmp_path / "two")
    listing = [
        {
            path.relative_to(page.parent): path.read_bytes()
            for path in page.parent.rglob("*")
            if path.is_file()
        }
        for page in (first, second)
    ]
    assert listing[0] == listing[1]


def test_nothing_points_to_a_network(results, tmp_path):
    text = write_site(results, tmp_path / "site").read_text()
    assert not re.search(r"https?://|//[a-z]|@import|url\(", text)
    page = Page(text)
    assert not page.all("link")
    assert [each.get("src") for each in page.all("script")] == [None]


def test_hostile_names_stay_text(results, tmp_path):
    hostile = tuple(
        replace(record, generator=HOSTILE, category=HOSTILE, detector=HOSTILE, metric=HOSTILE, note=HOSTILE)
        for record in results.records[:6]
    )
    results = replace(
        results,
        protocol=HOSTILE,
        dataset=HOSTILE,
        banner=HOSTILE,
        records=results.records + hostile,
        galleries=tuple(replace(each, category=HOSTILE, defect=HOSTILE) for each in results.galleries),
        maps=tuple(replace(each, detector=HOSTILE) for each in results.maps),
        traces=tuple(
            replace(each, generator=HOSTILE, columns={HOSTILE: np.ones(3)}) for each in results.traces
        ),
        provenance={HOSTILE: HOSTILE, "command": HOSTILE, "nested": {HOSTILE: [HOSTILE]}},
    )
    page = page_of(results, tmp_path / "site")
    assert len(page.all("script")) == 1
    assert all(each["src"].startswith("img/") for each in page.all("img"))
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert HOSTILE in page.text


def test_only_the_scripts_and_styles_of_the_page_itself_may_act(results, tmp_path):
    page = page_of(results, tmp_path / "site")
    (policy,) = [each["content"] for each in page.all("meta") if each.get("http-equiv")]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_pictures_that_a_new_page_no_longer_shows_are_removed_and_other_files_are_kept(results, tmp_path):
    out = tmp_path / "site"
    write_site(results, out)
    (out / "CNAME").write_text("mine")
    (out / "img" / "mine.jpg").write_bytes(b"mine")
    write_site(replace(results, galleries=(), maps=()), out)
    assert {path.name for path in out.rglob("*") if path.is_file()} == {"index.html", "CNAME", "mine.jpg"}


def test_a_page_of_somebody_else_is_not_overwritten(results, tmp_path):
    (tmp_path / "index.html").write_text("<h1>my thesis</h1>")
    with pytest.raises(BenchError, match=r"was not written by DefectBench; choose another folder"):
        write_site(results, tmp_path)
    assert (tmp_path / "index.html").read_text() == "<h1>my thesis</h1>"


def test_a_report_that_cannot_be_made_leaves_the_last_one_whole(results, tmp_path):
    index = write_site(results, tmp_path / "site")
    before = index.read_bytes()
    torn = tmp_path / "torn"
    torn.mkdir()
    np.save(torn / "images.npy", np.zeros((1, 8, 8, 3), np.uint8))
    broken = replace(results, galleries=(*results.galleries, Gallery("tile", "hole", "x", 0, torn, (0,))))
    with pytest.raises(BenchError, match=r"cannot write the report to .*index\.json"):
        write_site(broken, tmp_path / "site")
    assert index.read_bytes() == before
    page = Page(index.read_text())
    assert all((index.parent / each["src"]).is_file() for each in page.all("img"))
    assert not list(index.parent.rglob("*.part"))


def test_a_run_without_any_record_has_a_page_that_says_so(tmp_path):
    empty = Results("p", "smoke", "d", (), lambda task: {}, {})
    assert "No metric has been scored yet." in page_of(empty, tmp_path / "site").text


def test_a_void_cell_links_to_its_reason(results, tmp_path):
    page = page_of(results, tmp_path / "site")
    assert any(
        each.get("title") == "bolt: loss is not finite" or each.get("title") == "loss is not finite"
        for each in page.all("a")
    )


def test_several_seeds_are_named_and_said_to_be_resampled(results, board, fill, tmp_path):
    fill(board, seeds=(1, 2))
    text = page_of(replace(results, records=tuple(board.records)), tmp_path / "site").text
    assert "bootstrap over images and seeds" in text
    assert "Seeds were not varied" not in text


def test_an_album_writes_a_picture_once(tmp_path):
    album = Album(tmp_path)
    pixels = np.zeros((4, 6, 3), np.uint8)
    one, two = album.add(pixels, "black"), album.add(pixels, "also black")
    assert one.href == two.href
    assert (one.width, one.height) == (6, 4)
    assert len(list((tmp_path / "img").iterdir())) == 1


def test_a_record_that_says_ok_without_a_value_is_shown_as_failed(results, tmp_path):
    bad = Record(category="bolt", mix="real", detector="unet", level="pixel", metric="ap", value=None)
    page = page_of(replace(results, records=(*results.records, bad)), tmp_path / "site")
    assert any("recorded as ok" in each.get("title", "") for each in page.all("a"))
