"""A judge in this process: it gives the scores of the same model behind a server, in batches, once for each text."""

import json
import re
import shutil
import threading
from pathlib import Path

import pytest
import torch
from judge_attacks import ATTACKS
from safetensors.torch import load_file, save_file
from scripted_server import Received, Scripted, said, serving
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from harken.config import EndpointConfig, JudgeConfig, LocalJudgeConfig
from harken.errors import CheckpointError, ConfigError
from harken.judges import Verdict, open_judge
from harken.judges.prompts import JudgePrompts
from harken.models.tiny_tokenizer import build_tokenizer
from harken.types import Question

QUESTION = Question("q", "Which animal is heard?", ("a dog", "a cat"), 1, None)
REPLIES = ["0\n", "1\n", "0.3\n", "0.84\n", "1.0\n", "7\n", "seven\n", "\n\n"]
"""Tokens of the tiny judge, one for each kind of reply; it writes no others."""
TEXTS = [*("It purrs.", "No bark, so it is a cat.", "Ein Hund bellt.", "", "狗在叫"), *ATTACKS[:15]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A tiny random judge that is sensitive enough to reply differently to different texts."""
    folder = tmp_path_factory.mktemp("judge")
    prompts = JudgePrompts.from_config(JudgeConfig(local=LocalJudgeConfig(path="x")))
    tokenizer = build_tokenizer(prompts.wording.values(), vocabulary=512)
    tokenizer.add_tokens(REPLIES)
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = Qwen2ForCausalLM(
            Qwen2Config(
                **{**sizes, "num_key_value_heads": 2, "vocab_size": len(tokenizer), "initializer_range": 0.5},
                **{"max_position_embeddings": 4096, "tie_word_embeddings": False},
            )
        )
    others = torch.ones(len(tokenizer), dtype=torch.bool)
    others[tokenizer.convert_tokens_to_ids(REPLIES)] = False
    others[tokenizer.eos_token_id] = False
    with torch.no_grad():
        model.lm_head.weight[others] = 0.0  # a logit of 0; the best of the others is above
    model.generation_config = GenerationConfig(
        **{"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id},
        **{"repetition_penalty": 1.5, "do_sample": True, "temperature": 0.3},  # not for a judge
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def local(checkpoint: Path, **changes) -> JudgeConfig:
    return JudgeConfig(
        local=LocalJudgeConfig(**{"path": str(checkpoint), "dtype": "float32", "device": "cpu", **changes})
    )


def ask_all(judge, texts=TEXTS) -> list[Verdict]:
    futures = [judge.submit(aspect, QUESTION, text, "a cat") for text in texts for aspect in ("quality", "consistency")]
    return [future.result(timeout=60) for future in futures]


def transformers_server(checkpoint: Path):
    """Reply as a plain server does, for completions and chat: one prompt at a time, without padding and batches."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    lock = threading.Lock()

    def reply(request: Received) -> Scripted:
        body = request.body
        with lock, torch.inference_mode():
            if "messages" in body:
                text = tokenizer.apply_chat_template(body["messages"], tokenize=False, add_generation_prompt=True)
            else:
                text = body["prompt"]
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            assert body["temperature"] == 0.0
            for _ in range(body["max_tokens"]):
                token = model(input_ids=ids).logits[0, -1].argmax()
                ids = torch.cat([ids, token.view(1, 1)], dim=1)
                if token == tokenizer.eos_token_id:
                    break
            new = ids[0, len(tokenizer(text)["input_ids"]) :]
        return said(tokenizer.decode(new, skip_special_tokens=True))

    return reply


@pytest.mark.parametrize("style", ["completion", "chat"])
def test_in_process_and_over_http_the_same_text_has_the_same_score(checkpoint, style, tmp_path):
    judge = open_judge(local(checkpoint, style=style, batch_size=5), tmp_path / "local")
    here = ask_all(judge)
    judge.close()
    with serving(transformers_server(checkpoint)) as server:
        endpoint = EndpointConfig(base_url=server.url, model="tiny", api=style)
        judge = open_judge(JudgeConfig(endpoint=endpoint), tmp_path / "http")
        there = ask_all(judge)
        judge.close()
    assert here == there
    scores = [verdict.score for verdict in here]
    assert len(set(scores)) >= 4  # the comparison is not one of constants


def test_batches_change_no_verdict_and_a_stored_reply_needs_no_model(checkpoint, tmp_path, monkeypatch):
    verdicts = {}
    for size in (1, 16):
        judge = open_judge(local(checkpoint, batch_size=size), tmp_path / str(size))
        verdicts[size] = ask_all(judge, TEXTS[:12])
        judge.close()
    assert verdicts[1] == verdicts[16]
    judge = open_judge(local(checkpoint), tmp_path / "16")
    monkeypatch.setattr(Qwen2ForCausalLM, "forward", lambda *_, **__: pytest.fail("asked again"))
    assert ask_all(judge, TEXTS[:12]) == verdicts[16]
    judge.close()


def test_waiting_texts_are_answered_together_and_each_once(checkpoint, tmp_path, monkeypatch):
    rows: list[int] = []
    forward = Qwen2ForCausalLM.forward

    def counted(self, input_ids=None, **others):
        if input_ids.shape[1] > 1:  # a prompt, not the next token
            rows.append(len(input_ids))
        return forward(self, input_ids=input_ids, **others)

    monkeypatch.setattr(Qwen2ForCausalLM, "forward", counted)
    judge = open_judge(local(checkpoint, batch_size=8), tmp_path)
    ask_all(judge, [f"reasoning {n // 2}" for n in range(40)])
    judge.close()
    assert sum(rows) == 40  # 20 texts, two aspects
    assert max(rows) == 8
    assert len(rows) <= 10


def test_a_prompt_that_the_model_has_no_room_for_is_a_verdict_and_holds_up_no_other(checkpoint, tmp_path):
    folder = tmp_path / "short"
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    prompt = JudgePrompts.from_config(local(folder)).text("quality", QUESTION, "It purrs again.", "")
    model.config.max_position_embeddings = len(AutoTokenizer.from_pretrained(folder)(prompt)["input_ids"]) + 8
    model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
    model.save_pretrained(folder)
    judge = open_judge(local(folder), tmp_path / "cache")
    texts = ["It purrs.", "long " * 1000, "It purrs again."]
    short, long, other = [judge.submit("quality", QUESTION, text, "") for text in texts]
    assert long.result(timeout=30).score is None
    assert re.fullmatch(r"prompt too long: \d+ tokens, the judge model has room for \d+", long.result().reason)
    assert not short.result(timeout=30).reason.startswith("prompt")
    assert not other.result(timeout=30).reason.startswith("prompt")
    judge.close()


def test_running_out_of_memory_is_a_verdict_with_the_fix(checkpoint, tmp_path, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.\n Tried to allocate 9 GiB")

    judge = open_judge(local(checkpoint), tmp_path)
    monkeypatch.setattr(Qwen2ForCausalLM, "forward", full)
    (verdict, *_) = ask_all(judge, TEXTS[:2])
    judge.close()
    assert verdict == Verdict(
        None,
        "out of memory: 1 prompts: CUDA out of memory. Tried to allocate 9 GiB; lower judge.local.batch_size",
    )


def test_a_bug_in_the_model_s_code_is_not_taken_for_an_opinion(checkpoint, tmp_path, monkeypatch):
    judge = open_judge(local(checkpoint), tmp_path)
    monkeypatch.setattr(Qwen2ForCausalLM, "forward", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        judge.submit("quality", QUESTION, "x", "").result(timeout=30)
    judge.close()


def test_closing_ends_the_thread_and_leaves_nobody_waiting(checkpoint, tmp_path):
    judge = open_judge(local(checkpoint, batch_size=1), tmp_path)
    futures = [judge.submit("quality", QUESTION, text, "") for text in TEXTS]
    judge.close()
    verdicts = [future.result(timeout=5) for future in futures]
    assert verdicts[-1] == Verdict(None, "the judge was closed before it replied")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("judge")]


def test_a_model_that_cannot_be_used_is_an_error_before_anything_is_asked(checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match="nowhere: cannot be loaded"):
        open_judge(local(tmp_path / "nowhere"), tmp_path)
    with pytest.raises(ConfigError, match="no CUDA device can be used here"):
        open_judge(local(checkpoint, device="cuda:0"), tmp_path)
    plain = tmp_path / "plain"
    AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).save_pretrained(plain)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(plain)
    with pytest.raises(CheckpointError, match=r"has no chat template; set judge\.local\.style: completion"):
        open_judge(local(plain, style="chat"), tmp_path)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "head_dim": 4, "vocab_size": 8}
    odd = Qwen2Config(**sizes, num_attention_heads=3, num_key_value_heads=2)  # 3 heads cannot share 2 evenly
    Qwen2ForCausalLM(odd).save_pretrained(plain)
    with pytest.raises(CheckpointError, match=r"plain: cannot be loaded \("):
        open_judge(local(plain, style="completion"), tmp_path)


def test_a_judge_that_lacks_weights_is_an_error_and_does_not_judge_with_random_ones(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "judge")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"judge: an incomplete .*1 weights missing \(model.layers.1.mlp.up_proj"):
        open_judge(local(folder), tmp_path / "cache")


def test_a_judge_of_billions_of_layers_is_refused_before_one_is_made(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "judge")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2**31, "layer_types": None}))
    with pytest.raises(CheckpointError, match=r"judge: config\.json has num_hidden_layers 2147483648"):
        open_judge(local(folder), tmp_path / "cache")


def test_stored_lines_hold_no_judged_text(checkpoint, tmp_path):
    judge = open_judge(local(checkpoint), tmp_path)
    ask_all(judge, ["a secret thought"])
    judge.close()
    rows = [json.loads(line) for line in (tmp_path / "replies.jsonl").read_text().splitlines()]
    assert [set(row) for row in rows] == [{"key", "text", "ended", "tokens"}] * 2
    assert "secret" not in (tmp_path / "replies.jsonl").read_text()
