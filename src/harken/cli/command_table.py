"""The commands of `harken` with the first sentence of each one's help, in the groups in which the help lists them.

`harken --help` is written from these tables alone. A command's module is named as the command, and it is imported when
the command runs or shows its own help.
"""

from collections.abc import Mapping

from harken.benchmarks import BENCHMARKS

Panels = Mapping[str, Mapping[str, str]]
"""Heading of the help -> name of a command -> sentence."""

COMMANDS: Panels = {
    "Start here": {
        "demo": "Run the whole job on built-in sounds: make a tiny model, train it, and evaluate it with and without "
        "audio.",
        "doctor": "Print versions, memory and GPUs, and check that a checkpoint loads and that its answers depend on "
        "the clip.",
    },
    "Data": {
        "prepare": "Turn files that can be downloaded into a manifest: a checked list of questions.",
        "generate": "Have a language model behind a server write training data.",
    },
    "Train": {
        "recipes": "List the recipes that come with harken, or print one of them.",
        "plan": "Say whether GRPO with a recipe fits a GPU, how long a step takes, and which settings fit or are "
        "faster.",
        "sft": "Fine-tune a model on the right answers (supervised), with the prompts and the data of a recipe.",
        "train": "Train a model with reinforcement learning (GRPO), as a recipe says.",
        "extend": "Go on with a run for more steps, and say which learning rates they have.",
    },
    "Measure": {
        "evaluate": "Ask a model the questions of a benchmark, grade its answers, and print its accuracy.",
        "score": "Score anybody's predictions: print the benchmark's official score beside a strict one.",
        "compare": "Compare evaluations of the same questions before and after training, or put them beside a paper's "
        "table.",
        "ask": "Ask a model one question about one clip, first with the clip and then without it.",
        "judge": "Look at the language model that scores reasoning and answers.",
    },
    "Look at a run": {
        "report": "Write one HTML file with the settings, the accuracy, the curves and the stored completions beside "
        "their clips.",
        "view": "Serve the report as a page on this machine that follows the run while it trains.",
    },
    "Checkpoints": {
        "assemble": "Assemble an audio language model of the Qwen2-Audio architecture from a Whisper encoder and a "
        "language model.",
        "export": "Write a folder that transformers and vLLM load: the base's files with the trained weights, and a "
        "model card.",
        "tiny": "Write a tiny checkpoint of a real architecture with random weights, for tests and trials without a "
        "GPU.",
    },
}

PREPARE_COMMANDS: Panels = {
    "Training data": {
        "avqa": "Turn AVQA's annotations and videos into questions about the videos' sound.",
        "vggsound": "Turn VGGSound's list and videos into clips that questions can be generated about.",
        "audiosetcaps": "Join AudioSetCaps' captions and answers into facts about clips, from which questions are "
        "generated.",
        "arc": "Turn ARC into questions without audio.",
        "audiomcq": "Turn AudioMCQ's JSON lines and clips into a manifest.",
        "jsonl": "Turn questions in another training program's JSON lines, or open questions, into a manifest.",
    },
    "Benchmarks": {name: f"Turn the records of the benchmark {name} into a manifest." for name in BENCHMARKS},
    "Work with a manifest": {
        "check": "List the clips and questions that a training set shares with benchmarks.",
        "review": "Check a sample of questions by hand, with one key press each, and write the accepted share into "
        "card.md.",
        "filter": "Keep the questions of a manifest that need their clip, by evaluations of a model that did not hear "
        "it whole.",
        "export": "Write a manifest as another training program's JSON lines.",
    },
}

GENERATE_COMMANDS: Panels = {
    "Commands": {
        "captions": "Write facts about a manifest's clips, as an audio model behind a server hears them.",
        "questions": "Write multiple-choice questions from facts about clips, in the way of AVQA-GPT and VGGS-GPT.",
        "paraphrases": "Write a manifest's questions in other words, for evaluations that ask each in all of them.",
        "reasoning": "Write reasoning for a manifest's questions, from their right answers and facts about the clips.",
    },
}

JUDGE_COMMANDS: Panels = {
    "Commands": {
        "check": "Ask a judge about ten pairs with known verdicts for each aspect, and say whether it tells them "
        "apart.",
    },
}

GROUPS = {"prepare": PREPARE_COMMANDS, "generate": GENERATE_COMMANDS, "judge": JUDGE_COMMANDS}
"""First words of two-word commands -> the second words."""
