"""The command line: parses first, imports torch only when a command runs.

Takes arguments, composes stages. Errors a user can mend (recipe, data, checkpoint) are one line or a few, exit code 2;
anything else is a bug and keeps its traceback.
"""

import glob
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from harken.errors import HarkenError, SaidElsewhereError
from harken.generate.commands import generate
from harken.prepare.commands import prepare

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Reinforcement fine-tuning of audio language models for questions about sound, speech and music.",
)
app.add_typer(prepare, name="prepare")
app.add_typer(generate, name="generate")
console = Console(quiet=os.environ.get("RANK", "0") != "0")  # of several ranks the first speaks

RecipeFile = Annotated[Path | None, typer.Argument(help="YAML recipe.", metavar="RECIPE.yaml")]
Resume = Annotated[
    Path | None, typer.Option("--resume", help="Go on with the run in this folder, instead of a recipe.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="key.path=value, over the recipe's.", metavar="KEY=VALUE")
]
RunOut = Annotated[
    Path | None, typer.Option("--out", help="Run folder; default runs/<name> (runs/<name>-sft for sft).")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the resolved config and one rendered prompt, then stop.")
]
ModelPath = Annotated[str, typer.Option("--model", help="Checkpoint folder or Hub id.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")]
Precision = Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16 weights.")]


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for data, checkpoints and runs.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """The whole job on built-in sounds: warm start, GRPO, evaluation with and without audio. No network, no GPU."""
    from harken.demo import run_demo

    run_demo(out, seed, console)


@app.command()
def train(
    recipe: RecipeFile = None,
    overrides: Overrides = None,
    out: RunOut = None,
    resume: Resume = None,
    dry_run: DryRun = False,
) -> None:
    """Train with GRPO."""
    resolved, folder = _resolve(recipe, overrides, out, resume, "")
    if dry_run:
        _dry_run(resolved)
        return
    from harken.train import train as run

    checkpoint = run(resolved, folder, console, resume=resume is not None)
    console.print(f"checkpoint: {escape(str(checkpoint))}", highlight=False, soft_wrap=True)


@app.command()
def sft(
    recipe: RecipeFile = None,
    overrides: Overrides = None,
    out: RunOut = None,
    resume: Resume = None,
    dry_run: DryRun = False,
) -> None:
    """Fine-tune on the answers, with the same prompts and data."""
    resolved, folder = _resolve(recipe, overrides, out, resume, "-sft")
    if dry_run:
        _dry_run(resolved)
        return
    from harken.sft import sft as run

    checkpoint = run(resolved, folder, console, resume=resume is not None)
    console.print(f"checkpoint: {escape(str(checkpoint))}", highlight=False, soft_wrap=True)


@app.command()
def evaluate(
    recipe: Annotated[Path | None, typer.Argument(help="YAML evaluation recipe; options go over it.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Checkpoint folder, run folder or Hub id.")] = None,
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", help="mmau, mmar, airbench, mmsu or manifest.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="The benchmark's JSON file.")] = None,
    audio_root: Annotated[
        Path | None, typer.Option("--audio-root", help="Folder of the clips [the data file's].")
    ] = None,
    audio: Annotated[
        str | None, typer.Option("--audio", help="What is heard: real, none, silence, noise or shuffled [real].")
    ] = None,
    no_audio: Annotated[
        bool, typer.Option("--no-audio", help="The same as --audio none: no audio token at all.")
    ] = False,
    listening: Annotated[bool, typer.Option("--listening", help="All five kinds of audio, and audio gain.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for predictions.jsonl and summary.json.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Only the first so many questions.")] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option("--subset", help="task=speech; again for more values or keys.", metavar="KEY=VALUE"),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Go on without clips that are not there; they count as wrong.")
    ] = False,
    style: Annotated[
        str | None, typer.Option("--style", help="Prompt: omni_r1, r1_aqa, r1_aqa_think, mmau, mmar, airbench.")
    ] = None,
    samples: Annotated[int | None, typer.Option("--samples", help="Answers to each question.")] = None,
    temperature: Annotated[float | None, typer.Option("--temperature", help="0 is greedy [0].")] = None,
    top_p: Annotated[float | None, typer.Option("--top-p")] = None,
    permute: Annotated[int | None, typer.Option("--permute", help="Orders of each question's choices.")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of samples, orders, noise and shuffled clips [0].")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Address of an OpenAI-compatible server, up to and with /v1.")
    ] = None,
    served_model: Annotated[str | None, typer.Option("--served-model", help="The model's name there.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option("--api-key-env", help="Environment variable that holds the key.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option("--concurrency", help="Requests under way at once [16].")] = None,
    requests_per_minute: Annotated[float | None, typer.Option("--requests-per-minute")] = None,
    long_audio: Annotated[
        str | None, typer.Option("--long-audio", help="Clips over the window: crop or wrong.")
    ] = None,
    force: Annotated[str | None, typer.Option("--force", help="think or no_think: begin every answer so.")] = None,
    max_completion_tokens: Annotated[int | None, typer.Option("--max-completion-tokens")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size")] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="float32, bfloat16 or float16 weights.")] = None,
    overrides: Overrides = None,
) -> None:
    """Answer a benchmark and grade it: greedily or in samples, with a checkpoint or a served model."""
    from harken.config import EvaluationRecipe, resolve

    if no_audio and audio not in (None, "none"):
        raise typer.BadParameter(f"--no-audio is --audio none, and --audio says {audio!r}", param_hint="--audio")
    if listening and (no_audio or audio is not None):
        raise typer.BadParameter("--listening asks with every kind of audio: no --audio", param_hint="--listening")
    options = {
        **{"model": model, "data.reader": benchmark, "data.file": data, "data.audio_root": audio_root},
        **{"data.audio": "none" if no_audio else audio, "limit": limit, "subset": _subset(subset)},
        **{"allow_missing": allow_missing or None, "prompt.style": style, "long_audio": long_audio, "seed": seed},
        **{"samples": samples, "temperature": temperature, "top_p": top_p, "permute": permute},
        **{"endpoint.base_url": endpoint, "endpoint.model": served_model, "endpoint.api_key_env": api_key_env},
        **{"endpoint.concurrency": concurrency, "endpoint.requests_per_minute": requests_per_minute},
        "force": force,
        **{"max_completion_tokens": max_completion_tokens, "batch_size": batch_size, "device": device, "dtype": dtype},
    }
    replaced = () if model is None and endpoint is None else ("model", "endpoint")
    resolved = resolve(EvaluationRecipe, recipe, overrides or [], options, "harken evaluate", replaced)
    from harken.evaluate import evaluate as run
    from harken.evaluate import listen
    from harken.progress import StepProgress
    from harken.tables import listening_table, summary_table, trials_table

    folder = out or Path("runs") / "eval" / resolved.name
    with StepProgress(console, "evaluate", 0, 200) as progress:
        found = (listen if listening else run)(resolved, folder, progress.set)
    if listening:
        console.print(listening_table(f"{resolved.data.file.name}, by what is heard", found))
        console.print(f"by question: {escape(str(folder / 'listening.jsonl'))}", highlight=False, soft_wrap=True)
        return
    said = {"real": "with audio", "none": "without audio"}.get(resolved.data.audio, f"{resolved.data.audio} audio")
    console.print(summary_table(f"{resolved.data.file.name}, {said}", found))
    if "samples" in found or "orders" in found:
        console.print(trials_table("several answers to each question", found))
    console.print(f"predictions: {escape(str(folder / 'predictions.jsonl'))}", highlight=False, soft_wrap=True)


def _subset(pairs: list[str] | None) -> dict[str, list[str]] | None:
    """task=speech, task=music, difficulty=hard -> {"task": ["speech", "music"], "difficulty": ["hard"]}."""
    found: dict[str, list[str]] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r}: expected KEY=VALUE, such as task=speech", param_hint="--subset")
        found.setdefault(key, []).append(value)
    return found or None


@app.command()
def score(
    predictions: Annotated[Path, typer.Argument(help="JSON or JSON lines: an id and a prediction each.")],
    benchmark: Annotated[str, typer.Option("--benchmark", help="mmau, mmar, airbench or mmsu.")],
    data: Annotated[Path, typer.Option("--data", help="The benchmark's JSON file; no audio is needed.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    letters: Annotated[
        bool, typer.Option("--letters", help="The prompt showed letters: the strict column reads them.")
    ] = False,
    submission: Annotated[
        Path | None, typer.Option("--submission", help="Write MMAU's submission file here, instead of scoring.")
    ] = None,
) -> None:
    """Score anybody's predictions: the benchmark's official figure beside a strict one."""
    import json

    from harken.benchmarks.score_file import score_file, write_submission
    from harken.tables import score_table

    if submission is not None:
        if benchmark != "mmau" or letters:
            raise typer.BadParameter("goes with --benchmark mmau, without --letters", param_hint="--submission")
        result = write_submission(data, predictions, submission)
    else:
        result = score_file(benchmark, data, predictions, letters_shown=letters or None)
    if as_json:
        print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))  # noqa: T201
    elif submission is None:
        console.print(score_table(result))
    else:
        said = f"{result['n']} questions, {result['n_missing']} of them without a prediction"
        console.print(f"submission: {escape(str(submission))} ({said})", highlight=False, soft_wrap=True)


@app.command()
def compare(
    folders: Annotated[
        list[str],
        typer.Argument(
            help="Evaluation folders, or quoted patterns over seeds: the earlier model's, then one or more to compare "
            "with it; as many seeds each, paired in order.",
            metavar="FOLDER",
        ),
    ],
    published: Annotated[
        str | None,
        typer.Option("--published", help="Show the folders in this published table instead.", metavar="omni-r1-v2:I"),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of a table.")] = False,
) -> None:
    """Evaluations of the same questions before and after, paired; with patterns, mean and spread over seeds.

    harken compare runs/base runs/a runs/b

    harken compare 'runs/x/seed*/sft/eval/test' 'runs/x/seed*/grpo/eval/test'

    harken compare runs/mmau --published omni-r1-v2:I
    """
    if published is not None:
        _beside_published([folder for pattern in folders for folder in _folders(pattern)], published, as_markdown)
        return
    if len(folders) < 2:
        raise typer.BadParameter("give two folders or more, or --published", param_hint="FOLDER")
    from harken.results import compare_folders, over_seeds
    from harken.tables import HEADER, SEEDS_HEADER, comparison_table, rows_of, seed_rows, seeds_table

    before, *others = folders
    earlier = _folders(before)
    for after in others:
        later = _folders(after)
        if len(earlier) != len(later):
            raise typer.BadParameter(f"{len(earlier)} folders before and {len(later)} after", param_hint="FOLDER")
        comparisons = [compare_folders(a, b) for a, b in zip(earlier, later, strict=True)]
        title = f"{before} -> {after}"
        if len(comparisons) == 1:
            table, header, rows = comparison_table(title, comparisons[0]), HEADER, rows_of(comparisons[0])
        else:
            seeds = over_seeds(comparisons)
            table, header, rows = seeds_table(title, seeds), SEEDS_HEADER, seed_rows(seeds)
        _show(table, header, rows, as_markdown, title if len(others) > 1 else "")


def _beside_published(folders: list[Path], key: str, as_markdown: bool) -> None:
    from harken.published import published_table
    from harken.published.place import place
    from harken.tables import published_header, published_notes, published_rows
    from harken.tables import published_table as shown

    table = published_table(key)
    runs = {str(folder): place(folder, table) for folder in folders}
    title = f"{table.source}: {table.about}; accuracy, %; {published_notes(table)}"
    _show(shown(table, runs), published_header(table), published_rows(table, runs), as_markdown, title)


def _show(table, header, rows, as_markdown: bool, title: str) -> None:
    """A table for a person, or as Markdown under its title."""
    from harken.tables import markdown

    if as_markdown:
        print(*([title, ""] if title else []), markdown(header, rows), sep="\n")  # noqa: T201
    else:
        console.print(table)


def _folders(pattern: str) -> list[Path]:
    """A folder, or those a pattern finds, in order of name."""
    if not any(sign in pattern for sign in "*?["):
        return [Path(pattern)]
    found = sorted(Path(name) for name in glob.glob(pattern))
    if not found:
        raise typer.BadParameter(f"nothing matches {pattern!r}", param_hint="FOLDER")
    return found


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; the curves of several lie over each other.")],
    out: Annotated[Path | None, typer.Option("--out", help="HTML file [report.html in the first run].")] = None,
    audio_root: Annotated[
        list[Path] | None, typer.Option("--audio-root", help="Folder of the clips, where they have moved.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """One HTML file: what was run, accuracy, curves, and every kept completion beside its clip."""
    from harken.report.build import write_report

    file = out or runs[0] / "report.html"
    write_report(runs, file, audio_root or [])
    console.print(f"report: {escape(str(file))}", highlight=False, soft_wrap=True)
    if open_:
        typer.launch(file.resolve().as_uri())


@app.command()
def view(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN")],
    audio_root: Annotated[
        list[Path] | None, typer.Option("--audio-root", help="Folder of the clips; no other folder is read.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 0,
) -> None:
    """The same as a page on this machine that follows the run as it goes on."""
    from harken.report.server import serve

    serve(run, audio_root or [], port, lambda line: console.print(escape(line), highlight=False, soft_wrap=True))


@app.command()
def ask(
    clip: Annotated[Path, typer.Argument(help="Audio file.")],
    question: Annotated[str, typer.Argument(help="The question.")],
    model: ModelPath,
    choices: Annotated[list[str], typer.Option("--choices", help="Two or more: --choices A B C.")],
    more: Annotated[list[str] | None, typer.Argument(help="Further choices.", hidden=True)] = None,
    style: Annotated[str, typer.Option("--style", help="Prompt style, as in recipes.")] = "omni_r1",
    device: Device = "auto",
    dtype: Precision = "float32",
) -> None:
    """One question about one clip, with the clip and without it."""
    from harken.ask import ask_both
    from harken.config import PromptConfig, parse
    from harken.models.loading import load_model
    from harken.prompt import Prompt

    prompt = Prompt.from_config(parse(PromptConfig, {"style": style}, "harken ask"))
    options = [*choices, *(more or [])]
    if len(options) < 2:
        raise typer.BadParameter("a question has two choices or more", param_hint="--choices")
    heard, unheard = ask_both(load_model(model, dtype=_dtype(dtype), device=device), prompt, clip, question, options)
    console.print(f"with the clip:    {escape(heard)}", highlight=False)
    console.print(f"without the clip: {escape(unheard)}", highlight=False)


@app.command()
def export(
    trained: Annotated[Path, typer.Argument(help="Run folder or one of its checkpoints.", metavar="RUN_OR_CHECKPOINT")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    base: Annotated[
        str | None,
        typer.Option("--base", help="Checkpoint whose files are copied; default: what the run started from."),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", help="float32, bfloat16 or float16 for trained tensors; default: the base's."),
    ] = None,
    adapter: Annotated[bool, typer.Option("--adapter", help="Copy a LoRA adapter as it is, not merged.")] = False,
) -> None:
    """Write what transformers and vLLM load: the base checkpoint's files with the trained weights in them."""
    from harken.export import export as write
    from harken.export import export_adapter

    if dtype is not None:
        _dtype(dtype)
    if adapter:
        if base is not None or dtype is not None:
            raise typer.BadParameter("an adapter is copied as it is: no --base, no --dtype", param_hint="--adapter")
        export_adapter(trained, out)
        said = "adapter"
    else:
        said = f"{write(trained, out, base=base, dtype=dtype)} trained tensors"
    console.print(f"{said}: {escape(str(out))}", highlight=False, soft_wrap=True)


@app.command()
def tiny(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    arch: Annotated[str, typer.Option("--arch", help="qwen2_5_omni, qwen2_audio or audioflamingo3.")] = "qwen2_5_omni",
    text: Annotated[
        list[Path] | None,
        typer.Option("--text", help="Question files, or texts (.txt), whose words the tokenizer should know whole."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Write a tiny random checkpoint of a real architecture, in Hugging Face layout."""
    from harken.models.tiny import question_texts, write_tiny

    write_tiny(arch, out, question_texts(text or []), seed)
    console.print(f"checkpoint: {escape(str(out))}", highlight=False, soft_wrap=True)


@app.command()
def doctor(
    model: Annotated[str | None, typer.Option("--model", help="Checkpoint folder or Hub id to try.")] = None,
    device: Device = "auto",
    dtype: Precision = "float32",
) -> None:
    """Devices, memory, versions; does the checkpoint load, and does changing the audio change the logits?"""
    from harken.doctor import examine

    if not examine(model, device, _dtype(dtype), console):
        raise typer.Exit(1)


def _resolve(recipe: Path | None, overrides: list[str] | None, out: Path | None, resume: Path | None, suffix: str):
    """(recipe, run folder) of a new run or of one that goes on."""
    from harken.config import load_recipe

    if (recipe is None) == (resume is None):
        raise typer.BadParameter(
            "give a recipe to start a run, or --resume RUN to go on with one", param_hint="RECIPE.yaml"
        )
    if resume is not None:
        if overrides or out is not None:
            raise typer.BadParameter(
                "a resumed run keeps its settings and its folder: no --set, no --out", param_hint="--resume"
            )
        return load_recipe(resume / "config.yaml"), resume
    assert recipe is not None
    resolved = load_recipe(recipe, overrides or [])
    return resolved, out or Path("runs") / f"{resolved.name}{suffix}"


def _dry_run(recipe) -> None:
    import yaml

    from harken.dry_run import first_prompt

    console.print(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), markup=False, highlight=False)
    console.print(first_prompt(recipe), markup=False, highlight=False, soft_wrap=True)


def _dtype(name: str):
    from harken.evaluate import DTYPES

    if name not in DTYPES:
        raise typer.BadParameter(f"{name!r}: one of {', '.join(DTYPES)}", param_hint="--dtype")
    return DTYPES[name]


def main() -> None:
    """Entry point: mendable errors without a traceback."""
    try:
        app()
    except HarkenError as error:
        if isinstance(error, SaidElsewhereError):
            sys.exit(2)
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
