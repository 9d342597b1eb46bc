"""`endpoint` and `judge`: language models that are asked during a run, behind a server or in this process."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from harken.config.section import PositiveInt, Section, Share


class EndpointConfig(Section):
    """A language model behind an OpenAI-compatible server."""

    base_url: str = Field(pattern=r"^https?://")
    """Up to and with /v1. A proxy is taken from the environment (https_proxy, no_proxy)."""
    model: str = Field(min_length=1)
    """Name the server knows it by."""
    api: Literal["chat", "completion"] = "chat"
    """chat: /chat/completions. completion: /completions, for a base model."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; never the key. null: a server that wants none."""
    concurrency: PositiveInt = 16
    """Requests under way at once."""
    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """Of one attempt, from the request to the end of the reply."""
    retries: Annotated[int, Field(ge=0)] = 5
    """Further attempts after refusals for load, errors of the server, time-outs and replies that are none."""
    retry_wait_s: Annotated[float, Field(ge=0)] = 1.0
    """Before the first further attempt, at most; doubled for each, with jitter. A server's Retry-After goes first."""

    @field_validator("base_url")
    @classmethod
    def names_a_server(cls, value: str) -> str:
        parts = urlsplit(value)  # raises ValueError too
        if not parts.hostname or parts.port == 0:
            raise ValueError(f"{value!r} names no server; write it as http://127.0.0.1:8000/v1")
        return value


class LocalJudgeConfig(Section):
    """A judge model in this process, for one machine."""

    path: str
    """Folder or Hub id of a text model in Hugging Face layout; Audio-Thinker's judge is Qwen/Qwen3-8B-Base [P]."""
    style: Literal["completion", "chat"] = "completion"
    """completion: the prompt as it is, for a base model [P]. chat: the prompt as one user turn, thinking off."""
    batch_size: PositiveInt = 16
    """Prompts answered together; up to about 3,000 tokens each."""
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""


class JudgeConfig(Section):
    """The language model that scores reasoning: exactly one of `endpoint` and `local`. docs/judges.md describes it."""

    endpoint: EndpointConfig | None = None
    """A server; its `api` is the style of the prompt: completion for a base model, chat for the rest."""
    local: LocalJudgeConfig | None = None
    consistency_prompt_file: Path | None = None
    """A text with lines `{reasoning}`, `{answer}` and, if wanted, `{options}` to use instead of ours [O]."""
    quality_prompt_file: Path | None = None
    """The same with `{reasoning}` and, if wanted, `{question}` and `{options}` [O]."""
    answer_prompt_file: Path | None = None
    """The same with `{reference}`, `{prediction}` and, if wanted, `{question}` and `{options}` [O]."""
    max_failed_share: Share = 0.2
    """Above this share of failed calls in a step the run stops [O]."""

    @model_validator(mode="after")
    def one_model(self) -> "JudgeConfig":
        if (self.endpoint is None) == (self.local is None):
            raise ValueError("a judge is a server or a model in this process: set one of endpoint and local")
        return self
