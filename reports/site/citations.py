"""Citations of disagreements (D31) in the texts of a page: links to their entries, or their titles."""

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from bench.published.disagreements import Disagreement, with_citations

PAGE = "disagreements.html"
"""Where the entries are, beside the site's index.html."""


@pass_context
def linked(context: Context, text: str) -> Markup:
    """The text, with each disagreement that it cites as a link to its entry."""

    def link(entry: Disagreement) -> str:
        address = f"{context['root']}{PAGE}#{entry.anchor}"
        return Markup('<a href="{}" title="{}">{}</a>').format(address, entry.title, entry.name)

    return Markup(with_citations(str(escape(text)), link))


def spelled_out(text: str) -> str:
    """The text for a tooltip, which holds no link: each cited disagreement with its title."""
    return with_citations(text, lambda entry: f"{entry.name}: {entry.title}")


def with_code(text: str) -> Markup:
    """The text, with what stands between backticks as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup().join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )
