"""`harken judge check` tells a judge that knows from one that scores everything alike or by chance."""

import random
from concurrent.futures import Future

from command_line import harken, refused_by
from scripted_server import Received, Scripted, said, serving

from harken.judges.check import AspectCheck, check_cases, check_judge
from harken.judges.judge import Verdict

ASPECTS = ("consistency", "quality", "answer")


class ScriptedJudge:
    """A judge whose score is a function of what it is asked."""

    def __init__(self, score):
        self._score = score

    def submit(self, aspect, question, reasoning, answer):
        verdict = Future()
        score = self._score(aspect, question, reasoning, answer)
        verdict.set_result(Verdict(score, "" if score is not None else "not 1 or 0: 'yes'"))
        return verdict

    def close(self):
        pass


def knowing(aspect, question, reasoning, answer) -> float:
    case = next(case for case in check_cases() if case.question == question.text)
    assert question.choices[question.answer] == case.answer
    if aspect == "answer":
        return float(answer == case.right_reply)
    if aspect == "consistency":
        assert answer == case.answer
        return float(reasoning == case.supporting)
    return 0.9 if reasoning == case.supporting else 0.2


def test_the_ten_questions_have_three_choices_and_seven_different_texts():
    cases = check_cases()
    assert len({case.question for case in cases}) == 10
    for case in cases:
        assert len(set(case.choices)) == 3
        assert case.answer in case.choices
        texts = {case.supporting, case.contradicting, case.worthless, case.right_reply, case.wrong_reply}
        assert len(texts) == 5


def test_a_judge_that_knows_is_fit_and_its_mirror_image_is_not():
    assert check_judge(ScriptedJudge(knowing)) == [AspectCheck(aspect, 10, 0, 0, 0, "") for aspect in ASPECTS]
    results = check_judge(ScriptedJudge(lambda *call: 1 - knowing(*call)))
    assert results == [AspectCheck(aspect, 0, 0, 10, 0, "") for aspect in ASPECTS]
    assert not any(result.fit for result in results)


def test_a_judge_that_scores_alike_by_chance_or_not_at_all_is_unfit():
    alike = check_judge(ScriptedJudge(lambda *call: 1.0))
    assert alike == [AspectCheck(aspect, 0, 10, 0, 0, "") for aspect in ASPECTS]
    coins = random.Random(0)
    for _ in range(50):
        assert not any(result.fit for result in check_judge(ScriptedJudge(lambda *call: coins.choice((0.0, 1.0)))))
    silent = check_judge(ScriptedJudge(lambda *call: None), ("quality",))
    assert silent == [AspectCheck("quality", 0, 0, 0, 10, "not 1 or 0: 'yes'")]


def test_nine_of_ten_are_enough_and_eight_are_not():
    def mistaken(n):
        wrong = {case.question for case in check_cases()[:n]}
        return ScriptedJudge(lambda *call: 0.5 if call[1].text in wrong else knowing(*call))

    assert [result.fit for n in (1, 2) for result in check_judge(mistaken(n))] == [True] * 3 + [False] * 3


def by_prompt(request: Received) -> Scripted:
    """A model that finds each text in its prompt, so that it always knows."""
    case_text = request.body["prompt"].rpartition("\nCase ")[2]
    good = any(text[-30:] in case_text for case in check_cases() for text in (case.supporting, case.right_reply))
    return said(f" {int(good)}\n")


def test_the_command_prints_a_table_and_says_unfit_by_its_exit_code(tmp_path):
    with serving(by_prompt) as server:
        result = harken("judge", "check", "--endpoint", server.url, "--model", "m", "--api", "completion")
    assert result.code == 0, result.out
    assert result.out.count(" fit") == 3
    recipe = tmp_path / "recipe.yaml"
    with serving(lambda request: said("1")) as server:
        recipe.write_text(f"judge: {{endpoint: {{base_url: '{server.url}', model: m}}}}\n")
        result = harken("judge", "check", recipe)
    assert (result.code, result.out.count("unfit")) == (1, 3)
    with serving(lambda request: said("[bold] yes")) as server:
        result = harken("judge", "check", recipe, "--endpoint", server.url, "--model", "m")
    assert result.code == 1
    assert "quality: 10 pairs failed: not a number: '[bold] yes'" in result.out
    assert "no judge: give a recipe with a section judge" in refused_by("judge", "check")
