"""Renders values as one HTML page that loads nothing from elsewhere and executes no text of a model or a data file.

Such a text reaches the page in two ways only: through a template that escapes it, and as JSON that the script puts into
text nodes. The page's security policy allows its one script and its one style sheet, by their hash.
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

from harken.report.accuracy import AccuracyTable
from harken.report.comparison import RunComparison
from harken.report.paper import PaperTable
from harken.results.comparison_tables import SEEDS_HEADER, seed_rows
from harken.results.formatting import percent, points
from harken.results.seeds import SeedComparison

SCRIPTS = (
    *("uplot/uPlot.iife.min.js", "dom.js", "charts.js", "curves.js"),
    *("player.js", "question.js", "questions.js", "follow.js", "page.js"),
)
RUNS_SCRIPTS = ("dom.js", "follow.js", "runs.js")
STYLES = ("uplot/uPlot.min.css", "style.css")


def render_page(
    title: str, summary: Markup, data: Mapping[str, Any], clips: Sequence[Mapping[str, Any]] = (), *, up: str = ""
) -> str:
    """The whole page.

    Args:
        summary: from `render_summary`.
        data: what the script draws: live, runs, panels, sections, questions, note.
        clips: sound, mel, outline and seconds of each embedded clip; a question's `sound` is an index into them.
        up: address of the page over many runs, "" where there is none.
    """
    page = (
        _templates()
        .get_template("page.html")
        .render(
            title=encodable(title),
            policy=security_policy(live=bool(data["live"])),
            style=Markup(page_style()),
            script=Markup(page_script()),
            summary=summary,
            data=script_json(data),
            clips=[script_json(clip) for clip in clips],
            up=up,
        )
    )
    return encodable(page)


def render_runs_page(title: str, data: Mapping[str, Any]) -> str:
    """The page over many runs; `data` says how often it asks its server for the table."""
    page = (
        _templates()
        .get_template("runs.html")
        .render(
            title=encodable(title),
            policy=security_policy(live=True),
            style=Markup(page_style()),
            script=Markup(runs_script()),
            data=script_json(data),
        )
    )
    return encodable(page)


def render_summary(
    results: Sequence[tuple[str, str]],
    facts: Sequence[Mapping[str, Any]],
    tables: Sequence[AccuracyTable],
    seeds: Sequence[tuple[str, Sequence[SeedComparison]]],
    papers: Sequence[PaperTable],
    comparison: RunComparison | None = None,
) -> Markup:
    """The part of the page that needs no script: the result, accuracy, the papers' figures beside it, what was run.

    Args:
        results: what each result is of, and the result in one line.
        seeds: for each set of questions that several runs share, its name and the comparison over those runs.
        comparison: of the page's runs with each other.
    """
    return Markup(
        _templates()
        .get_template("summary.html")
        .render(
            results=results,
            facts=facts,
            tables=tables,
            papers=papers,
            comparison=comparison,
            seeds=[(name, seed_rows(rows)) for name, rows in seeds],
            seeds_header=SEEDS_HEADER,
            percent=percent,
            points=points,
            measured={column.attribute for table in tables for column in table.columns},
        )
    )


def security_policy(*, live: bool) -> str:
    """The Content-Security-Policy. Sounds come from the page itself, or from its server where the page is live.

    A server has two pages, that of a run and that over many runs, and one policy for both.
    """
    source = "'self'" if live else "data:"
    scripts = [page_script(), runs_script()] if live else [page_script()]
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(map(_hash, scripts)),
        "style-src": _hash(page_style()),
        "img-src": "data:",
        "media-src": source,
        "connect-src": "'self'" if live else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def script_json(value: Any) -> Markup:
    """JSON that can stand inside a script element. Raises ValueError for NaN and infinities.

    The text is ASCII without "<", ">" and "&", so it cannot end the element, and U+2028 or half of a surrogate pair
    cannot break the script.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def encodable(text: str) -> str:
    """Text that can be written as UTF-8: half of a surrogate pair becomes "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode('utf-8')).digest()).decode('ascii')}'"


@cache
def page_script() -> str:
    """The one script of the page of a run."""
    return _joined(SCRIPTS)


@cache
def runs_script() -> str:
    """The one script of the page over many runs."""
    return _joined(RUNS_SCRIPTS)


def _joined(names: Sequence[str]) -> str:
    return "(() => {\n" + "\n".join(map(_asset, names)) + "\n})();\n"


@cache
def page_style() -> str:
    return "\n".join(map(_asset, STYLES))


@cache
def _asset(name: str) -> str:
    return (files("harken.report") / "assets" / name).read_text(encoding="utf-8")


@cache
def _templates() -> Environment:
    return Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
