"""Puts clips into a report: each as MP3 with its picture, until the file would become too large.

`build.py` gives the questions that the page lists; each question is told which of the embedded clips is its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harken.data.audio import SAMPLE_RATE_HZ
from harken.data.encoded_sound import as_mp3
from harken.errors import AudioError
from harken.report.clip_picture import draw_clip
from harken.report.clips import ClipFinder, data_uri, load_clip
from harken.report.question_sets import QuestionSet, set_names
from harken.report.questions import TRAINING, Item, clips_of
from harken.report.run import Run

SOUND_BUDGET = 6_000_000
"""Bytes of clips that one file holds at most."""
LONGEST_CLIP_S = 60
"""Only the beginning of a longer clip is embedded."""
_BATCH = 16
"""Clips that are encoded before the budget is checked again."""

ClipKey = tuple[str, str]
"""(name of a set of questions, name of a clip)."""


def clip_finders(runs: Sequence[Run], sets: Sequence[Sequence[QuestionSet]]) -> dict[str, ClipFinder]:
    """For each set of questions, by name, a finder in the folders that the recipes and evaluations name."""
    names = set_names(sets)
    roots: dict[str, list[Path]] = {TRAINING: [root for run in runs for root in run.audio_roots]}
    for run_sets in sets:
        for questions in run_sets:
            named = [evaluation.audio_root for evaluation in questions.evaluations.values()]
            roots.setdefault(names[questions.ids], []).extend(root for root in named if root is not None)
    return {name: ClipFinder(list(dict.fromkeys(folders))) for name, folders in roots.items()}


def embed_clips(items: Sequence[Item], finders: Mapping[str, ClipFinder], default: ClipFinder) -> list[dict[str, Any]]:
    """Encode the clips of the items, in order, until the budget is spent, and return them.

    Each item, and each of its further clips, gets `sound`, the index of its clip in the returned list, or None; then
    `silent` gives the reason.

    Args:
        finders: the finder for each set of questions.
        default: the finder for sets that have none.
    """
    named = [(item["set"], clip) for item in items for clip in clips_of(item)]
    keys = dict.fromkeys((name, clip["clip"]) for name, clip in named if clip["clip"])
    clips: list[dict[str, Any]] = []
    places: dict[ClipKey, int] = {}
    faults: dict[ClipKey, str] = {}
    for key, clip in _encode(list(keys), finders, default):
        if isinstance(clip, str):
            faults[key] = clip
        else:
            places[key] = len(clips)
            clips.append(clip)
    for name, clip in named:
        key = name, clip["clip"]
        clip["sound"] = places.get(key)
        if clip["clip"] and key not in places:
            clip["silent"] = faults.get(key, "This clip was left out because the file would become too large.")
    return clips


def _encode(
    keys: Sequence[ClipKey], finders: Mapping[str, ClipFinder], default: ClipFinder
) -> Iterator[tuple[ClipKey, dict[str, Any] | str]]:
    """Each clip, or the reason why it cannot be embedded, until the budget is spent."""
    used = 0
    with ThreadPoolExecutor(max_workers=4) as pool:
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            clips = pool.map(lambda key: _encode_clip(finders.get(key[0], default), key[1]), batch)
            for key, clip in zip(batch, clips, strict=True):
                used += 0 if isinstance(clip, str) else len(clip["sound"]) + len(clip["mel"])
                if used > SOUND_BUDGET:
                    return
                yield key, clip


def _encode_clip(finder: ClipFinder, name: str) -> dict[str, Any] | str:
    try:
        samples = load_clip(finder, name)
    except AudioError as error:
        return str(error)
    longest = LONGEST_CLIP_S * SAMPLE_RATE_HZ
    note = f"the first {LONGEST_CLIP_S} s of {samples.size / SAMPLE_RATE_HZ:.0f} s" if samples.size > longest else ""
    samples = samples[:longest]
    picture = draw_clip(samples)
    return {
        "sound": data_uri("audio/mpeg", as_mp3(samples)),
        "mel": data_uri("image/png", picture.mel),
        "outline": picture.outline,
        "seconds": picture.duration_s,
        "note": note,
    }
