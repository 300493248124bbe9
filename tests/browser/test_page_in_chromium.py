"""The page in a real browser, opened from disk."""

import re

import numpy as np
import pytest


def test_the_page_opens_from_disk_with_no_console_message_and_no_request(visit, page):
    seen = visit(page)
    assert seen.console == ()
    assert seen.requests == ()
    assert "</html>" in seen.dom


def test_a_request_would_be_seen(visit, tmp_path):
    page = tmp_path / "index.html"
    page.write_text('<img src="https://example.invalid/x.png">')
    assert visit(page).requests == ("https://example.invalid/x.png",)


def test_hostile_names_run_nothing(visit, page):
    seen = visit(page)
    title = re.search(r"<title>(.*?)</title>", seen.dom, re.DOTALL)
    assert title is not None
    assert title[1] != "owned"
    assert "DefectBench" in title[1]
    assert seen.dom.count("<script>") == 1


def test_its_own_script_runs_and_adds_sorting_and_copying(visit, page):
    dom = visit(page).dom
    assert 'class="sort"' in dom
    assert 'class="copy">copy</button>' in dom


@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_is_not_blank_at_this_width(screenshot, page, width):
    pixels = screenshot(page, width)
    assert pixels.shape[1] == width
    ink = (pixels.astype(int).sum(axis=2) < 600).mean()
    assert 0.01 < ink < 0.6


def test_the_page_is_dark_where_the_reader_prefers_dark(screenshot, page):
    light = screenshot(page, 800)
    dark = screenshot(page, 800, "--blink-settings=preferredColorScheme=0")
    assert np.median(light) > 230
    assert np.median(dark) < 60


def test_a_broken_policy_would_be_seen_in_the_console(visit, page):
    text = page.read_text().replace("<script>", "<script> ", 1)
    page.write_text(text)
    assert any("Content Security Policy" in line for line in visit(page).console)


def test_a_click_on_a_column_sorts_its_rows_and_a_second_one_turns_them_round(visit, page):
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    for clicks in (1, 2):
        click = "document.querySelectorAll('#leaderboard button.sort')[2].click();" * clicks
        copy = page.parent / f"{clicks}.html"
        copy.write_text(text.replace("</body>", f"<script>{click}</script></body>"))
        table = re.search(r'<section id="leaderboard">.*?<tbody>(.*?)</tbody>', visit(copy).dom, re.DOTALL)
        assert table is not None
        values = [float(value) for value in re.findall(r'<td data-sort="([^"]*)" class="">', table[1])[::2]]
        assert len(values) == 3
        assert values == sorted(values, reverse=clicks == 1)
        assert "failed" in table[1].split("</tr>")[3]
