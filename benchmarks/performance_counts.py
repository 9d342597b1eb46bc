"""The section of docs/performance.md on counts: results/counts.json as tables."""

from collections.abc import Mapping

from performance_parts import Cases, measured_on, table

COUNTED = {
    "launches": "launches",
    "host_reads": "host reads",
    "cast_bytes": "casts",
    "attention_calls": "attention calls",
    "tower_attention_calls": "of the tower",
    "mask_bytes": "masks",
}
"""Figure of counting.py -> head of its column."""
SIDE_NAMES = {"harken": "harken", "before": "harken at commit 1845dae"}


def counts(cases: Cases) -> dict[str, str]:
    tables = []
    for case, values in cases.items():
        rows = []
        for side, figures in values["sides"].items():
            version, _, form = side.partition(", ")
            name = SIDE_NAMES.get(version, version) + (f", {form}" if form else "")
            rows += [[name, what, *counted(figures[what])] for what in ("step", "token")]
        tables.append(f"{case}:\n\n{table(['side', 'of', *COUNTED.values()], rows)}")
    missing = [name for name in ("TRL", "ms-swift") if not any(name in case for case in cases)]
    return {
        "missing": f" The steps of {' and '.join(missing)} have not been counted yet." if missing else "",
        "tables": "\n\n".join(tables),
        "measured_on": measured_on(cases),
    }


def counted(figures: Mapping[str, float]) -> list[str]:
    """The figures of a step or a token, in the order of COUNTED."""
    cells = []
    for name in COUNTED:
        value = figures[name]
        if name.endswith("_bytes"):
            cells.append(f"{value / 2**20:,.2f} MiB" if value else "0")
        else:
            cells.append(f"{value:,.0f}" if value == round(value) else f"{value:,.2f}")
    return cells
