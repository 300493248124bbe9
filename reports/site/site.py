"""The site of a store: static pages that open from disk or from any web server, without a network.

The same results give the same bytes: everything is sorted, and nothing tells when or where it was written.

    index.html                  all protocols, with what each found
    disagreements.html          where papers and repositories disagree, which notes and caveats cite
    <protocol-dataset-scale>/   the pages of one leaderboard (`reports.site.pages`)
    img/                        pictures, named by their content
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.published.disagreements import disagreements
from bench.results.run import Results
from reports.site.addresses import slugs
from reports.site.citations import PAGE as DISAGREEMENTS
from reports.site.pages import links, templates
from reports.site.pictures import Album
from reports.site.render import Renderer, is_ours
from reports.site.run_board import RunBoard, SiblingPage
from reports.site.views import detectors, generator_of


def write_site(runs: Sequence[Results], out: Path) -> Path:
    """Write the pages of these results into folder `out` and return the path of its index.html.

    All pages are made before the first is written. Pictures are written first, under names made of their
    content, then each page takes the place of the last one in a single step, the index after all others,
    then pages and pictures that are no longer wanted are removed: whenever this is killed, every page in
    `out` is whole. Other files in `out` are left alone.

    Raises BenchError if `out` holds an index.html or a disagreements.html that DefectBench did not write, or
    cannot be written.
    """
    index = out / "index.html"
    try:
        for page in (index, out / DISAGREEMENTS):
            if page.exists() and not is_ours(page):
                raise BenchError(
                    f"{page} was not written by DefectBench; choose another folder for the report"
                )
        out.mkdir(parents=True, exist_ok=True)
        album = Album(out)
        pages = render(runs, album)
        for name, text in pages.items():
            _replace(out / name, text)
        album.sweep()
        _sweep(out, set(pages))
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise BenchError(f"cannot write the report to {out}: {error.strerror or error}{where}") from error
    return index


def render(runs: Sequence[Results], album: Album) -> dict[str, str]:
    """The text of every page by its path, the index last; pictures go into the album."""
    renderer = Renderer()
    boards = [RunBoard(results, album) for results in runs]
    folders, settings = folder_names(runs), settings_of(runs)
    pages: dict[str, str] = {}
    for run, folder in zip(boards, folders, strict=True):
        siblings = [
            SiblingPage(f"../{other_folder}/index.html", setting, other_folder == folder)
            for other, other_folder, setting in zip(boards, folders, settings, strict=True)
            if other.results.protocol == run.results.protocol
        ]
        for file, template, context in templates(run, siblings):
            pages[f"{folder}/{file}"] = renderer.page(template, **context)
    cards = [
        _card(run, folder, setting) for run, folder, setting in zip(boards, folders, settings, strict=True)
    ]
    pages[DISAGREEMENTS] = renderer.page(DISAGREEMENTS, root="", entries=tuple(disagreements().values()))
    pages["index.html"] = renderer.page("index.html", root="", runs=cards)
    return pages


def folder_names(runs: Sequence[Results]) -> list[str]:
    """One folder per run, named by its protocol, data set and scale; a number where these are the same."""
    labels: list[str] = []
    for results in runs:
        label = "-".join(part for part in (results.protocol, results.dataset, results.scale) if part)
        times = sum(earlier == label or earlier.startswith(f"{label} #") for earlier in labels)
        labels.append(f"{label} #{times + 1}" if times else label)
    folders = slugs(labels)
    return [folders[label] for label in labels]


def settings_of(runs: Sequence[Results]) -> list[str]:
    """What each run is called beside its protocol: data set, scale, and what tells it from the others."""
    settings = [_setting(results) for results in runs]

    def varies(name: str, protocol: str) -> bool:
        values = {
            setting[name] for setting, run in zip(settings, runs, strict=True) if run.protocol == protocol
        }
        return len(values) > 1

    return [
        ", ".join(
            text
            for name, text in setting.items()
            if text and (name in ("dataset", "scale") or varies(name, run.protocol))
        )
        for setting, run in zip(settings, runs, strict=True)
    ]


def _setting(results: Results) -> dict[str, str]:
    facts = results.provenance
    shots = facts.get("shots", "third")
    return {
        "dataset": results.dataset,
        "scale": results.scale,
        "shots": "" if shots == "third" else f"{shots}-shot",
        "split": str(facts.get("split", "")) if shots == "third" else "",
        "resolution": f"{facts.get('resolution', '?')} px",
        "count": f"{facts.get('generated per type', '?')} a type",
        "checkpoint": f"checkpoint {facts.get('checkpoint', '?')}",
        "features": f"{facts.get('features', '?')} features",
        "data": f"data {str(facts.get('data fingerprint', '?'))[:8]}",
    }


def _card(run: RunBoard, folder: str, setting: str) -> dict[str, Any]:
    """What the index says of a run."""
    board, results = run.board, run.results
    return {
        "folder": folder,
        "protocol": results.protocol,
        "title": results.title,
        "setting": setting,
        "banner": results.banner,
        "categories": len(board.categories),
        "generators": len({generator_of(row) for row in board.rows} - {""}),
        "detectors": len(detectors(board)),
        "seeds": len(board.seeds),
        "measured": run.measured,
        "without": len(run.records) - run.measured,
        "findings": run.findings,
        "pages": links(run),
    }


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False
    ) as part:
        part.write(text)
    temporary = Path(part.name)
    # A temporary file is private to its writer; a page is meant to be served.
    temporary.chmod(0o644)
    temporary.replace(path)


def _sweep(out: Path, current: set[str]) -> None:
    """Remove pages of earlier sites. What was not written here stays."""
    for path in sorted(out.glob("*/*.html")):
        if path.relative_to(out).as_posix() not in current and is_ours(path):
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
