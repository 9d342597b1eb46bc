"""Two hundred hostile texts, which a page must show and never execute, and a run folder made of them."""

import json
from collections.abc import Sequence
from pathlib import Path

from report_runs import metric_rows, prediction, sampled, write_evaluation, write_run

SCRIPT = "window.__obeyed=true"
_MARKUP = [
    f"<script>{SCRIPT}</script>",
    f"</script><script>{SCRIPT}</script>",
    f"<!--<script>{SCRIPT}",
    f"--><script>{SCRIPT}</script><!--",
    f"</textarea></title></style></noscript><script>{SCRIPT}</script>",
    f"<img src=x onerror={SCRIPT}>",
    f'"><img src=x onerror="{SCRIPT}">',
    f"'><svg/onload={SCRIPT}>",
    f"<svg><animate onbegin={SCRIPT} attributeName=x dur=1s>",
    f"<body onload={SCRIPT}>",
    f"<details open ontoggle={SCRIPT}>",
    f"<video><source onerror={SCRIPT}></video>",
    f"<audio src=x onerror={SCRIPT}>",
    f"<iframe srcdoc='<script>parent.{SCRIPT}</script>'></iframe>",
    f"<iframe src=javascript:{SCRIPT}></iframe>",
    f"<a href=javascript:{SCRIPT}>choose</a>",
    f"<form action=javascript:{SCRIPT}><button autofocus onfocus={SCRIPT}>b</button></form>",
    f"<input autofocus onfocus={SCRIPT}>",
    f"<math><mtext></form><form><mglyph><style></math><img src onerror={SCRIPT}>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<style>*{display:none!important}</style>",
    "<plaintext>",
    "<xmp>",
    "<template><b>x",
    "</div></article></main></body></html>",
    "<div style='position:fixed;inset:0;background:red'>",
    "<table><tr><td>",
    "<!doctype html>",
]
_TEMPLATES = [
    *("{{ 7 * 7 }}", "{% for x in range(10**9) %}x{% endfor %}", "{{ config.__class__ }}", "${alert(1)}", "`${1}`"),
    *(
        "%s%s%s%n",
        "{0}{1}",
        "#{7*7}",
        "<%= 7 * 7 %>",
        "\\u003cscript\\u003e",
        "&lt;script&gt;",
        "&#60;b&#62;",
        "&amp;amp;",
    ),
    *(
        "[click](javascript:alert(1))",
        "![x](https://evil.example/x.png)",
        "# heading",
        "**bold** _it_ ~~no~~",
        "```\ncode",
    ),
    *("| a | b |\n|---|---|", "- list\n- list", "<https://evil.example>", "https://evil.example/x", "$\\frac{1}{0}$"),
    *(
        "javascript:alert(1)",
        "data:text/html,<script>1</script>",
        "]]>",
        "<![CDATA[x]]>",
        "<?php echo 1 ?>",
        "__proto__",
    ),
    *("constructor", "toString", "hasOwnProperty", "null", "undefined", "NaN", "-Infinity", "true", "[object Object]"),
    *(
        '{"a": 1}',
        "'; DROP TABLE runs; --",
        '" or "1"="1',
        "\\",
        '\\"',
        "\\n",
        "\\x00",
        "//",
        "/*",
        "*/",
        "<",
        ">",
        "&",
    ),
]
_CHARACTERS = [
    *(
        "\u202egnorw",
        "\u2066\u2067\u2068 never closed",
        "\u202a\u202b\u202d\u202e" * 50,
        "\u200f\u200e\u061c",
        "مرحبا بالعالم 123 abc",
    ),
    *(
        "שלום (right)",
        "a\u2028b\u2029c",
        "\ufeffbom",
        "\u200b\u200c\u200d",
        "\u00ad" * 100,
        "\U000e0041\U000e0042",
        "\ufff9a\ufffab\ufffb",
    ),
    *(
        "z" + "\u0300\u0301\u0302" * 200,
        "ก" + "้" * 300,
        "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 40,
        "\ud800",
        "\udfff half",
        "\ud83d x \ude00",
    ),
    *(
        "\x00\x01\x02",
        "\x07bell\x08",
        "\x1b[31mred\x1b[0m",
        "a\rb",
        "a\r\nb",
        "\tt\ta\tb",
        "\n" * 500,
        " " * 5000,
        "\x7f\x80\x9f",
        "\x85",
    ),
    *("ﷺ" * 60, "𒐫" * 40, "꧅" * 40, "\u3000" * 200, "ￏ" * 20, "İıſK", "Ａ（Ｂ）", "𝕊", "\U0010ffff", "\ue000"),
]
_NAMES = [
    *(
        "../../../../etc/passwd",
        "..\\..\\windows",
        "/etc/shadow",
        "file:///etc/passwd",
        "C:\\x",
        "con",
        "%2e%2e%2f",
        "a/../b",
        ".",
    ),
    *(
        "audio/../../x.wav",
        "//evil.example/x.wav",
        "https://evil.example/x.wav",
        "audio/x.wav?y#z",
        "audio/%00.wav",
        "~root/x.wav",
    ),
    *(
        "-rf",
        "|id",
        "$(id)",
        "`id`",
        ";id",
        "a b/c d.wav",
        "audio/\n.wav",
        "audio/" + "x" * 300 + ".wav",
        "data:audio/wav;base64,AAAA",
    ),
]
_LONG = [
    *(
        "x" * 1_000_000,
        "word " * 200_000,
        "<b>" * 300_000,
        "\u202e" * 500_000,
        "ab\n" * 300_000,
        "𝕊" * 250_000,
        "<script>" * 100_000,
    ),
    *("W" * 3000, "a-" * 1500, "漢" * 3000, "\u0300" * 100_000, "(" * 3000, "http://" + "a" * 2500),
]
_ESCAPES = [
    f"{before}{inside}{after}"
    for before, after in (("'", "'"), ('"', '"'), ("</", ">"), ("<!", "->"))
    for inside in (f"onclick={SCRIPT} ", "script", "style", "textarea", "title", "noscript", "svg", "body")
]  # fmt: skip


def hostile_texts() -> list[str]:
    texts = [*_MARKUP, *_TEMPLATES, *_CHARACTERS, *_NAMES, *_LONG, *_ESCAPES]
    return (texts + [f"{text[:200]}\n{text[:200]}" for text in texts])[:200]


def hostile_run(folder: Path, texts: Sequence[str]) -> Path:
    """Write a run in which every text is a question, choice, answer, completion, reason, id, clip, task, difficulty,
    judge reply and name of a reward part, and in which the settings are hostile texts too."""
    rows, rollouts = [], []
    for i, text in enumerate(texts):
        content = {"question": text, "choices": [text, "b"], "answer": text, "completion": text, "choice": text}
        places = {"id": f"{i} {text}", "clip": text, "task": text[:2000], "difficulty": text[:2000], "reason": text}
        rows.append(prediction("x", correct=i % 2 == 0, **{**content, **places}))
        judged = {"rewards": {"accuracy": 1.0, text[:2000]: None}, "judged": {"quality": text, text[:2000]: None}}
        rollouts.append(sampled("x", 0, correct=True, **{**content, **places, **judged}))
    metrics = [{**row, "reward/</script><b>": 1.0} for row in metric_rows(3)]
    hostile = {"name": texts[0], "prompt": {"style": texts[1]}, "reward": {texts[2]: 1.0}}
    run = write_run(folder, metrics=metrics, **hostile)
    escaped = "".join(json.dumps(row) + "\n" for row in rollouts)  # half surrogates cannot be written otherwise
    (run / "rollouts").mkdir()
    (run / "rollouts" / "step_000001.jsonl").write_text(escaped, encoding="utf-8")
    write_evaluation(run, "test", [prediction("1", correct=True)], model=texts[3], file=texts[4])
    (run / "eval" / "test" / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    summary = json.loads((run / "eval" / "test" / "summary.json").read_text())
    whole = summary["accuracy"]["all"]
    summary["accuracy"] = {"all": whole, **{text[:2000]: whole for text in texts}}
    (run / "eval" / "test" / "summary.json").write_text(json.dumps(summary))
    return run
