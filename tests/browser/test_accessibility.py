"""axe-core finds nothing serious on any page, light or dark, wide or narrow."""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

AXE = "axe-core@4.10.3"
RUN = """axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations.map(each => ({
    id: each.id,
    impact: each.impact,
    where: each.nodes.slice(0, 3).map(node => node.target.join(" ") + ": " + node.failureSummary),
})))"""


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm on the PATH; apt-get install npm")
    folder = tmp_path_factory.mktemp("axe")
    packed = subprocess.run(
        [npm, "pack", AXE, "--silent", "--pack-destination", str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if packed.returncode != 0:
        pytest.skip(f"npm cannot fetch {AXE}: {packed.stderr.strip()[-200:]}")
    (archive,) = folder.glob("axe-core-*.tgz")
    with tarfile.open(archive) as files:
        source = files.extractfile("package/axe.min.js")
        assert source is not None
        return source.read().decode()


def serious(browser, axe: str, page: Path) -> list[dict]:
    browser.open(page)
    browser.run("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    browser.run(axe + "; true")
    return [violation for violation in browser.run(RUN) if violation["impact"] in ("serious", "critical")]


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), pytest.param("dark", 390, marks=pytest.mark.full)]
)
def test_axe_finds_nothing_serious_on_any_page(browser, axe, site, scheme, width):
    browser.prefer(scheme)
    browser.screen(width)
    folder = min(path.parent for path in site.glob("*/index.html"))
    for page in [site / "index.html", site / "disagreements.html", *sorted(folder.glob("*.html"))]:
        assert serious(browser, axe, page) == [], page.name


def test_axe_would_find_a_picture_without_words_and_faint_letters(browser, axe, pages):
    page = pages("gallery.html").with_name("faint.html")
    page.write_text(
        '<html lang="en"><title>t</title><main><img src="x"><p style="color:#bbb">faint</p></main></html>'
    )
    rules = {violation["id"] for violation in serious(browser, axe, page)}
    page.unlink()
    assert {"image-alt", "color-contrast"} <= rules
