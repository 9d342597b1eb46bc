"""A score is read strictly from a reply, and a run stops when too many calls to the judge fail."""

import pytest

from harken.errors import JudgeError
from harken.judges import FailureCount, FailureLimit, Verdict, count_failures
from harken.judges.score_parsing import parse_score

# Replies


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        *((" 0.7", 0.7), ("0.73", 0.7), ("0.75", 0.8), ("0.05", 0.1), ("0.04", 0.0), ("0.25", 0.3), ("0.949", 0.9)),
        *(("0", 0.0), ("1", 1.0), ("1.0", 1.0), ("1.000", 1.0), ("0.95", 1.0), ("\t0.7\r\n", 0.7)),
        *((" 0.7\n\nCase 6\nQu", 0.7), ("\n\n0.7", 0.7)),
    ],
)
def test_a_quality_reply_is_a_plain_number_rounded_to_a_tenth(reply, score):
    assert parse_score("quality", reply) == Verdict(score, "")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        *((reply, "empty reply") for reply in ("", " ", "\n\n")),
        *(
            (reply, f"not between 0 and 1: {reply!r}")
            for reply in ("7", "1.05", "-0.1", "-0", "10", "100", "1.0000001")
        ),
        ("score 7", "not a number: 'score 7'"),
        ("1.0 because", "not a number: '1.0 because'"),
        ("0.8/1.0 The", "not a number: '0.8/1.0 The'"),
        ("Score: 1.0", "not a number: 'Score: 1.0'"),
        ("**0.8**", "not a number: '**0.8**'"),
        ("质量很高，零点八", "not a number: '质量很高，零点八'"),
        ("０.８", "not a number: '０.８'"),
        ("٠٫٨", "not a number: '٠٫٨'"),
        *(
            (reply, f"not a number: {reply!r}")
            for reply in ("0,8", ".8", "1.", "8e-1", "0.7.", "00.5", "nan", "inf", "True")
        ),
        ("<think>\nOkay, let me", "not a number: '<think>'"),
        ("9" * 5000, "not a number: '" + "9" * 78 + "…"),
        ("0." + "1" * 5000, "not a number: '0." + "1" * 76 + "…"),
    ],
)
def test_anything_else_is_no_score_and_says_why(reply, reason):
    assert parse_score("quality", reply) == Verdict(None, reason)


@pytest.mark.parametrize("aspect", ["consistency", "answer"])
def test_a_yes_or_no_reply_is_one_character(aspect):
    assert parse_score(aspect, " 1\n\nCase 7") == Verdict(1.0, "")
    assert parse_score(aspect, "0") == Verdict(0.0, "")
    assert parse_score(aspect, "").reason == "empty reply"
    for reply in ("1.0", "0.5", "7", "10", "yes", "是", "1 because", "１", "01", "-0", "Score: 1"):
        assert parse_score(aspect, reply) == Verdict(None, f"not 1 or 0: {reply!r}")


# Failures

GOOD, BUSY = Verdict(0.5, ""), Verdict(None, "status 503: 'busy since 12:01'")
SEVEN = Verdict(None, "not between 0 and 1: '7'")
REFUSED = Verdict(None, "http://h/v1 (model 'm'): status 401, the key was refused: 'no'", fatal=True)


def test_failures_are_counted_by_kind():
    later = Verdict(None, "status 503: 'busy since 12:02'")
    count = count_failures([GOOD, BUSY, SEVEN, GOOD, later])
    assert (count.n_calls, count.n_failed, count.failed_share, count.fatal) == (5, 3, 0.6, None)
    assert count.kinds == {"status 503": 2, "not between 0 and 1": 1}
    assert count.examples == {"status 503": BUSY.reason, "not between 0 and 1": SEVEN.reason}


def test_nothing_asked_is_nothing_failed():
    assert count_failures([]) == FailureCount()
    assert FailureCount().failed_share == 0.0


def test_counts_of_ranks_add_up_to_the_count_of_all():
    verdicts = [GOOD, BUSY, SEVEN, GOOD, SEVEN, GOOD, REFUSED, BUSY]
    together = count_failures(verdicts)
    for cut in range(len(verdicts) + 1):
        assert count_failures(verdicts[:cut]) + count_failures(verdicts[cut:]) == together


def test_a_share_up_to_the_limit_goes_on_and_above_it_stops_with_the_reasons():
    limit = FailureLimit(0.2)
    limit.check_step(count_failures([GOOD] * 80 + [BUSY] * 20))
    with pytest.raises(JudgeError) as error:
        limit.check_step(count_failures([GOOD] * 79 + [BUSY] * 18 + [SEVEN] * 3))
    assert str(error.value) == (
        "judge: 21 of 100 calls failed (21%, limit 20%): 18 x status 503: 'busy since 12:01'; 3 x not between 0 and 1: "
        "'7'. Mend the judge, or allow more with judge.max_failed_share, and resume the run"
    )


def test_each_kind_of_failure_is_explained_once():
    limit = FailureLimit(0.5)
    assert limit.check_step(count_failures([GOOD] * 30)) == []
    assert limit.check_step(count_failures([GOOD] * 30 + [SEVEN] * 2)) == [
        "judge: 2 of 32 calls failed: not between 0 and 1: '7'"
    ]
    assert limit.check_step(count_failures([GOOD] * 30 + [SEVEN] * 2)) == []
    assert limit.check_step(count_failures([GOOD] * 30 + [BUSY, SEVEN])) == [
        "judge: 1 of 32 calls failed: status 503: 'busy since 12:01'"
    ]


def test_steps_of_few_calls_are_pooled_before_they_are_judged():
    limit = FailureLimit(0.2)
    limit.check_step(count_failures([BUSY, GOOD]))  # half of two calls: too few to say
    for _ in range(3):
        limit.check_step(count_failures([GOOD] * 6))  # 1 of 20 in all
    limit.check_step(count_failures([BUSY] * 10))
    with pytest.raises(JudgeError, match="20 of 20 calls failed"):
        limit.check_step(count_failures([BUSY] * 10))


def test_a_refused_key_stops_at_once_where_it_fails_more_than_the_limit():
    with pytest.raises(
        JudgeError, match=r"2 of 2 calls failed \(100%, limit 20%\): http://h/v1 .* the key was refused"
    ):
        FailureLimit(0.2).check_step(count_failures([REFUSED, REFUSED]))
    glitch = FailureLimit(0.2).check_step(count_failures([GOOD] * 30 + [REFUSED]))
    assert glitch == [f"judge: 1 of 31 calls failed: {REFUSED.reason}"]
