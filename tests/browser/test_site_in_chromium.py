"""The site in a real browser, opened from disk: what it says, what it asks for, and what a reader can do."""

import numpy as np
import pytest

TABLE = "#leaderboard figure[data-detector=unet] > .scroll > table"


def visible(browser, selector):
    """The texts of the elements that a reader sees."""
    script = f"[...document.querySelectorAll({selector!r})].filter(e => e.offsetParent).map(e => e.innerText)"
    return browser.run(script)


def test_every_page_opens_from_disk_with_no_console_message_and_no_request(browser, site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        browser.open(page)
        assert browser.console == [], page.name
        assert browser.requests == [], page.name
        assert browser.run("document.title.includes('DefectBench')"), page.name


def test_a_request_and_a_console_message_would_be_seen(browser, tmp_path):
    page = tmp_path / "index.html"
    page.write_text('<img src="https://example.invalid/x.png"><script>console.log("hello")</script>')
    browser.open(page)
    assert browser.requests == ["https://example.invalid/x.png"]
    assert any("hello" in message for message in browser.console)


def test_a_broken_policy_would_be_seen_in_the_console(browser, pages):
    page = pages("index.html")
    torn = page.with_name("torn.html")
    torn.write_text(page.read_text().replace("<script>", "<script> ", 1))
    browser.open(torn)
    torn.unlink()
    assert any("Content Security Policy" in message for message in browser.console)


def test_hostile_names_run_nothing_and_are_shown_as_they_are(browser, site):
    for page in sorted(site.rglob("*.html")):
        browser.open(page)
        assert "owned" not in browser.run("document.title").replace('document.title="owned"', "")
        assert browser.run("document.scripts.length") == 1
        assert browser.run("document.querySelectorAll('[onerror]').length") == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_no_name_however_long_makes_a_page_wider_than_the_screen(browser, site, width):
    browser.screen(width)
    for page in sorted(site.rglob("*.html")):
        browser.open(page)
        assert browser.run("document.documentElement.scrollWidth") <= width, page.name


def test_a_right_to_left_name_does_not_turn_its_neighbours_round(browser, pages):
    browser.open(pages("index.html"))
    script = """(() => {
        const links = [...document.querySelectorAll('nav.links a')];
        const link = links.find(e => e.textContent.includes('\\u05ea'));
        const before = link.previousElementSibling, of = e => e.getBoundingClientRect();
        return of(before).top < of(link).top || of(before).left < of(link).left;
    })()"""
    assert browser.run(script)


def test_a_click_on_a_column_sorts_its_rows_and_a_second_one_turns_them_round(browser, pages):
    browser.open(pages("index.html"))
    head = f"{TABLE} thead tr:last-child th:nth-child(3)"
    values = f"[...document.querySelectorAll('{TABLE} tbody tr')].map(row => row.cells[2].dataset.sort ?? '')"
    for turns_round in (True, False):
        browser.click(f"{head} button")
        texts = browser.run(values)
        filled = [float(value) for value in texts if value]
        assert len(filled) >= 3
        assert filled == sorted(filled, reverse=turns_round)
        assert texts[len(filled) :] == [""] * (len(texts) - len(filled))
        assert browser.run(f"document.querySelector('{head}').ariaSort") == (
            "descending" if turns_round else "ascending"
        )


def test_columns_sort_by_the_keyboard_too(browser, pages):
    browser.open(pages("index.html"))
    browser.run(f"document.querySelector('{TABLE} thead tr:last-child th:nth-child(3) button').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r")
    assert browser.run(f"!!document.querySelector('{TABLE} th[aria-sort=descending]')")


def test_filters_hide_rows_columns_and_tables_and_show_all_again(browser, pages):
    browser.open(pages("index.html"))
    rows_in_all = len(visible(browser, "main table tbody tr"))
    browser.choose("generator", "plain")
    rows = visible(browser, f"{TABLE} tbody tr th.name")
    assert [row.split("\n")[0].removesuffix(" copy") for row in rows] == ["real third only", "plain"]
    browser.choose("metric", "IoU")
    heads = visible(browser, f"{TABLE} thead tr:last-child th")
    assert any("IoU" in head for head in heads)
    assert not any("AP" in head for head in heads)
    browser.choose("detector", "unet")
    assert visible(browser, "main figure.table:not([data-detector=unet])") == []
    browser.click(".filters button")
    browser.run("new Promise(done => setTimeout(done, 50))")
    assert len(visible(browser, "main table tbody tr")) == rows_in_all


def test_filters_go_along_to_the_page_of_a_category(browser, pages):
    browser.open(pages("index.html"))
    browser.choose("generator", "plain")
    link = browser.run(
        "[...document.querySelectorAll('a.carry')].find(e => e.textContent.trim() === 'bolt').href"
    )
    assert link.endswith("category-bolt.html#generator=plain")
    browser.open(pages("category-bolt.html"), "#generator=plain")
    assert browser.run("document.querySelector('select[name=generator]').value") == "plain"
    assert len(visible(browser, f"{TABLE} tbody tr")) == 2


def test_published_rows_are_marked_and_not_bold(browser, pages):
    browser.open(pages("index.html"))
    browser.run("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    cells = visible(browser, "tr.published td .value")
    assert cells
    assert all(cell.endswith("†") for cell in cells if cell.strip())
    assert browser.run("document.querySelectorAll('tr.published .best, tr.published sup').length") == 0


def test_a_click_copies_the_command_of_a_row(browser, pages):
    browser.open(pages("index.html"))
    browser.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.click(f"{TABLE} tr[data-command] button.copy")
    command = browser.run(f"document.querySelector('{TABLE} tr[data-command]').dataset.command")
    assert "bench run --protocol" in command
    assert browser.run("navigator.clipboard.readText()") == command
    browser.open(pages("reproduce.html"))
    browser.click("code.copy + button")
    assert browser.run("navigator.clipboard.readText()") == browser.run(
        "document.querySelector('code.copy').textContent"
    )


def test_a_row_leads_to_its_recipe_which_is_open(browser, pages):
    browser.open(pages("index.html"))
    anchor = browser.run(f"document.querySelector('{TABLE} tbody th.name a').hash")
    browser.open(pages("reproduce.html"), anchor)
    assert browser.run(f"document.querySelector('{anchor}').open")


def test_pictures_open_large_and_arrows_and_escape_work(browser, pages):
    browser.open(pages("gallery.html"))
    browser.click("a.picture")
    assert browser.run("document.querySelector('dialog.viewer').open")
    first = browser.run("document.querySelector('dialog.viewer p').textContent")
    browser.press("ArrowRight")
    second = browser.run("document.querySelector('dialog.viewer p').textContent")
    assert first != second
    assert browser.run("document.querySelector('dialog.viewer img').naturalWidth") > 30
    browser.call(
        "Input.dispatchKeyEvent", type="keyDown", key="Escape", code="Escape", windowsVirtualKeyCode=27
    )
    assert not browser.run("document.querySelector('dialog.viewer').open")
    assert browser.console == []


def test_the_gallery_filters_by_category(browser, pages):
    browser.open(pages("gallery.html"))
    all_of_them = len(visible(browser, "a.picture"))
    browser.choose("category", "bolt")
    assert 0 < len(visible(browser, "a.picture")) < all_of_them


def test_colours_follow_the_system_until_the_reader_chooses_and_are_remembered(browser, pages):
    browser.open(pages("index.html"))
    assert np.median(browser.picture()) > 230
    browser.prefer("dark")
    assert np.median(browser.picture()) < 60
    browser.click("#theme")
    assert np.median(browser.picture()) > 230
    browser.open(pages("cost.html"))
    assert np.median(browser.picture()) > 230
    assert browser.run("document.getElementById('theme').ariaLabel") == "switch to dark colours"


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_are_not_blank_at_this_width(browser, pages, width):
    browser.screen(width)
    for name in ("index.html", "gallery.html", "sensitivity.html"):
        browser.open(pages(name))
        ink = (browser.picture().astype(int).sum(axis=2) < 600).mean()
        assert 0.01 < ink < 0.6


def test_pages_are_whole_without_a_script(browser, pages):
    browser.scripts(False)
    browser.open(pages("index.html"))
    browser.scripts(True)
    assert len(visible(browser, f"{TABLE} tbody tr")) == 4 + 1  # one failed
    assert visible(browser, "form.filters, #theme, button.copy") == []
    assert visible(browser, "nav.links a")
