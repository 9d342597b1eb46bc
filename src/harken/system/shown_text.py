"""Texts of models and data files as pages and trackers show them: of bounded length, control characters visible."""

import json
from typing import Any


def cut(value: Any, longest: int) -> str:
    """A text as the page shows it: of a long one the beginning and the end, and how much is left out between.

    Control characters become their pictures, so that they are visible.
    """
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > longest:
        tail = longest // 4
        text = f"{text[: longest - tail]} [… {len(text) - longest:,} characters left out …] {text[-tail:]}"
    return text.translate(_CONTROLS)


_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {127: 0x2421}
