"""The sections `endpoint` and `judge`: language models that a run sends requests to, on a server or in this process."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from harken.config.plugins import installed, is_object_name
from harken.config.section import CheckpointName, DeviceName, NonNegativeInt, PositiveInt, Section, Share


class EndpointConfig(Section):
    """A language model behind an OpenAI-compatible server."""

    base_url: str = Field(pattern=r"^https?://")
    """The address up to and with /v1. A proxy is taken from the environment (https_proxy, no_proxy)."""
    model: str = Field(min_length=1)
    """The name by which the server knows the model."""
    api: Literal["chat", "completion"] = "chat"
    """chat: requests go to /chat/completions. completion: they go to /completions, for a base model."""
    api_key_env: str | None = None
    """The name of the environment variable that holds the key; never the key itself. null: the server wants no key."""
    concurrency: PositiveInt = 16
    """The most requests that wait for a reply at the same time."""
    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    """The most requests that begin in a minute. Default: no limit."""
    timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """The longest time of one attempt, from the request to the end of the reply."""
    retries: NonNegativeInt = 5
    """The number of further attempts after a busy server, a server error, a time-out or a reply that is not a
    completion."""
    retry_wait_s: Annotated[float, Field(ge=0)] = 1.0
    """The longest wait before the first further attempt. It doubles with each attempt and is drawn at random up to that
    limit. A server's Retry-After is obeyed instead."""

    extra_body: Annotated[dict[str, Any], Field(default_factory=dict)]
    """Further fields of every request's body, as the server documents them, for example `{"seed": 1}`."""
    extra_headers: Annotated[dict[str, str], Field(default_factory=dict)]
    """Further headers of every request. A value `env:NAME` is taken from the environment variable NAME; write no secret
    here itself."""
    max_tokens_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The field of the body that limits the length of a reply. Some servers want max_completion_tokens."""

    @field_validator("extra_body")
    @classmethod
    def leaves_the_request_itself_alone(cls, value: dict[str, Any]) -> dict[str, Any]:
        own = {"model", "messages", "prompt", "max_tokens", "max_completion_tokens", "temperature", "stream", "n"}
        if own & value.keys():
            raise ValueError(f"{', '.join(sorted(own & value.keys()))} is set by harken itself: use its own key")
        return value

    @field_validator("base_url")
    @classmethod
    def names_a_server(cls, value: str) -> str:
        parts = urlsplit(value)  # raises ValueError too
        if not parts.hostname or parts.port == 0:
            raise ValueError(f"{value!r} names no server; write it as http://127.0.0.1:8000/v1")
        return value


class LocalJudgeConfig(Section):
    """A judge model in this process."""

    path: CheckpointName
    """The folder or Hub id of a text model in Hugging Face layout. Audio-Thinker's judge is Qwen/Qwen3-8B-Base [P]."""
    style: Literal["completion", "chat"] = "completion"
    """completion: the prompt as it is, for a base model [P]. chat: the prompt as the turn of a user, with thinking
    off."""
    batch_size: PositiveInt = 16
    """The number of prompts that are answered together; a prompt has up to about 3,000 tokens."""
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """The type of the model's weights."""
    device: DeviceName = "auto"
    """auto, cpu, cuda, cuda:1, ..."""


class JudgeConfig(Section):
    """What scores reasoning: one of `endpoint`, `local` and `function` (docs/judges.md)."""

    endpoint: EndpointConfig | None = None
    """A model on a server. Its `api` decides the form of the prompt: completion for a base model, chat for others."""
    local: LocalJudgeConfig | None = None
    """A model in this process."""
    function: str | None = None
    """A judge of the user's own instead of a language model, as `module:function` or the name that an installed package
    gives it (docs/judges.md)."""
    consistency_prompt_file: Path | None = None
    """A text that replaces our wording of the consistency prompt [O], with lines `{reasoning}`, `{answer}` and, if
    wanted, `{options}`."""
    quality_prompt_file: Path | None = None
    """A text that replaces our wording of the quality prompt [O], with lines `{reasoning}` and, if wanted, `{question}`
    and `{options}`."""
    answer_prompt_file: Path | None = None
    """A text that replaces our wording of the answer prompt [O], with lines `{reference}`, `{prediction}` and, if
    wanted, `{question}` and `{options}`."""
    rubric_prompt_file: Path | None = None
    """A text that replaces our wording of the rubric prompt [O], with lines `{criteria}`, `{reasoning}`, `{prediction}`
    and, if wanted, `{question}`, `{options}`, `{reference}` and `{ideal}`."""
    max_failed_share: Share = 0.2
    """The run stops if more than this share of a step's calls fail [O]."""

    @model_validator(mode="after")
    def exactly_one_model_judges(self) -> "JudgeConfig":
        if sum(judge is not None for judge in (self.endpoint, self.local, self.function)) != 1:
            raise ValueError(
                "a judge is a server, a model in this process or a function: set one of endpoint, local and function"
            )
        if self.function is not None and self.function not in installed("judge") and not is_object_name(self.function):
            raise ValueError("function: expected module:function, such as my_judge:score")
        return self
