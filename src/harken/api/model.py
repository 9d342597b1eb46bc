"""Load a model and ask it about a clip."""

import os
from collections.abc import Sequence
from pathlib import Path

from harken.config import PromptConfig, parse
from harken.errors import ConfigError
from harken.evaluation.ask import ClipAnswer, ask
from harken.inference.trial_pass import refuse_what_cannot_compute
from harken.models.architectures import resolve_checkpoint
from harken.models.audio_lm import AudioLM
from harken.models.loading import DTYPES, pick_dtype
from harken.models.loading import load_model as load_audio_lm
from harken.questions.prompt import Prompt


class Model:
    """An audio language model in memory, ready to answer.

    Attributes:
        path: the checkpoint folder or Hub id that it was loaded from.
        dtype, device: the number type of its weights, and where they are.
        audio_lm: the model itself, behind the protocol `harken.models.audio_lm.AudioLM`.
    """

    def __init__(self, audio_lm: AudioLM, path: str, dtype: str, device: str) -> None:
        self.audio_lm, self.path, self.dtype, self.device = audio_lm, path, dtype, device

    def ask(
        self,
        clip: str | os.PathLike[str] | None,
        question: str,
        choices: Sequence[str],
        *,
        style: str = "omni_r1",
        max_completion_tokens: int = 512,
    ) -> ClipAnswer:
        """Ask one question, decoded greedily.

        Args:
            clip: an audio file; None asks without audio.
            choices: two or more texts.
            style: of the prompt, as `prompt.style` of a recipe.

        Raises ConfigError for fewer than two choices and an unknown style, AudioError for a clip that cannot be read.
        """
        if isinstance(choices, str) or len(choices) < 2:
            raise ConfigError("ask: a question has two choices or more, given as a list of texts")
        prompt = Prompt.from_config(parse(PromptConfig, {"style": style}, "ask"))
        file = None if clip is None else Path(clip)
        return ask(self.audio_lm, prompt, file, question, choices, max_completion_tokens)

    def __repr__(self) -> str:
        return f"<harken.Model {self.audio_lm.arch} from {self.path}, {self.dtype} on {self.audio_lm.device}>"


def load_model(path: str | os.PathLike[str], *, dtype: str = "auto", device: str = "auto") -> Model:
    """Load a checkpoint for answering.

    Args:
        path: a checkpoint folder, a run (its newest checkpoint) or a Hub id.
        dtype: float32, bfloat16, float16, or auto: the checkpoint's own on a GPU, float32 on a CPU.
        device: auto (a GPU if there is one), cpu, cuda, cuda:1 and so on.

    Raises ConfigError for an unknown type or device, CheckpointError for what is no checkpoint.
    """
    if dtype not in ("auto", *DTYPES):
        raise ConfigError(f"dtype {dtype!r}: one of auto, {', '.join(DTYPES)}")
    name = resolve_checkpoint(os.fspath(path))
    picked = pick_dtype(dtype, name, device)
    model = refuse_what_cannot_compute(load_audio_lm(name, dtype=DTYPES[picked], device=device), name)
    return Model(model, name, picked, device)
