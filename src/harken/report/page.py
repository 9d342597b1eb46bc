"""Values -> one HTML page: nothing is loaded from elsewhere, and nothing that a model or a data file says is executed.

Takes run facts, accuracy tables, curves and questions, gives text. Text reaches the page in two ways only: through a
template that escapes, and as JSON that the script puts into text nodes. The policy in the page's head allows the one
script and the one style sheet by their hash. Not taken: a charting library (a megabyte for lines and axes), and a
template in which some fields need no escaping.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from harken.report.accuracy import SetTable
from harken.report.paper import PaperTable
from harken.results.comparison_tables import SEEDS_HEADER, seed_rows
from harken.results.formatting import percent, points
from harken.results.seeds import SeedComparison

SCRIPTS = ("dom.js", "charts.js", "player.js", "listen.js", "page.js")


_COLUMNS = (
    ("before", "before", percent),
    ("after", "after", percent),
    ("gain", "gain", points),
    ("before_unheard", "before, no audio", percent),
    ("after_unheard", "after, no audio", percent),
    ("audio_gain", "audio gain", points),
)


def render_page(title: str, summary: Markup, data: Mapping[str, Any], clips: Sequence[Mapping[str, Any]] = ()) -> str:
    """The whole page.

    Args:
        summary: from `render_summary`.
        data: what the script draws: live, runs, panels, sections, questions, note.
        clips: sound, mel, outline and seconds of each embedded clip; a question's `sound` is an index into them.
    """
    page = (
        _templates()
        .get_template("page.html")
        .render(
            title=encodable(title),
            policy=policy(live=bool(data["live"])),
            style=Markup(_asset("style.css")),
            script=Markup(_script()),
            summary=summary,
            data=in_script(data),
            clips=[in_script(clip) for clip in clips],
        )
    )
    return encodable(page)


def render_summary(
    facts: Sequence[Mapping[str, Any]],
    tables: Sequence[SetTable],
    seeds: Sequence[tuple[str, Sequence[SeedComparison]]],
    papers: Sequence[PaperTable],
) -> Markup:
    """What was run, how accurate it is, and how that stands beside the papers."""
    return Markup(
        _templates()
        .get_template("summary.html")
        .render(
            facts=facts,
            tables=tables,
            papers=papers,
            seeds=[(name, seed_rows(rows)) for name, rows in seeds],
            seeds_header=SEEDS_HEADER,
            columns=_COLUMNS,
            measured={key for table in tables for key, *_ in table.shown(_COLUMNS)},
        )
    )


def policy(*, live: bool) -> str:
    """Content-Security-Policy: this script and this style; sounds and pictures from the page or, live, its server."""
    source = "'self'" if live else "data:"
    rules = {
        "default-src": "'none'",
        "script-src": _hash(_script()),
        "style-src": _hash(_asset("style.css")),
        "img-src": "data:",
        "media-src": source,
        "connect-src": "'self'" if live else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def in_script(value: Any) -> Markup:
    """JSON that may stand inside a script element: no "<", and nothing outside ASCII, so that half of a surrogate pair
    and U+2028 need no rule of their own. Raises ValueError for NaN and infinities."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def encodable(text: str) -> str:
    """Text that can be written as UTF-8: half of a surrogate pair becomes "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode('utf-8')).digest()).decode('ascii')}'"


@cache
def _script() -> str:
    return "(() => {\n" + "\n".join(_asset(name) for name in SCRIPTS) + "\n})();\n"


@cache
def _asset(name: str) -> str:
    return (files("harken.report") / "assets" / name).read_text(encoding="utf-8")


@cache
def _templates() -> Environment:
    return Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
