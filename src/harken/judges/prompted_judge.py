"""A judge made of a wording and a language model: prompt, ask, parse.

Takes a model that answers texts in the background, served (http.py) or in process (local.py); both come through here,
so that the same text means the same prompt and the same reading of the reply. Equal prompts under way at one time are
asked once: the completions of a group are often the same.
"""

from concurrent.futures import Future
from threading import Lock
from typing import Protocol

from harken.judges.judge import Aspect, Verdict
from harken.judges.prompts import JudgePrompts
from harken.judges.score_parsing import parse_reply
from harken.system.model_server import Failure, Reply
from harken.types import Question


class TextModel(Protocol):
    def ask(self, text: str) -> Future[Reply | Failure]:
        """Answer greedily, at most MAX_NEW_TOKENS tokens; what was answered before comes from disk."""
        ...

    def close(self) -> None: ...


class PromptedJudge:
    """See `Judge`."""

    def __init__(self, prompts: JudgePrompts, model: TextModel) -> None:
        self._prompts, self._model = prompts, model
        self._under_way: dict[str, Future[Reply | Failure]] = {}
        self._lock = Lock()

    def submit(self, aspect: Aspect, question: Question, reasoning: str, answer: str) -> Future[Verdict]:
        verdict: Future[Verdict] = Future()
        verdict.set_running_or_notify_cancel()
        if aspect == "answer" and question.answer is None:
            verdict.set_result(Verdict(None, f"no reference: question {question.id!r} hides its answer"))
            return verdict

        def finish(asked: Future[Reply | Failure]) -> None:
            if asked.cancelled():
                verdict.set_result(Verdict(None, "the judge was closed before it replied"))
            elif error := asked.exception():
                verdict.set_exception(error)  # a bug of harken
            else:
                verdict.set_result(_verdict(aspect, asked.result()))

        self._ask(self._prompts.text(aspect, question, reasoning, answer)).add_done_callback(finish)
        return verdict

    def close(self) -> None:
        self._model.close()

    def _ask(self, text: str) -> Future[Reply | Failure]:
        with self._lock:
            known = self._under_way.get(text)
            asked = known or self._model.ask(text)
            self._under_way[text] = asked
        if known is None:
            asked.add_done_callback(lambda _: self._under_way.pop(text, None))
        return asked


def _verdict(aspect: Aspect, reply: Reply | Failure) -> Verdict:
    if isinstance(reply, Failure):
        return Verdict(None, reply.reason, reply.fatal)
    return parse_reply(aspect, reply.text)
