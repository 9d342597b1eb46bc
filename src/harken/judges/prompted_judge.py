"""The judge that comes with harken: it writes a prompt, sends it to a language model and reads the score.

The model is served (served_model.py) or runs in this process (local_model.py); both come through here, so that the same
text means the same prompt and the same reading of the reply. Equal prompts that are under way at the same time are sent
once, because the completions of a group are often the same.
"""

from concurrent.futures import Future
from threading import Lock
from typing import Protocol

from harken.judges.judge import Aspect, Verdict
from harken.judges.prompts import JudgePrompts
from harken.judges.score_parsing import parse_points, parse_score
from harken.system.model_messages import Failure, Reply
from harken.types import Question


class TextModel(Protocol):
    """A language model that continues prompts in the background."""

    def submit(self, text: str, aspect: Aspect) -> Future[Reply | Failure]:
        """Reply greedily with at most `MAX_NEW_TOKENS[aspect]` tokens; replies to earlier prompts come from disk."""
        ...

    def close(self) -> None: ...


class PromptedJudge:
    """A `Judge` made of prompts and a language model."""

    def __init__(self, prompts: JudgePrompts, model: TextModel) -> None:
        self._prompts, self._model = prompts, model
        self._under_way: dict[str, Future[Reply | Failure]] = {}
        self._lock = Lock()

    def submit(self, aspect: Aspect, question: Question, reasoning: str, answer: str) -> Future[Verdict]:
        verdict: Future[Verdict] = Future()
        verdict.set_running_or_notify_cancel()
        if aspect == "answer" and question.answer is None and not question.answer_text:
            verdict.set_result(Verdict(None, f"no reference: question {question.id!r} hides its answer"))
            return verdict

        if aspect == "rubric" and not question.rubric:
            verdict.set_result(Verdict(None, f"no rubric: question {question.id!r} has none"))
            return verdict

        def finish(reply: Future[Reply | Failure]) -> None:
            if reply.cancelled():
                verdict.set_result(Verdict(None, "the judge was closed before it replied"))
            elif error := reply.exception():
                verdict.set_exception(error)  # a bug of harken
            else:
                verdict.set_result(_verdict(aspect, question, reply.result()))

        self._send(self._prompts.text(aspect, question, reasoning, answer), aspect).add_done_callback(finish)
        return verdict

    def close(self) -> None:
        self._model.close()

    def _send(self, text: str, aspect: Aspect) -> Future[Reply | Failure]:
        with self._lock:
            under_way = self._under_way.get(text)
            reply = under_way or self._model.submit(text, aspect)
            self._under_way[text] = reply
        if under_way is None:
            reply.add_done_callback(lambda _: self._under_way.pop(text, None))
        return reply


def _verdict(aspect: Aspect, question: Question, reply: Reply | Failure) -> Verdict:
    if isinstance(reply, Failure):
        return Verdict(None, reply.reason, reply.fatal)
    if aspect == "rubric":
        return parse_points(question.rubric, reply.text)
    return parse_score(aspect, reply.text)
