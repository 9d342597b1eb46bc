"""Says the result of a run in one line, such as

    50.0 → 62.5 %, +12.5 [-35.1, +55.1] on 8 questions; without the clip 25.0 → 12.5 %; audio gain +50 [+1, +85]

The report begins with it, and the page over many runs shows it.
"""

from collections.abc import Sequence

from harken.report.accuracy import AccuracyTable, GroupAccuracy
from harken.report.curves import number
from harken.report.run import Run
from harken.results.formatting import percent, points
from harken.stats import Estimate


def result_lines(
    names: Sequence[str], runs: Sequence[Run], tables: Sequence[AccuracyTable]
) -> Sequence[tuple[str, str]]:
    """(what it is of, result) of each run on each set of questions; the former is "" where there is one line only."""
    lines = []
    for name, run in zip(names, runs, strict=True):
        own = [(table.name, result_line(table)) for table in tables if table.run == name]
        for of, line in own or [("", development_line(run))]:
            parts = [name] if len(runs) > 1 else []
            parts += [of] if of and len(own) > 1 else []
            lines.append((" · ".join(parts), line))
    return lines


def result_line(table: AccuracyTable) -> str:
    """The result on one set of questions: accuracy, paired gain, accuracy without the clip, and audio gain.

    Gains are in percentage points. What was not evaluated is left out.
    """
    return "; ".join(result_parts(table.lines[0]))


def result_parts(whole: GroupAccuracy) -> list[str]:
    """The parts of the line: accuracy and gain, the same without the clip, and the audio gain."""
    parts = [_accuracy(whole)]
    if whole.before_without_audio is not None or whole.after_without_audio is not None:
        parts.append(f"without the clip {_change(whole.before_without_audio, whole.after_without_audio)}")
    if whole.audio_gain is not None:
        parts.append(f"audio gain {_whole_points(whole.audio_gain)}")
    return parts


def development_line(run: Run) -> str:
    """The result of a run that has no evaluation: its first and last accuracy on the development questions."""
    measured = [(number(row.get("step")), number(row.get("dev/accuracy")), row) for row in run.metrics]
    known = [(step, value, row) for step, value, row in measured if step is not None and value is not None]
    if not known:
        return "not evaluated yet"
    (first, before, _), (last, after, row) = known[0], known[-1]
    n = number(row.get("dev/n"))
    on = f" of {n:,.0f} development questions" if n else " of the development questions"
    change = f"{100 * after:.1f} %" if first == last else f"{100 * before:.1f} → {100 * after:.1f} %"
    steps = f"step {last:,.0f}" if first == last else f"steps {first:,.0f} and {last:,.0f}"
    return f"{change}{on} at {steps}; not evaluated yet"


def _accuracy(whole: GroupAccuracy) -> str:
    on = f"on {whole.n:,} questions"
    if whole.gain is not None:
        return f"{_change(whole.before, whole.after)}, {points(whole.gain)} {on}"
    known = whole.after or whole.before
    if known is None:
        return f"no accuracy {on}: their answers are hidden, or no evaluation is with the clip"
    return f"{percent(known).replace(' ', ' % ', 1)} {on}" + ("" if whole.after else ", before training")


def _change(before: Estimate | None, after: Estimate | None) -> str:
    """`33.1 → 66.3 %`, or the one that is known."""
    return " → ".join(f"{100 * figure.mean:.1f}" for figure in (before, after) if figure is not None) + " %"


def _whole_points(gain: Estimate) -> str:
    return f"{100 * gain.mean:+.0f} [{100 * gain.low:+.0f}, {100 * gain.high:+.0f}]"
