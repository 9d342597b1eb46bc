"""Runs -> one self-contained HTML file.

Takes run folders, writes the file. Its size is bounded: texts and clips are sampled up to a budget, and the page says
how many of how many it holds. Not taken: a folder of files beside the page (it would be sent without them).
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harken.data.audio import SAMPLE_RATE_HZ
from harken.errors import AudioError
from harken.report.accuracy import QuestionSet, question_sets, seed_lines, set_table
from harken.report.clips import ClipFinder, as_mp3, data_uri, load_clip, picture
from harken.report.curves import SECTIONS, panels
from harken.report.facts import in_common, run_facts, run_names
from harken.report.page import render_page, render_summary
from harken.report.paper import paper_tables
from harken.report.questions import TRAINING, Item, evaluation_items, set_names, spread, training_items, within
from harken.report.run import Run, read_run
from harken.system.files import write_text

TEXT_BUDGET, SOUND_BUDGET = 9_000_000, 6_000_000
"""Bytes of questions and completions, and of clips, that one file holds at most."""
AT_ONCE = 16
"""Clips made before the budget is looked at again."""
LONGEST_CLIP_S = 60
"""What of a longer clip is embedded."""


def write_report(paths: Sequence[Path], out: Path, audio_roots: Sequence[Path] = ()) -> None:
    """Read the runs and write the page.

    Args:
        audio_roots: folders of the clips, where they are no longer where recipes and evaluations say.

    Raises DataError where a folder is no run or holds a file that cannot be read.
    """
    runs = [read_run(path) for path in dict.fromkeys(path.resolve() for path in paths)]
    write_text(out, report(runs, audio_roots))


def report(runs: Sequence[Run], audio_roots: Sequence[Path] = ()) -> str:
    """The page of one or more runs."""
    names = run_names([run.path for run in runs])
    sets = [question_sets(run) for run in runs]
    listed = [*evaluation_items(sets), *training_items(runs)]
    kept = within(spread(listed), TEXT_BUDGET)
    clips = embed(kept, {} if audio_roots else finders(runs, sets), ClipFinder(audio_roots))
    kept.sort(key=lambda item: item["set"] == TRAINING)
    data = {
        **{"live": False, "every_ms": 0, "runs": [{"name": name} for name in names]},
        **{"panels": panels([run.metrics for run in runs]), "sections": SECTIONS},
        **{"questions": kept, "note": note(listed, kept, len(clips))},
    }
    return render_page(" · ".join(names), summary(names, runs, sets), data, clips)


def summary(names: Sequence[str], runs: Sequence[Run], sets: Sequence[Sequence[QuestionSet]]):
    """The page's part that needs no script."""
    of_ids = set_names(one for of_run in sets for one in of_run)
    same = {ids: [one for of_run in sets for one in of_run if one.ids == ids] for ids in of_ids}
    return render_summary(
        in_common([run_facts(name, run) for name, run in zip(names, runs, strict=True)]),
        [set_table(name, one) for name, of_run in zip(names, sets, strict=True) for one in of_run],
        [(of_ids[ids], rows) for ids, members in same.items() if (rows := seed_lines(members))],
        paper_tables(names, runs, sets),
    )


def finders(runs: Sequence[Run], sets: Sequence[Sequence[QuestionSet]]) -> dict[str, ClipFinder]:
    """Set name -> where its clips lie, by what recipes and evaluations say."""
    names = set_names(one for of_run in sets for one in of_run)
    roots: dict[str, list[Path]] = {TRAINING: [root for run in runs for root in run.audio_roots]}
    for of_run in sets:
        for questions in of_run:
            given = [one.audio_root for one in questions.evaluations.values() if one.audio_root is not None]
            roots.setdefault(names[questions.ids], []).extend(given)
    return {name: ClipFinder(list(dict.fromkeys(given))) for name, given in roots.items()}


def embed(items: Sequence[Item], by_set: Mapping[str, ClipFinder], default: ClipFinder) -> list[dict[str, Any]]:
    """The clips of the items, in order, until the budget is spent; gives each item its `sound`, an index into them, or
    None and the reason in `silent`."""
    wanted = dict.fromkeys((item["set"], item["clip"]) for item in items if item["clip"])
    clips: list[dict[str, Any]] = []
    place: dict[tuple[str, str], int] = {}
    fault: dict[tuple[str, str], str] = {}
    for key, made in _made(list(wanted), by_set, default):
        if isinstance(made, str):
            fault[key] = made
        else:
            place[key] = len(clips)
            clips.append(made)
    for item in items:
        key = item["set"], item["clip"]
        item["sound"] = place.get(key)
        if item["clip"] and key not in place:
            item["silent"] = fault.get(key, "This clip is not among those embedded: the file would be too large.")
    return clips


def _made(wanted, by_set, default) -> Iterator[tuple[tuple[str, str], dict[str, Any] | str]]:
    """Each clip, or why there is none, until the budget is spent."""
    used = 0
    with ThreadPoolExecutor(max_workers=4) as pool:
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            results = pool.map(lambda key: _clip(by_set.get(key[0], default), key[1]), part)
            for key, made in zip(part, results, strict=True):
                used += 0 if isinstance(made, str) else len(made["sound"]) + len(made["mel"])
                if used > SOUND_BUDGET:
                    return
                yield key, made


def _clip(finder: ClipFinder, name: str) -> dict[str, Any] | str:
    try:
        samples = load_clip(finder, name)
    except AudioError as error:
        return str(error)
    longest = LONGEST_CLIP_S * SAMPLE_RATE_HZ
    note = f"the first {LONGEST_CLIP_S} s of {samples.size / SAMPLE_RATE_HZ:.0f} s" if samples.size > longest else ""
    samples = samples[:longest]
    seen = picture(samples)
    sound, mel = data_uri("audio/mpeg", as_mp3(samples)), data_uri("image/png", seen.mel)
    return {"sound": sound, "mel": mel, "outline": seen.outline, "seconds": seen.duration_s, "note": note}


def note(listed: Sequence[Item], kept: Sequence[Item], n_clips: int) -> str:
    """How much of the runs the page holds."""
    asked = len({(item["set"], item["clip"]) for item in listed if item["clip"]})
    if len(kept) == len(listed) and n_clips == asked:
        return f"All {len(listed):,} questions and all {n_clips:,} clips are in this file."
    if len(kept) == len(listed):
        return f"All {len(listed):,} questions are in this file, and {n_clips:,} of {asked:,} clips."
    return (
        f"In this file: {len(kept):,} of {len(listed):,} questions, spread evenly over outcomes, tasks and "
        f"difficulties, and {n_clips:,} of {asked:,} clips. Tables and curves are of everything."
    )
