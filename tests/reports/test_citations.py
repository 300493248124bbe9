"""A disagreement that a page cites by number is a link to its entry."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.published.disagreements import disagreements
from bench.results.run import Results
from reports.files.terminal import print_leaderboard
from reports.site.citations import linked, spelled_out, with_code
from reports.site.site import write_site

BARE = re.compile(r"(?<![\w#])D[1-9][0-9]?(?!\w|:|</a>|</h2>)")


@pytest.fixture
def citing(results: Results) -> Results:
    """Results whose banner, caveats and reasons cite disagreements."""
    published = tuple(replace(record, note="groups around test images (D31)") for record in results.published)
    published = tuple(
        replace(record, reference="held-out images (type or product, D31)") for record in published
    )
    return replace(results, banner="Drawn at random (D32).", published=published)


def test_no_page_shows_a_bare_number(citing: Results, tmp_path: Path) -> None:
    write_site([citing], tmp_path)
    pages = {path.name: path.read_text() for path in tmp_path.rglob("*.html")}
    assert sum("disagreements.html#d32" in text for text in pages.values()) > 5
    assert 'href="../disagreements.html#d31"' in pages["published.html"]
    for name, text in pages.items():
        assert BARE.findall(re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)) == [], name


def test_the_page_of_disagreements_has_every_entry(citing: Results, tmp_path: Path) -> None:
    write_site([citing], tmp_path)
    page = (tmp_path / "disagreements.html").read_text()
    for entry in disagreements().values():
        assert f'<section id="{entry.anchor}">' in page


def test_only_entries_become_links_and_all_else_stays_text() -> None:
    text = linked({"root": "../"}, "<b> D99, 3D1, D19")  # type: ignore[arg-type]
    assert text.startswith("&lt;b&gt; D99, 3D1, <a href=")
    assert spelled_out("see D19") == f"see D19: {disagreements()['D19'].title}"
    assert with_code("a `<b>` c") == "a <code>&lt;b&gt;</code> c"


def test_a_terminal_has_the_title_below(citing: Results, capsys: pytest.CaptureFixture[str]) -> None:
    print_leaderboard(citing)
    assert "D32: The third in AnomalyHybrid's text" in capsys.readouterr().out


def test_somebody_elses_page_of_that_name_is_not_overwritten(results: Results, tmp_path: Path) -> None:
    (tmp_path / "disagreements.html").write_text("<h1>mine</h1>")
    with pytest.raises(BenchError, match="was not written by DefectBench"):
        write_site([results], tmp_path)
