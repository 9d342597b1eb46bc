"""`harken score`: scores predictions that any program wrote."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from harken.benchmarks import BENCHMARKS
from harken.cli.options import console
from harken.system.console import print_line

PredictionKey = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="The key that holds the predictions. Default: the benchmark's own, where a record has it, else "
        "another that harken knows; the output says which.",
    ),
]
AnswersOf = Annotated[
    Literal["benchmark", "file"],
    typer.Option(
        "--answers",
        help="Whose answers count where the predictions state others than the benchmark file, as after its authors "
        "mended it: those of the benchmark file or those of the predictions (file). Either way they are listed.",
    ),
]
JudgeRecipe = Annotated[
    Path | None,
    typer.Option(
        "--judge",
        help="A recipe with a section judge: a column says which answers a judge finds right. Its replies are kept "
        "beside FILE, in FILE's name with .judge, and not asked for twice.",
        metavar="RECIPE",
    ),
]
Rule = Annotated[
    str | None,
    typer.Option(
        "--rule", help="Score by this function of yours, module:function, in place of the benchmark's official rule."
    ),
]
Submission = Annotated[
    Path | None,
    typer.Option("--submission", help="Write the file for the benchmark's own server here, instead of scoring."),
]


def score(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="JSON or JSON lines with an id and a prediction for each question, or a sample log of lmms-eval, "
            "evalscope or inspect.",
            metavar="FILE",
        ),
    ],
    benchmark: Annotated[
        str,
        typer.Option("--benchmark", help=f"The benchmark: {', '.join(BENCHMARKS)}, or module:object for one of yours."),
    ],
    data: Annotated[Path, typer.Option("--data", help="The benchmark's JSON file. Its audio is not needed.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    letters: Annotated[
        bool,
        typer.Option("--letters", help="The prompt showed letters, so the strict score accepts a letter as an answer."),
    ] = False,
    key: PredictionKey = None,
    answers: AnswersOf = "benchmark",
    judge: JudgeRecipe = None,
    rule: Rule = None,
    submission: Submission = None,
) -> None:
    """Score anybody's predictions: print the benchmark's official score beside a strict one."""
    from harken.api.scores import score as score_predictions
    from harken.results.score_file import write_submission
    from harken.results.score_table import score_table

    if submission is not None:
        if letters or answers == "file" or judge is not None or rule is not None:
            raise typer.BadParameter(
                "a submission is not scored: no --letters, no --answers, no --judge, no --rule",
                param_hint="--submission",
            )
        result = write_submission(benchmark, data, predictions, submission, key)
    else:
        scored = score_predictions(
            benchmark,
            data,
            predictions,
            letters_shown=letters or None,
            key=key,
            answers=answers,
            rule=rule,
            judge=judge,
        )
        result = dict(scored.figures)
    if as_json:
        print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))  # noqa: T201
    elif submission is None:
        console.print(score_table(result))
    else:
        counts = f"{result['n']} questions, {result['n_missing']} of them without a prediction"
        print_line(console, f"submission: {submission} ({counts})")
