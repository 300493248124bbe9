"""The documents hold what they promise: links, anchors, citations, and what is made from data."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bench.published.disagreements import disagreements, markdown

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ROOT / "protocols" / "published" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
PRODUCT = ("bench", "generators", "detectors", "protocols", "reports")
_FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CITATION = re.compile(r"\bD[1-9][0-9]?\b")


def prose(page: Path) -> str:
    """The text of a page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """What a link into the page may name: explicit anchors, and headings as GitHub and mkdocs name them."""
    text = prose(page)
    headings = re.findall(r"^#+ +(.*)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


def broken_links(page: Path) -> Iterator[str]:
    for target in _LINK.findall(prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        if not linked.is_relative_to(ROOT) or not linked.exists():
            yield f"{target}: there is no such file"
        elif anchor and anchor not in anchors(linked):
            yield f"{target}: there is no such anchor"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in _LINK.findall(prose(index))}
    assert {page for page in PAGES if page.is_relative_to(index.parent)} - linked == {index}


def test_every_disagreement_that_is_cited_has_an_entry() -> None:
    sources = [
        path
        for folder in PRODUCT
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".toml", ".html", ".md")
    ]
    cited = {name for path in [*sources, *PAGES] for name in _CITATION.findall(path.read_text("utf-8"))}
    assert "D31" in cited
    assert cited - set(disagreements()) == set()


def test_disagreements_are_numbered_without_a_gap_and_cite_entries_that_exist() -> None:
    entries = disagreements()
    assert list(entries) == [f"D{number}" for number in range(1, len(entries) + 1)]


def test_the_document_of_disagreements_is_made_from_its_data() -> None:
    page = ROOT / "docs" / "explanation" / "disagreements.md"
    assert page.read_text(encoding="utf-8") == markdown(), (
        "run `python -m bench.published.disagreements docs/explanation/disagreements.md`"
    )


def test_no_code_cites_what_a_clone_does_not_have() -> None:
    for folder in PRODUCT:
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\(architecture, \d|protocol table|protocol-facts", text), path
            for cited in re.findall(r"\bdocs/[\w/-]+\.(?:md|png)", text):
                assert (ROOT / cited).exists(), f"{path} cites {cited}"


def test_the_citation_file_has_what_the_format_requires() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert all("name" in author for author in citation["authors"])
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{citation["version"]}"' in project
    assert f'license = "{citation["license"]}"' in project
