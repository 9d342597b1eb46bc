"""Chooses the questions that fit on a page, where a run has more of them than a file should hold."""

import hashlib
import itertools
import json
from collections.abc import Iterable

from harken.report.questions import Item, ready_item


def spread_kinds(items: Iterable[Item]) -> list[Item]:
    """Order the items so that every beginning of the list holds all kinds: one of each kind, then one more of each.

    A kind is a set, an outcome, a task and a difficulty. The order depends on the questions' ids alone.
    """
    kinds: dict[tuple, list[Item]] = {}
    for item in sorted(items, key=lambda item: hashlib.sha256(item["id"].encode("utf-8", "replace")).digest()):
        kinds.setdefault((item["set"], tuple(item["marks"]), item["task"], item["difficulty"]), []).append(item)
    return [item for turn in itertools.zip_longest(*kinds.values()) for item in turn if item is not None]


def take_within(items: Iterable[Item], budget_bytes: int) -> list[Item]:
    """The first items whose JSON fits into the budget, ready for the page."""
    kept, used = [], 0
    for item in items:
        ready = ready_item(item)
        used += len(json.dumps(ready))
        if used > budget_bytes:
            break
        kept.append(ready)
    return kept
