"""Several processes share an evaluation and end with the files of one, byte for byte."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from scale_runs import on_ranks
from small_evaluations import recipe, results_of, rows_of, talker, write_set
from tiny_models import tiny_model

import harken.inference.predict as prediction
from harken.benchmarks.registry import find_reader
from harken.data.load import load_sources
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.sampling import Sampling
from harken.questions.choice_orders import Trial
from harken.questions.prompt import Prompt
from harken.system.ranks import Ranks


@pytest.mark.parametrize("window", [1, 8])
def test_the_ranks_together_decode_the_batches_of_one_process_each_once(window, tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "WINDOW", window)
    monkeypatch.setattr(prediction, "_predict_batch", lambda model, batch, *_: [(trial, []) for trial, _ in batch])
    plan = recipe(write_set(tmp_path))
    questions = load_sources([plan.data], find_reader, need_answer=True).questions
    done = {"q3", "q4", "q5", "q9"}  # with batches of three in windows of one, a whole batch and a part of another

    def batches(ranks: Ranks) -> list[list[str]]:
        inputs = PromptInputs(talker(), Prompt.from_config(plan.prompt), 0)
        yielded = prediction.predict(
            talker(),
            [Trial(question) for question in questions],
            inputs,
            Sampling(0, 4),
            batch_size=3,
            done=lambda trial: trial.question.id in done,
            ranks=ranks,
        )
        return [[trial.question.id for trial, _ in batch] for batch in yielded]

    whole = batches(Ranks())
    assert {ident for batch in whole for ident in batch} >= {f"q{n}" for n in range(14)} - done
    for size in (2, 3, 4, 7):
        parts = [batches(Ranks(rank, size)) for rank in range(size)]
        assert sorted(batch for part in parts for batch in part) == sorted(whole)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


KINDS = {
    "plain": {},
    "samples": {"changes": {"samples": 2, "temperature": 1.0, "batch_size": 4}},
    "listening": {"listening": True},
}
WRONG = {
    "baseline": ({"model": "random-guess"}, "2 processes share the questions of a checkpoint only"),
    "device": ({"device": "cuda:1"}, "device: cuda:1 would put all 2 processes on one device"),
    "data": ({"data__file": "nothing.json"}, "nothing.json"),
    "clips": ({"data__audio": "shuffled", "limit": 1}, "shuffled needs two clips or more"),
}
LOST_AFTER = {"plain": 1, "listening": 7}
"""Kind of evaluation -> batches that rank 1 answers before it is lost."""


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> tuple[Path, dict[str, dict]]:
    """(folder, name of a job -> how it ended); a job's evaluation is in the subfolder of its name."""
    folder = tmp_path_factory.mktemp("ranks")
    file, model = write_set(folder), folder / "model"
    tiny_model(dtype=torch.float32).save(model)  # weights large enough that answers differ
    jobs: dict[str, dict] = {}

    def add(name: str, size: int, out: str = "", **keys) -> None:
        keys["changes"] = {"model": str(model), **keys.get("changes", {})}
        call = {"call": "evaluate_on_ranks", "file": str(file), "out": str(folder / (out or name))}
        jobs[name] = {**call, "size": size, **keys}

    for kind, keys in KINDS.items():
        for size in (1, 2, 3):
            add(f"{kind} {size}", size, **keys)
    for kind, batches in LOST_AFTER.items():
        for then in (1, 2, 3):
            lost = f"{kind} lost, {then}"
            add(lost, 2, die=[1, batches], late_s=60.0, **KINDS[kind])
            add(f"{kind} resumed, {then}", then, out=lost, **KINDS[kind])
    for name, (changes, _) in WRONG.items():
        add(name, 2, changes=changes)
    return folder, dict(zip(jobs, on_ranks(folder, *jobs.values()), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_ranks_write_the_files_of_one_process(kind, size, ended):
    folder, jobs = ended
    job = jobs[f"{kind} {size}"]
    assert job["exits"] == ["done"] * size, job["errors"]
    alone = results_of(folder / f"{kind} 1")
    assert len(set(alone[PREDICTIONS[kind]].split(b'"completion": ')[1:])) > 5
    assert results_of(folder / f"{kind} {size}") == alone
    first, *others = job["results"]
    assert first["summary"]
    assert [rank["summary"] for rank in others] == [{}] * (size - 1)
    n_trials = 70 if kind == "listening" else 14
    asked = [rank["asked"] for rank in job["results"]]
    assert sum(map(len, asked)) == n_trials  # each trial on one rank
    assert all(asked)
    assert first["progress"][-1][1] == n_trials


PREDICTIONS = {"plain": "predictions.jsonl", "samples": "trials.jsonl", "listening": "real/predictions.jsonl"}


@pytest.mark.slow
@pytest.mark.parametrize("then", [1, 2, 3])
@pytest.mark.parametrize("kind", LOST_AFTER)
def test_what_a_lost_rank_leaves_goes_on_with_any_number_of_ranks(kind, then, ended):
    folder, jobs = ended
    out = folder / f"{kind} lost, {then}"
    lost, resumed = jobs[out.name], jobs[f"{kind} resumed, {then}"]
    assert lost["exits"] == ["error", "killed"]
    error = lost["errors"][0]
    assert error.startswith("RankError: rank 0 of 2: another rank was lost or is late (")
    assert f"The answers so far are kept in {out}; run the same command again, on any number of ranks" in error
    assert resumed["exits"] == ["done"] * then, resumed["errors"]
    assert results_of(out) == results_of(folder / f"{kind} 1")
    n_trials = 70 if kind == "listening" else 14
    n_again = sum(len(rank["asked"]) for rank in resumed["results"])
    assert n_again <= n_trials - 2 * 3 * LOST_AFTER[kind]  # what either rank had answered is not asked again


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_what_ranks_cannot_share_and_what_is_wrong_is_said_once(name, ended):
    job = ended[1][name]
    assert job["exits"] == ["error"] * 2
    assert WRONG[name][1] in job["errors"][0]
    assert job["errors"][1].startswith("ReportedByOtherRankError: rank 0: ")


def started(model: Path, data: Path, out: Path, size: int, *more: str) -> subprocess.Popen:
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(size), "--standalone"] if size > 1 else []
    words = ["evaluate", "--model", model, "--data", data, "--out", out, "--max-completion-tokens", "8", *more]
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "harken", *map(str, words), "--batch-size", "8"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_torchrun_shares_an_evaluation_and_a_killed_rank_ends_the_others_and_keeps_what_was_answered(shared, tmp_path):
    model, data = tmp_path / "model", shared / "realaqa" / "test.json"
    tiny_model(dtype=torch.float32).save(model)
    start = functools.partial(started, model, data)
    alone = start(tmp_path / "whole", 1, "--limit", "256")
    assert ended_with(alone)[0] == 0
    expected = results_of(tmp_path / "whole")
    out = tmp_path / "out"
    process = start(out, 2, "--limit", "256")
    os.kill(ranks_that_answer(process, out)[1], signal.SIGKILL)
    code, _, errors = ended_with(process)
    assert code != 0
    assert "Signal 9 (SIGKILL)" in errors
    assert f"The answers so far are kept in {out}; run the same command again" in " ".join(errors.split())
    kept = sum(len(rows_of(file)) for file in out.glob("journal*.jsonl"))
    assert kept >= 16
    code, output, errors = ended_with(start(out, 3, "--limit", "256"))
    assert code == 0, errors
    assert output.count("predictions: ") == 1
    assert results_of(out) == expected


def ended_with(process: subprocess.Popen) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def ranks_that_answer(launcher: subprocess.Popen, out: Path) -> list[int]:
    """The process ids of the two ranks, once each has answered something."""
    while launcher.poll() is None:
        files = [out / "journal.jsonl", out / "journal_rank_0001.jsonl"]
        if all(file.exists() and file.stat().st_size > 0 for file in files):
            children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
            return sorted((int(child) for child in children), key=rank_of)
        time.sleep(0.01)
    raise AssertionError(launcher.communicate())


def rank_of(process: int) -> int:
    environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    return next(int(entry[5:]) for entry in environment if entry.startswith(b"RANK="))
