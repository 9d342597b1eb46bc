"""The model card of an exported folder: what it holds, what it calls unknown, and that its code runs."""

import re
import shutil
from pathlib import Path

import pytest
import soundfile
import torch
import yaml
from hostile import hostile_texts
from report_runs import prediction, write_demo, write_evaluation, write_run
from rich.console import Console
from tiny_models import ARCHITECTURES, tiny_folder, write_full_omni

from harken.config import Recipe
from harken.data.demo_set import write_demo_set
from harken.errors import ConfigError
from harken.export.adapters import export_adapter
from harken.export.model_card import escaped, model_card
from harken.export.weights import export
from harken.inference.predict import predict
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.sampling import Sampling
from harken.models.loading import load_model
from harken.questions.choice_orders import Trial
from harken.questions.prompt import Prompt
from harken.system.files import write_json
from harken.training.sft import sft
from harken.types import Question

OMNI = "qwen2_5_omni_thinker"


def parts(card: str) -> tuple[dict, str]:
    _, header, body = card.split("---\n", 2)
    return yaml.safe_load(header), body


def card_of(run: Path | None, base: str = "Qwen/Qwen2.5-Omni-7B", folder: Path | None = None, **changes) -> str:
    return model_card(run, base, folder, **({"model_type": OMNI, "adapter": False} | changes))


def trainable(run: Path, **changes) -> Path:
    """The config of a run written by hand, as a recipe that can be read."""
    values = {
        **{"name": "made", "model": {"path": "base"}, "data": {"train": [{"file": str(run.parent / "data.json")}]}},
        "prompt": {"style": "omni_r1"},
        **changes,
    }
    (run / "config.yaml").write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    return run


def test_the_header_is_what_the_hub_reads(tmp_path):
    header, _ = parts(card_of(trainable(write_demo(tmp_path))))
    assert header == {
        **{"base_model": "Qwen/Qwen2.5-Omni-7B", "library_name": "transformers", "pipeline_tag": "audio-text-to-text"},
        **{"license": "unknown", "language": ["en"], "tags": ["harken", "audio-question-answering", "grpo"]},
    }
    header, _ = parts(card_of(None, adapter=True))
    assert (header["library_name"], header["tags"]) == ("peft", ["harken", "audio-question-answering"])


def test_a_prompt_that_the_run_s_config_names_wrongly_is_an_error_with_that_file(tmp_path):
    run = trainable(write_demo(tmp_path), prompt={"style": "copy"})
    with pytest.raises(ConfigError, match=r"no style is called 'copy'") as raised:
        card_of(run)
    assert str(raised.value).startswith(f"{run}/config.yaml: prompt.style: ")


def test_results_have_n_and_intervals_and_the_audio_gain(tmp_path):
    run = write_demo(tmp_path)
    start = str(tmp_path / "sft" / "checkpoints" / "step_000010")
    _, body = parts(card_of(trainable(run, model={"path": start})))
    lines = body.splitlines()
    (head,) = [line for line in lines if line.startswith("| questions")]
    assert head == (
        "| questions | n | before, % | after, % | gain, points | before, no audio, % | after, no audio, % "
        "| audio gain, points | chance, % |"
    )
    (total,) = [line for line in lines if line.startswith("| all")]
    # Of 8: 4 right before, 5 after; without the clip 2 and 1 (see write_demo).
    assert re.fullmatch(
        r"\| all \| 8 \| 50\.0 \[\S+ \S+\] \| 62\.5 \[.*?\] \| \+12\.5 \[.*?\] \| 25\.0 \[.*?\] \| 12\.5 \[.*?\] "
        r"\| \+50\.0 \[.*?\] \| 50 \|",
        total,
    )
    assert "not evaluated without audio" not in body


def test_what_was_not_evaluated_is_named(tmp_path):
    run = trainable(write_run(tmp_path / "run"))
    assert "The model was not evaluated, so nothing is known about how well it answers." in card_of(run)
    write_evaluation(run, "test", [prediction("a", correct=True)], model=str(run))
    card = card_of(run)
    assert "The model was not evaluated, so" not in card
    assert "The model was not evaluated without audio, so it is unknown how much its answers use the clip." in card
    assert "audio gain, points" not in card
    assert "Its data, recipe and results are unknown" in card_of(None)


def test_data_has_n_source_and_licence_or_is_called_unknown(tmp_path):
    run = trainable(write_run(tmp_path / "run"))
    header, body = parts(card_of(run))
    assert "datasets" not in header
    assert "- data.json: source and licence unknown" in body
    assert "- number of records: unknown" in body
    assert "- data without a card: unknown" in body
    assert str(tmp_path) not in body  # nobody's folders
    write_json(
        run / "data.json", {"records": 1200, "kept": 1190, "rejected": 10, "trained_on": 1100, "development": 90}
    )
    (tmp_path / "card.md").write_text(
        "# ARC\n\nSource: https://huggingface.co/datasets/allenai/ai2_arc\n\nLicence: CC BY-SA 4.0\n\nmore\n"
    )
    header, body = parts(card_of(run))
    assert header["datasets"] == ["allenai/ai2_arc"]
    assert (
        "1,200 records, of which 1,190 were kept and 10 rejected; 1,100 questions for training, 90 for development"
        in body
    )
    assert "- data: CC BY-SA 4.0" in body
    assert "unknown" not in body.split("## Licence")[1].replace("- weights: unknown", "")


def test_the_licence_is_the_one_that_the_bases_card_states(tmp_path):
    (tmp_path / "README.md").write_text(
        "---\nlicense: other\nlicense_name: qwen-research\nlanguage: [en, zh]\n---\n# Base\n"
    )
    header, body = parts(card_of(None, folder=tmp_path))
    assert (header["license"], header["license_name"]) == ("other", "qwen-research")
    assert header["language"] == ["en", "zh"]
    assert "- weights: other, as the card of the base states" in body
    for damaged in ("---\nlicense: [\n---\n", "---\n- a\n---\n", "---\nlicense: 3\n---\n", "no header", ""):
        (tmp_path / "README.md").write_text(damaged)
        assert parts(card_of(None, folder=tmp_path))[0]["license"] == "unknown"


def test_hostile_names_become_no_markup_and_cannot_leave_their_place(tmp_path):
    texts = [text for text in hostile_texts() if len(text) < 2000 and text == text.encode("utf-8", "ignore").decode()]
    run = write_run(tmp_path / "run")
    write_evaluation(
        run, "test", [prediction(f"q{i}", correct=True, task=text) for i, text in enumerate(texts)], model="m"
    )
    trainable(run, data={"train": [{"file": "data/```---<script>x</script>[a](b).json"}]})
    header, body = parts(card_of(run, base="/x/<img src=x onerror=1>"))
    assert "base_model" not in header
    outside = re.sub(r"```python\n.*?\n```", "", body, flags=re.DOTALL).replace("`folder`", "")
    for sign in "<>[`":
        bare = re.sub(r"\[[+-]?[\d.]+, [+-]?[\d.]+\]", "", outside)  # our own intervals
        assert not re.search(rf"(?<!\\){re.escape(sign)}", bare), sign
    rows = [line for line in body.splitlines() if line.startswith("|") and "\\" in line]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows if " | 100.0 " in row} == {
        5
    }  # questions, n, after, chance
    assert body.count("```") == 2


def test_escaping_by_hand():
    assert escaped("a|b *c* <d> [e](f) `g` http://x \n\x1b") == (r"a\|b \*c\* \<d\> \[e\](f) \`g\` http\://x \\n\\x1b")


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    full = tmp_path_factory.mktemp("full")
    write_full_omni(full)
    return {arch: tiny_folder(arch) for arch in ARCHITECTURES} | {"full": full}


def trained(folder: Path, base: Path, rate: float = 1e-5, **model) -> Path:
    """The run folder of one update at this learning rate."""
    write_demo_set(folder / "data", seed=0, n_train=4, n_test=4)
    values = {
        **{"name": "x", "model": {"path": str(base), **model}, "prompt": {"style": "r1_aqa"}},
        "data": {"train": [{"file": str(folder / "data" / "train.json")}]},
        "sft": {"steps": 1, "prompts_per_step": 2, "learning_rate": rate},
        "grpo": {"max_completion_tokens": 6},
    }
    sft(Recipe.model_validate(values), folder / "run", Console(quiet=True))
    return folder / "run"


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # read by peft
@pytest.mark.parametrize("kind", [*ARCHITECTURES, "full", "adapter"])
def test_the_code_in_the_card_answers_as_harken_does(bases, tmp_path, kind, capsys, monkeypatch):
    adapter = kind == "adapter"
    base = bases["qwen2_5_omni" if adapter else kind]
    rate = 1e-2 if kind == "qwen2_audio" else 1e-5  # the tiny model writes a text only after a large update
    run = trained(tmp_path, base, rate, **({"lora": {"rank": 2}} if adapter else {}))
    out = tmp_path / "out"
    (export_adapter if adapter else export)(run, out)
    header, body = parts((out / "README.md").read_text())
    assert header["tags"][-1] == "sft"
    assert "4 records, of which 4 were kept and 0 rejected" in body
    (code,) = re.findall(r"```python\n(.*?)```", body, re.DOTALL)
    clip = next((tmp_path / "data").rglob("*.wav"))
    shutil.copyfile(clip, out / "clip.wav")
    assert soundfile.info(clip).samplerate == 16_000
    monkeypatch.chdir(out)
    model = load_model(str(run), dtype=torch.float32, device="cpu")
    prompt = Prompt.from_config(Recipe.model_validate(yaml.safe_load((run / "config.yaml").read_text())).prompt)
    question = Question("example", "Which animal is heard?", ("a dog", "a cat", "a bird"), answer=None, audio=clip)
    inputs = PromptInputs(model, prompt, cache_gib=0)
    (((_, (answer,)),),) = predict(
        model, [Trial(question)], inputs, Sampling(0, 6), batch_size=1
    )  # as many as the card
    exec(compile(code, "card", "exec"), {})
    printed = capsys.readouterr().out.rstrip("\n")
    assert answer.text == printed
    assert printed


def test_a_card_of_the_base_is_kept_beside_ours(bases, tmp_path):
    base = shutil.copytree(bases["qwen2_5_omni"], tmp_path / "base")
    (base / "README.md").write_text("---\nlicense: apache-2.0\n---\n# The base\n")
    run = trained(tmp_path, base)
    export(run, tmp_path / "out")
    assert (tmp_path / "out" / "README.base.md").read_bytes() == (base / "README.md").read_bytes()
    header, _ = parts((tmp_path / "out" / "README.md").read_text())
    assert header["license"] == "apache-2.0"
