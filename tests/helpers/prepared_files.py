"""Files that tests of preparation write, and the account that preparation leaves."""

import json


def write_json_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def reasons(folder):
    lines = (folder / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["line"], row["reason"]) for row in map(json.loads, lines)]
