"""The page: complete, deterministic, harmless, and never half written."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bench.errors import BenchError
from bench.record.record import Record
from bench.results.run import Gallery, Results
from reports.site.pictures import Album
from reports.site.site import write_site

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


FOLDER = "p-d-smoke"


def site_of(results: Results, out: Path) -> dict[str, Page]:
    """Every page by its path from the site's folder."""
    write_site([results], out)
    pages = {path.relative_to(out).as_posix(): Page(path.read_text()) for path in out.rglob("*.html")}
    assert all(page.open == [] for page in pages.values())
    return pages


def leaderboard_of(results: Results, out: Path) -> Page:
    return site_of(results, out)[f"{FOLDER}/index.html"]


def all_text(site: dict[str, Page]) -> str:
    return "\n".join(page.text for page in site.values())


def test_every_page_of_a_full_run_is_there_and_links_lead_somewhere(results, tmp_path):
    site = site_of(results, tmp_path / "site")
    assert {name for name in site if "/" not in name} == {"index.html", "disagreements.html"}
    names = {name.removeprefix(f"{FOLDER}/") for name in site if "/" in name}
    assert names == {
        "index.html",
        *(f"category-{category}.html" for category in ("bolt", "cloth", "tile")),
        "by-category-generated-images.html",
        "by-category-unet.html",
        "gallery.html",
        "curves-unet.html",
        "sensitivity.html",
        "published.html",
        "cost.html",
        "failures.html",
        "reproduce.html",
    }
    for name, page in site.items():
        ids = {attributes.get("id") for _, attributes in page.tags}
        for link in page.all("a"):
            file, _, anchor = link["href"].partition("#")
            target = (tmp_path / "site" / name).parent / file if file else tmp_path / "site" / name
            assert target.is_file(), (name, link)
            if anchor:
                found = ids if not file else {a.get("id") for _, a in Page(target.read_text()).tags}
                assert anchor in found, (name, link)


def test_what_a_run_said_is_on_its_pages(results, tmp_path):
    site = site_of(results, tmp_path / "site")
    for file, words in (
        ("index.html", "Built-in sample data with embedded features."),
        ("index.html", "Seeds were not varied"),
        ("index.html", "3 rows"),
        ("failures.html", "loss is not finite"),
        ("reproduce.html", "empty mask"),
        ("reproduce.html", "bench run --protocol p"),
        ("cost.html", "1.6 min"),
    ):
        assert words in site[f"{FOLDER}/{file}"].text


def test_how_masks_fit_has_columns_of_its_own_a_glossary_and_a_word_in_the_gallery(results, board, tmp_path):
    facts = {"mix": "", "generator": "strong", "detector": "none", "level": "generation", "stderr": 0.01}
    for defect in ("hole", "all"):
        board.add(**facts, defect=defect, metric="mask_agreement", value=0.623)
        board.add(**facts, defect=defect, metric="mask_boundary", value=0.871)
        board.add(**facts, defect=defect, metric="mask_spill", value=0.125, unit="1", direction="lower")
    site = site_of(replace(results, records=tuple(board.records)), tmp_path / "site")
    page = site[f"{FOLDER}/index.html"]
    for words in (
        "Whether they copy, and whether their masks fit",
        "mask fit % ↑",
        "mask edge % ↑",
        "change outside / inside ↓",
    ):
        assert words in page.text
    for value, interval in (("62.3", "60.3–64.3"), ("87.1", "85.1–89.1"), ("0.125", "0.105–0.145")):
        assert f"{value}{interval}" in page.text
    told = site[f"{FOLDER}/reproduce.html"].text
    assert "a pixel outside the masks" in told
    assert "at the outline of the mask" in told
    assert "mask fit 62%" in site[f"{FOLDER}/gallery.html"].text


def test_pictures_lie_beside_the_page_with_words_for_those_who_cannot_see_them(results, tmp_path):
    pictures = site_of(results, tmp_path / "site")[f"{FOLDER}/gallery.html"].all("img")
    assert pictures
    for picture in pictures:
        assert (tmp_path / "site" / FOLDER / picture["src"]).is_file()
        assert len(picture["alt"]) > 10


def test_every_setting_of_a_protocol_has_its_pages_and_stands_in_the_index(results, tmp_path):
    other = replace(results, dataset="e", title="what it is about")
    few = replace(other, provenance={**other.provenance, "shots": "1"})
    write_site([results, other, few], tmp_path / "site")
    index = Page((tmp_path / "site" / "index.html").read_text())
    linked = {link["href"] for link in index.all("a")}
    assert {f"{name}/index.html" for name in ("p-d-smoke", "p-e-smoke", "p-e-smoke-2")} <= linked
    assert "what it is about" in index.text
    assert "e, smoke, 1-shot" in index.text
    board = Page((tmp_path / "site" / "p-e-smoke" / "index.html").read_text())
    assert "../p-d-smoke/index.html" in {link["href"] for link in board.all("a")}


def test_the_same_results_give_the_same_bytes_whatever_the_order_of_records(results, tmp_path):
    first = write_site([results], tmp_path / "one")
    second = write_site([replace(results, records=results.records[::-1])], tmp_path / "two")
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
    write_site([results], tmp_path / "site")
    for path in (tmp_path / "site").rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"https?://|[\"'(]//[a-z]|@import|url\(", text)
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
    site = site_of(results, tmp_path / "site")
    for page in site.values():
        assert len(page.all("script")) == 1
        assert all(each["src"].startswith("../img/") for each in page.all("img"))
        assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    plain_text = HOSTILE.replace("\u202e", "\ufffd")
    assert sum(plain_text in page.text for page in site.values()) >= 9


def test_no_character_that_steers_a_terminal_or_turns_a_line_reaches_a_page(results, tmp_path):
    steering = "a\x1b[31mb\u202ec\u2067d\x07\x9be"
    odd = tuple(
        replace(record, generator=steering, category=steering, detector=steering, note=steering)
        for record in results.records[:6]
    )
    results = replace(
        results,
        banner=steering,
        title=steering,
        records=results.records + odd,
        galleries=tuple(
            replace(gallery, category=steering, defect=steering) for gallery in results.galleries
        ),
        data_notes=replace(results.data_notes, warnings=(steering,)),
        provenance={steering: steering, "command": steering},
    )
    site = site_of(results, tmp_path / "site")
    for name, page in site.items():
        assert not set("\x1b\u202e\u2067\x07\x9b") & set(page.text), name
    assert sum("a\ufffd[31mb\ufffdc" in page.text for page in site.values()) >= 9


def test_only_the_scripts_and_styles_of_the_page_itself_may_act(results, tmp_path):
    for page in site_of(results, tmp_path / "site").values():
        (policy,) = [each["content"] for each in page.all("meta") if each.get("http-equiv")]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_pictures_that_a_new_page_no_longer_shows_are_removed_and_other_files_are_kept(results, tmp_path):
    out = tmp_path / "site"
    write_site([results, replace(results, dataset="gone")], out)
    (out / "CNAME").write_text("mine")
    (out / "img" / "mine.jpg").write_bytes(b"mine")
    (out / FOLDER / "notes.html").write_text("mine")
    assert (out / "p-gone-smoke").is_dir()
    write_site([replace(results, galleries=(), maps=())], out)
    left = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"CNAME", "img/mine.jpg", f"{FOLDER}/notes.html"} <= left
    assert not any(name.endswith(".jpg") for name in left - {"img/mine.jpg"})
    assert f"{FOLDER}/gallery.html" not in left
    assert not (out / "p-gone-smoke").exists()


def test_a_page_of_somebody_else_is_not_overwritten(results, tmp_path):
    (tmp_path / "index.html").write_text("<h1>my thesis</h1>")
    with pytest.raises(BenchError, match=r"was not written by DefectBench; choose another folder"):
        write_site([results], tmp_path)
    assert (tmp_path / "index.html").read_text() == "<h1>my thesis</h1>"


def test_a_report_that_cannot_be_made_leaves_the_last_one_whole(results, tmp_path):
    index = write_site([results], tmp_path / "site")
    before = {path: path.read_bytes() for path in index.parent.rglob("*.html")}
    torn = tmp_path / "torn"
    torn.mkdir()
    np.save(torn / "images.npy", np.zeros((1, 8, 8, 3), np.uint8))
    broken = replace(results, galleries=(*results.galleries, Gallery("tile", "hole", "x", 0, torn, (0,))))
    with pytest.raises(BenchError, match=r"cannot write the report to .*index\.json"):
        write_site([broken], tmp_path / "site")
    assert {path: path.read_bytes() for path in index.parent.rglob("*.html")} == before
    for path in before:
        assert all((path.parent / each["src"]).is_file() for each in Page(path.read_text()).all("img"))
    assert not list(index.parent.rglob("*.part"))


def test_a_run_without_any_record_has_a_page_that_says_so(tmp_path):
    empty = Results("p", "smoke", "d", (), lambda task: {}, {})
    assert "No metric has been scored yet." in leaderboard_of(empty, tmp_path / "site").text


def test_a_store_without_any_run_has_an_index_that_says_so(tmp_path):
    assert "No metric has been scored yet." in write_site([], tmp_path / "site").read_text()


def test_a_void_cell_links_to_its_reason(results, tmp_path):
    page = leaderboard_of(results, tmp_path / "site")
    assert any(
        each.get("title") == "bolt: loss is not finite" or each.get("title") == "loss is not finite"
        for each in page.all("a")
    )


def test_several_seeds_are_named_and_said_to_be_resampled(results, board, fill, tmp_path):
    fill(board, seeds=(1, 2))
    text = leaderboard_of(replace(results, records=tuple(board.records)), tmp_path / "site").text
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
    page = leaderboard_of(replace(results, records=(*results.records, bad)), tmp_path / "site")
    assert any("recorded as ok" in each.get("title", "") for each in page.all("a"))
