"""From templates to the text of a page: self-contained, with a policy that lets nothing else act."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from bench.plain_text import without_steering
from reports.board.costs import amount
from reports.board.glossary import metric_title
from reports.board.identity import mix_name
from reports.site.citations import linked, spelled_out, with_code

TEMPLATES = Path(__file__).parent / "templates"
SIGNATURE = '<meta name="generator" content="DefectBench">'
"""In the head of every page; a file that lacks it is somebody else's."""


class Renderer:
    """The templates, with the style and the script that every page carries.

    Both are inlined, so that a page that is saved or mailed alone still works; together they are a tenth of
    a page. The policy names their digests: whatever a name might smuggle in stays text.
    """

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            finalize=_plain,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            amount=amount,
            linked=linked,
            metric_title=metric_title,
            mix_name=mix_name,
            plain_row=_plain_row,
            spelled_out=spelled_out,
            with_code=with_code,
        )
        style, script = (
            (TEMPLATES / "site.css").read_text("utf-8"),
            (TEMPLATES / "site.js").read_text("utf-8"),
        )
        self._environment.globals.update(
            signature=Markup(SIGNATURE),
            style=Markup(style),
            script=Markup(script),
            style_hash=_csp_hash(style),
            script_hash=_csp_hash(script),
        )

    def page(self, template: str, **context: Any) -> str:
        return self._environment.get_template(template).render(**context)


def is_ours(path: Path) -> bool:
    """Whether DefectBench wrote this page."""
    with path.open(encoding="utf-8", errors="replace") as text:
        return SIGNATURE in text.read(2000)


def _plain(value: Any) -> Any:
    """What an expression of a template gives, without characters that steer the direction of a page."""
    if isinstance(value, Markup):
        return value if value.isprintable() else Markup(without_steering(str(value)))
    return without_steering(value) if isinstance(value, str) else value


@pass_context
def _plain_row(context: Context, mix: str) -> str:
    """What a page calls a row without a generator."""
    return context["plain_rows"].get(mix, mix_name(mix))


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
