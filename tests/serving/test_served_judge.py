"""A small real language model as a judge on vLLM: every reply can be read, replies are short, and it is found unfit."""

import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from command_line import harken
from small_judge import write_small_judge
from vllm_server import serving_vllm

from harken.config import JudgeConfig
from harken.judges import Verdict, open_judge
from harken.judges.check import check_cases
from harken.system.json_lines import read_json_lines
from harken.types import Question

pytestmark = pytest.mark.vllm

CALLS = {1: 8, 8: 32, 32: 64}
"""Concurrency -> calls. No prompt is sent twice: a server keeps what it computed for one."""
MOST_TOKENS = 6
"""A space, digit, point, digit, the end of the sequence, and one to spare."""


def calls() -> list[tuple[str, Question, str, str]]:
    """120 different calls: each of 30 reasonings with three answers as consistency, and by itself as quality."""
    made = []
    for case in check_cases():
        question = Question(case.question, case.question, case.choices, 0, None)
        for text in (case.supporting, case.contradicting, case.worthless):
            made += [("consistency", question, text, choice) for choice in case.choices]
            made.append(("quality", question, text, ""))
    return made


def verdicts_of(config: JudgeConfig, folder: Path, sent: Sequence[tuple]) -> tuple[list[Verdict], float]:
    """The verdicts, and the seconds that all calls took together."""
    judge = open_judge(config, folder)
    try:
        started = time.perf_counter()
        pending = [judge.submit(*call) for call in sent]
        verdicts = [each.result() for each in pending]
        return verdicts, time.perf_counter() - started
    finally:
        judge.close()


def report(name: str, verdicts: list[Verdict], seconds: float, folder: Path) -> int:
    """Print the rates. Returns the tokens of the longest reply."""
    tokens = [row["tokens"][1] for row in read_json_lines(folder / "replies.jsonl")]
    read = sum(verdict.score is not None for verdict in verdicts)
    rates = f"{statistics.mean(tokens):.2f} tokens a call, {len(verdicts) / seconds:.2f} calls/s"
    print(f"{name}: {read} of {len(verdicts)} replies read, {rates}")
    assert len(tokens) == len(verdicts)
    return max(tokens)


def test_every_reply_of_a_small_model_is_read_and_the_check_calls_it_unfit(workshop, tmp_path):
    model = write_small_judge(workshop.folder / "judge")
    remaining = iter(calls())
    with serving_vllm(model, tmp_path / "server.log") as server:
        base = {"base_url": server.url, "model": "model", "timeout_s": 600}

        def ask(name: str, n: int, **changes) -> list[Verdict]:
            config = JudgeConfig.model_validate({"endpoint": {**base, **changes}})
            verdicts, seconds = verdicts_of(config, tmp_path / name, list(itertools.islice(remaining, n)))
            longest = report(name, verdicts, seconds, tmp_path / name)
            assert longest <= MOST_TOKENS or "extra_body" in changes
            return verdicts

        for concurrency, n in CALLS.items():
            verdicts = ask(f"completion, concurrency {concurrency}", n, api="completion", concurrency=concurrency)
            assert [verdict.reason for verdict in verdicts] == [""] * n
        assert [verdict.reason for verdict in ask("chat", 8, api="chat")] == [""] * 8
        ask("chat without a list of replies", 8, api="chat", extra_body={"structured_outputs": None})
        checked = harken("judge", "check", "--endpoint", server.url, "--model", "model", "--api", "completion")
        print(checked.out)
        assert checked.code == 1
        assert "unfit" in checked.out
        assert "failed:" not in checked.out
