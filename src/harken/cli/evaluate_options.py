"""The options of `harken evaluate`, in the panels of its help text, and the key of the recipe that each one sets."""

from pathlib import Path
from typing import Annotated

from typer import Option

from harken.benchmarks import BENCHMARKS
from harken.cli.options import MODEL_PANEL, OUTPUT_PANEL, SERVER_PANEL

QUESTIONS_PANEL = "Questions"
AUDIO_PANEL = "Audio"
ANSWERS_PANEL = "Prompt and answers"

EVALUATION_KEYS = {
    "model": "model",
    "device": "device",
    "dtype": "dtype",
    "batch_size": "batch_size",
    "endpoint": "endpoint.base_url",
    "served_model": "endpoint.model",
    "api_key_env": "endpoint.api_key_env",
    "concurrency": "endpoint.concurrency",
    "requests_per_minute": "endpoint.requests_per_minute",
    "max_failed": "max_failed_share",
    "benchmark": "data.reader",
    "data": "data.file",
    "audio_root": "data.audio_root",
    "limit": "limit",
    "audio": "data.audio",
    "long_audio": "long_audio",
    "style": "prompt.style",
    "samples": "samples",
    "temperature": "temperature",
    "top_p": "top_p",
    "permute": "permute",
    "paraphrases": "paraphrases",
    "seed": "seed",
    "force": "force",
    "transcripts": "transcripts",
    "likelihoods": "likelihoods",
    "max_completion_tokens": "max_completion_tokens",
}
"""Parameter of the command -> dotted key of an evaluation recipe."""

Model = Annotated[
    str | None,
    Option(
        "--model",
        help="A checkpoint folder, a run folder (its newest checkpoint), a Hub id, module:object for a model of yours, "
        "or a baseline: random-guess or most-frequent-choice.",
        rich_help_panel=MODEL_PANEL,
    ),
]
EvaluationDevice = Annotated[
    str | None,
    Option("--device", help="Where the model runs: auto, cpu, cuda, cuda:1 and so on.", rich_help_panel=MODEL_PANEL),
]
EvaluationWeightsType = Annotated[
    str | None,
    Option(
        "--dtype", help="Number type of the weights: float32, bfloat16, float16 or auto.", rich_help_panel=MODEL_PANEL
    ),
]
BatchSize = Annotated[
    int | None,
    Option("--batch-size", help="How many answers the model decodes together.", rich_help_panel=MODEL_PANEL),
]
ServedModelName = Annotated[
    str | None,
    Option("--served-model", help="The name by which the server knows the model.", rich_help_panel=SERVER_PANEL),
]
RequestsPerMinute = Annotated[
    float | None,
    Option(
        "--requests-per-minute",
        help="Send no more requests than this in a minute. Default: no limit.",
        rich_help_panel=SERVER_PANEL,
    ),
]
BenchmarkName = Annotated[
    str | None,
    Option(
        "--benchmark",
        help=f"What the data file holds: {', '.join(BENCHMARKS)}, manifest, or module:object for a reader of yours.",
        rich_help_panel=QUESTIONS_PANEL,
    ),
]
Tasks = Annotated[
    str | None,
    Option(
        "--tasks",
        help="Several evaluations in one go, with one table: names of the YAML file that --data names (all: every one "
        "of them), or BENCHMARK=FILE and BENCHMARK=FILE:AUDIO_ROOT, with commas between them.",
        metavar="A,B",
        rich_help_panel=QUESTIONS_PANEL,
    ),
]
Data = Annotated[
    Path | None,
    Option(
        "--data",
        help="The file of questions, as the benchmark ships it; with --tasks the file that lists them.",
        rich_help_panel=QUESTIONS_PANEL,
    ),
]
BenchmarkAudioRoot = Annotated[
    Path | None,
    Option(
        "--audio-root",
        help="Folder of the clips. Default: the folder of the data file.",
        rich_help_panel=QUESTIONS_PANEL,
    ),
]
Limit = Annotated[
    int | None, Option("--limit", help="Ask only the first N questions.", rich_help_panel=QUESTIONS_PANEL)
]
Subset = Annotated[
    list[str] | None,
    Option(
        "--subset",
        help="Ask only questions with this label, for example task=speech. May be repeated: values of one key are "
        "alternatives, and every key has to match.",
        metavar="KEY=VALUE",
        rich_help_panel=QUESTIONS_PANEL,
    ),
]
MissingAllowed = Annotated[
    bool,
    Option(
        "--allow-missing",
        help="Go on when clips are missing, and count their questions as wrong.",
        rich_help_panel=QUESTIONS_PANEL,
    ),
]
AudioMode = Annotated[
    str | None,
    Option(
        "--audio",
        help="What the model gets to hear: real (the clip), none, silence, noise, shuffled (another question's "
        "clip), or fragment:0.25 (a quarter of the clip, or another share). Default: real.",
        rich_help_panel=AUDIO_PANEL,
    ),
]
NoAudio = Annotated[
    bool,
    Option("--no-audio", help="The same as --audio none: the prompt has no audio token.", rich_help_panel=AUDIO_PANEL),
]
Listening = Annotated[
    bool,
    Option(
        "--listening",
        help="Ask every question with all five kinds of audio, and report what the clip contributes.",
        rich_help_panel=AUDIO_PANEL,
    ),
]
LongAudio = Annotated[
    str | None,
    Option(
        "--long-audio",
        help="What happens to a clip that is longer than the model takes: crop it, or count its question as wrong.",
        metavar="crop|wrong",
        rich_help_panel=AUDIO_PANEL,
    ),
]
Style = Annotated[
    str | None,
    Option(
        "--style",
        help="Style of the prompt: omni_r1, r1_aqa, r1_aqa_think, adaptive, or a benchmark's own.",
        rich_help_panel=ANSWERS_PANEL,
    ),
]
Samples = Annotated[
    int | None, Option("--samples", help="How many answers to sample for each question.", rich_help_panel=ANSWERS_PANEL)
]
Temperature = Annotated[
    float | None,
    Option(
        "--temperature", help="Sampling temperature; 0 decodes greedily. Default: 0.", rich_help_panel=ANSWERS_PANEL
    ),
]
TopP = Annotated[
    float | None,
    Option(
        "--top-p",
        help="Sample from the most likely tokens that together have this probability. Default: 1, all tokens.",
        rich_help_panel=ANSWERS_PANEL,
    ),
]
Permute = Annotated[
    int | None,
    Option("--permute", help="Ask each question with its choices in this many orders.", rich_help_panel=ANSWERS_PANEL),
]
Paraphrases = Annotated[
    Path | None,
    Option(
        "--paraphrases",
        help="Also ask each question in the other words of this file, which `harken generate paraphrases` writes.",
        rich_help_panel=ANSWERS_PANEL,
    ),
]
Seed = Annotated[
    int | None,
    Option(
        "--seed",
        help="Seed of the samples, the orders of choices, the noise and the shuffled clips. Default: 0.",
        rich_help_panel=ANSWERS_PANEL,
    ),
]
Force = Annotated[
    str | None,
    Option(
        "--force",
        help="Begin every answer with the tag of this form, so that the model thinks always or never; think:64 ends "
        "the reasoning after 64 tokens at most, or another number.",
        metavar="think|no_think|think:N",
        rich_help_panel=ANSWERS_PANEL,
    ),
]
Transcripts = Annotated[
    bool | None,
    Option(
        "--transcripts",
        help="Score the answers to questions without choices as transcripts: 1 - word error rate.",
        rich_help_panel=ANSWERS_PANEL,
    ),
]
Likelihoods = Annotated[
    bool | None,
    Option(
        "--likelihoods",
        help="Also compute how likely each choice is as the answer, and report the share of the right one.",
        rich_help_panel=ANSWERS_PANEL,
    ),
]
MaxFailed = Annotated[
    float | None,
    Option(
        "--max-failed",
        min=0,
        max=1,
        help="End with an error when more than this share of the requests to a server fails. Default: 0.05.",
        rich_help_panel=MODEL_PANEL,
    ),
]
MaxCompletionTokens = Annotated[
    int | None,
    Option("--max-completion-tokens", help="Cut an answer after this many tokens.", rich_help_panel=ANSWERS_PANEL),
]
Out = Annotated[
    Path | None,
    Option(
        "--out",
        help="Folder to write. Default: runs/eval/NAME, with the name that the recipe states.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
