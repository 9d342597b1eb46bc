"""What harken exports, vLLM serves with the answers that harken's own decoder gives, with clips and without.

Each form is asked 100 built-in questions greedily in float32. Forms that were once served wrong without an error are
built by hand, and the comparison sees them.
"""

import json
import shutil
from pathlib import Path

import pytest
from command_line import harken
from served_models import ServedForm, Workshop
from vllm_server import DidNotStartError, serving_vllm

from harken.config import EvaluationRecipe
from harken.evaluation.evaluate import evaluate
from harken.export.adapters import export_adapter
from harken.export.weights import export
from harken.system.json_lines import read_json_lines

pytestmark = pytest.mark.vllm

N = 100
FEWEST_EQUAL, FEWEST_DISTINCT = 98, 8
FEWEST_DIFFERENT = 30
"""So many of 100 answers of the base differ from those of the trained model, with clips and without."""
AUDIO = ("real", "none")
LORA = ("--enable-lora", "--lora-modules")


def answers(data: Path, out: Path, audio: str, **model) -> list[str]:
    """The completions to all questions, in the order of the file."""
    values = {"data": {"file": data / "test.json", "audio": audio}, "max_completion_tokens": 8, **model}
    summary = evaluate(EvaluationRecipe.model_validate(values), out)
    assert (summary["n"], summary["n_failed"]) == (N, 0)
    return [row["completion"] for row in read_json_lines(out / "predictions.jsonl")]


def served_answers(workshop: Workshop, url: str, out: Path, audio: str, model: str = "model") -> list[str]:
    endpoint = {"base_url": url, "model": model, "concurrency": 8, "timeout_s": 300}
    return answers(workshop.data, out, audio, endpoint=endpoint)


def equal(first: list[str], second: list[str]) -> int:
    return sum(a == b for a, b in zip(first, second, strict=True))


def local_answers(workshop: Workshop, form: ServedForm, folder: Path) -> dict[str, list[str]]:
    """By kind of audio. Answers that are all alike, or those of the base, would make any comparison meaningless."""
    trained: dict[str, list[str]] = {}
    for audio in AUDIO:
        trained[audio] = answers(workshop.data, folder / f"local-{audio}", audio, model=str(form.run))
        base = answers(workshop.data, folder / f"base-{audio}", audio, model=str(form.base))
        different = N - equal(trained[audio], base)
        print(
            f"{form.run.name} {audio}: {len(set(trained[audio]))} distinct answers, {different} differ from the base's"
        )
        assert different >= FEWEST_DIFFERENT
    assert len({answer for audio in AUDIO for answer in trained[audio]}) >= FEWEST_DISTINCT
    return trained


def agreement(trained: list[str], served: list[str], name: str) -> int:
    n = equal(trained, served)
    print(f"{name}: {n} of {N} equal")
    for number, (local, other) in enumerate(zip(trained, served, strict=True)):
        if local != other:
            print(f"  question {number}: {local!r} here, {other!r} served")
    return n


@pytest.mark.parametrize("name", ["omni_thinker", "omni_full", "lora_merged", "qwen2_audio", "audioflamingo3"])
def test_a_served_export_gives_the_answers_of_the_trained_model(workshop, name, tmp_path):
    form = workshop.form(name)
    trained = local_answers(workshop, form, tmp_path)
    with serving_vllm(form.folder, tmp_path / "server.log") as server:
        for audio in AUDIO:
            served = served_answers(workshop, server.url, tmp_path / f"served-{audio}", audio)
            assert agreement(trained[audio], served, f"{name} {audio}") >= FEWEST_EQUAL
        if name == "omni_thinker":
            agrees = harken("doctor", "--model", form.run, "--served", server.url)
            differs = harken("doctor", "--model", form.base, "--served", server.url)
            print(agrees.out, differs.out)
            assert (agrees.code, differs.code) == (0, 1)
            assert "of 20 answers are equal" in agrees.out


def test_an_adapter_for_vllm_is_applied_and_one_for_peft_is_silently_ignored(workshop, tmp_path):
    form = workshop.form("lora_adapter")
    assert form.adapter is not None
    export_adapter(form.run, tmp_path / "peft", "peft")
    trained = local_answers(workshop, form, tmp_path)
    adapters = (f"right={form.adapter}", f"wrong={tmp_path / 'peft'}")
    with serving_vllm(form.folder, tmp_path / "server.log", *LORA, *adapters) as server:
        served = {
            (model, audio): served_answers(workshop, server.url, tmp_path / f"{model}-{audio}", audio, model)
            for model in ("right", "wrong", "model")
            for audio in AUDIO
        }
    for audio in AUDIO:
        assert agreement(trained[audio], served["right", audio], f"adapter {audio}") >= FEWEST_EQUAL
        assert agreement(served["model", audio], served["wrong", audio], f"peft's names, base {audio}") == N
        assert equal(trained[audio], served["wrong", audio]) <= N - FEWEST_DIFFERENT


def test_a_thinker_alone_is_not_served_and_the_same_weights_in_the_full_layout_are(workshop, tmp_path):
    run = workshop.form("omni_thinker").run
    export(run, tmp_path / "thinker", layout="thinker")
    with pytest.raises(DidNotStartError), serving_vllm(tmp_path / "thinker", tmp_path / "server.log"):
        pass  # the full layout is served by the test above


def test_a_head_that_the_config_calls_shared_is_served_as_nonsense_and_the_export_does_not_call_it_so(
    workshop, tmp_path
):
    form = workshop.form("omni_full")
    config = json.loads((form.folder / "config.json").read_text())
    assert config["thinker_config"]["text_config"]["tie_word_embeddings"] is False
    bad = shutil.copytree(form.folder, tmp_path / "bad")
    config["thinker_config"]["text_config"]["tie_word_embeddings"] = True
    (bad / "config.json").write_text(json.dumps(config))
    trained = answers(workshop.data, tmp_path / "local", "real", model=str(form.run))
    with serving_vllm(bad, tmp_path / "server.log") as server:
        served = served_answers(workshop, server.url, tmp_path / "served", "real")
        checked = harken("doctor", "--model", form.run, "--served", server.url)
    assert agreement(trained, served, "a head called shared") <= N // 2
    assert checked.code == 1
