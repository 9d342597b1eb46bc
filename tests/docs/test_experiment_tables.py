"""The tables of recipes/digits and recipes/small with made-up answers of every row and two seeds: every cell is filled,
figures are those worked by hand, and one command puts them into the pages."""

import shutil

import pytest
from made_up_runs import answer, spoken, write_account, write_answers, write_metrics, write_steps
from small_parts import write_language_model, write_whisper

import digits_table
import small_table
import small_training
import thinker_table
from digits_figures import KINDS, MODES
from digits_readme import BEGIN, END
from digits_table import TRAINED
from figure_cells import EMPTY, clear_of_zero
from harken.assembly.assemble import assemble
from harken.stats import Estimate
from small_figures import ROWS, SETS

ANSWERS = {"warm": 8, "answers_grpo": 12, "answers_sft": 16}
"""Right answers of 20."""
PLAYED = {**dict.fromkeys(MODES, ()), "shuffled": ("clips/clean_2_theo_1.wav", "clips/noisy_2_theo_1.wav")}


def of_model(kind, right_easy, right_hard, no_think):
    """(right, without thinking) by difficulty of a kind of question."""
    easy, hard = ((right_easy, no_think), (right_hard, no_think))
    return dict(zip(KINDS[kind], (easy, hard)[-len(KINDS[kind]) :], strict=True))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """ATAR never thinks, has 18 of 20 easy and 12 of 20 hard questions right, and with every answer forced to think 19
    of 20; the accuracy reward always thinks, and has 16 of 20 hard ones right. On faint digits thinking is kept."""
    runs = tmp_path_factory.mktemp("digits")
    for seed in (runs / "seed0", runs / "seed1"):
        for name, right in ANSWERS.items():
            for part in ("test", "dev", "speaker"):
                for mode, heard in PLAYED.items() if part == "test" else [("", ())]:
                    unreadable = {"choice": None, "correct": False} if mode == "none" else {}
                    rows = [{**row, **unreadable} for row in spoken({"clean": (right, 20)}, heard)]
                    rows[0] |= {"choice": "one", "correct": True}
                    write_answers(seed / name / "eval" / f"answers-{part}" / mode, rows)
        for kind, reward in [(kind, "") for kind in KINDS] + TRAINED:
            run = seed / (f"{kind}_{reward}" if reward else "start")
            hard = {"accuracy": 16, "atar": 6 if kind == "faint" else 12}.get(reward, 10)
            thinks = reward == "accuracy"
            figures = of_model(kind, 18, hard, 0 if thinks else 20)
            if (kind, reward) == ("faint", "atar"):
                figures["drowned"] = (6, 0)
            for mode, heard in PLAYED.items():
                write_answers(run / "eval" / f"{kind}-test" / mode, spoken(figures, heard))
            forced = {"no_think": figures, "think": figures if kind == "faint" else of_model(kind, 19, 19, 0)}
            for name, rows in {"dev": figures, "speaker": figures, "test-sampled": of_model(kind, 10, 10, 5)}.items():
                write_answers(run / "eval" / f"{kind}-{name}", spoken(rows))
            for way, rows in forced.items():
                write_answers(run / "eval" / f"{kind}-test-{way}", spoken(rows))
            write_metrics(run, KINDS[kind])
        write_account(seed, ["data", "tiny", "train warm", "train warm", "evaluate warm"])
    return runs


@pytest.fixture(scope="module")
def digits_text(digits):
    return digits_table.tables(digits)


def cells_of(text, section, *beginnings):
    """The cells of the only line that begins with these cells, of the table below this heading."""
    text = text.partition(f"### {section}\n")[2].partition("### ")[0]
    [line] = [line for line in text.splitlines() if line.startswith("| " + " | ".join(beginnings) + " |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_cell_of_spoken_digits_is_filled_with_figures_worked_by_hand(digits_text):
    text = digits_text
    assert EMPTY not in text
    assert text.count("### ") == 8
    for seed in "01":
        grpo = cells_of(text, "GRPO beside SFT, answers alone", seed, "GRPO")
        assert grpo[3].startswith("+20.0 [")  # 12 of 20 against 8 of 20
        assert grpo[4].startswith("-20.0 [")  # against 16 of 20
        assert [cell.split()[0] for cell in grpo[5:8]] == ["5.0", "5.0", "100.0"]  # one readable answer, and right
        sums = cells_of(text, "Thinking", seed, "sums", "ATAR")
        assert [cell.split()[0] for cell in sums[3:9]] == ["100.0", "100.0", "25.0", "25.0", "90.0", "60.0"]
        assert sums[9].startswith("-10.0 [")  # 12 against 16 of 20 hard ones, and 18 of 20 easy ones in both
        assert sums[11] == "4.0"
        section = "Where thinking is dropped and where it is kept"
        case = cells_of(text, section, seed, "sums of two digits, four choices", "ATAR")
        assert [case[3].split()[0], case[4].split()[0]] == ["60.0", "95.0"]
        assert case[5].startswith("+35.0 [")
        assert case[6:8] == ["65.0", "keep"]  # (1 + 0.95) / 3; and p = 0.6 is below it
        assert cells_of(text, section, seed, "digits drowned in noise", "ATAR")[8].split()[0] == "0.0"
        unequal = cells_of(text, "No-think rates by what is played", seed, "faint", "ATAR", "drowned")
        # half of the shuffled clips that are played for the clean questions are noisy
        assert [cell.split()[0] for cell in unequal[4:]] == ["0.0"] * 5 + ["50.0"]
    assert cells_of(text, "Where the time went", "0", "train (1)")[2:4] == ["40", "20"]  # one step in two goes


def test_the_lines_on_spoken_digits_say_where_thinking_is_dropped_and_kept(digits_text):
    text = digits_text
    helps = cells_of(text, "What the tables say", "thinking helps and ATAR drops it")
    # noisy, and two digits with four choices, and ATAR's two digits with two choices, of two seeds
    assert helps[2] == "10 of 26 cases"
    assert "seed 1, ATAR, sums two: no-think 100.0 %, thinking helps by +35.0 [" in helps[1]
    kept = cells_of(text, "What the tables say", "thinking does not help and ATAR keeps it")
    assert kept[2] == "2 of 26 cases"
    assert kept[1].startswith("seed 0, ATAR, faint drowned: no-think 0.0 %, thinking helps by +0.0 [")
    rule = cells_of(text, "What the tables say", "the rule, with p and q of the model itself, says what ATAR does")
    # ATAR's p = 0.6 is below 0.65 in six cases, and that without balance has 0.5 below 0.65 in four and 0.5 for a
    # threshold of 0.5 in two, where these made-up models do not think
    assert rule[2] == "in 14 of 26 cases"
    assert cells_of(text, "What the tables say", "ATAR against the accuracy reward, sums")[2] == "below in 2 of 2 seeds"
    assert (
        cells_of(text, "What the tables say", "tokens an answer, sums: ATAR beside the accuracy reward")[1]
        == "4.0, 4.0 beside 8.0, 8.0"
    )


def estimate(low, high):
    return Estimate((low + high) / 2, low, high, 10, 10)


def test_seeds_are_counted_by_their_intervals():
    gains = [estimate(0.1, 0.2), estimate(-0.2, -0.1), estimate(-0.1, 0.1), None, estimate(0.0, 0.1)]
    assert clear_of_zero(gains) == "above zero in 1, below in 1, neither in 2 of 4 seeds"
    assert clear_of_zero([None]) == EMPTY
    assert clear_of_zero([estimate(0.1, 0.2)]) == "above zero in 1 of 1 seed"


def test_one_command_fills_the_pages_of_spoken_digits_and_changes_nothing_a_second_time(
    digits, digits_text, tmp_path, monkeypatch
):
    monkeypatch.setattr(digits_table, "tables", lambda runs: digits_text)
    for page in ("README.md", "docs/results.md"):
        (tmp_path / page).parent.mkdir(exist_ok=True)
        shutil.copy(digits_table.ROOT / page, tmp_path / page)
    monkeypatch.setattr(digits_table, "ROOT", tmp_path)
    monkeypatch.setattr(digits_table, "PICTURE", tmp_path / "docs" / "curves.svg")
    monkeypatch.setattr("sys.argv", ["digits_table.py", str(digits), "--write"])
    digits_table.main()
    written = [(tmp_path / page).read_text() for page in ("README.md", "docs/results.md", "docs/curves.svg")]
    readme, results, curves = written
    [row] = [line for line in readme.splitlines() if line.startswith("| spoken digits, SFT, as many steps |")]
    assert "| 40.0, 40.0 | 80.0, 80.0 | +40.0 [" in row
    assert EMPTY not in readme.partition(BEGIN)[2].partition(END)[0]
    assert EMPTY not in results.partition(BEGIN)[2].partition(END)[0]
    assert curves.count("<text") > len(TRAINED) - len(KINDS)
    digits_table.main()
    assert written == [(tmp_path / page).read_text() for page in ("README.md", "docs/results.md", "docs/curves.svg")]


def set_rows(right, total, unreadable=0):
    """Answers to `total` easy questions about speech. The first `right` answers are right and all others wrong, and the
    last `unreadable` of them name no choice."""
    rows = [answer(f"{n}", "easy", right=n < right, thinks=False, clip=f"{n}.wav", task="speech") for n in range(total)]
    return [*rows[: total - unreadable], *({**row, "choice": None} for row in rows[total - unreadable :])]


RIGHT = {
    "align": (60, 30, 40, 40, 40),
    "audio": (80, 35, 40, 40, 40),
    "no_audio": (60, 30, 40, 40, 40),
    "arc": (60, 30, 70, 55, 50),
    "sft_audio": (60, 30, 40, 40, 40),
    "sft_arc": (60, 30, 70, 55, 50),
}
"""Row -> right answers of 100 on each set."""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    runs = tmp_path_factory.mktemp("small")
    write_whisper(runs / "whisper")
    write_language_model(runs / "llama", "llama")
    for seed in (runs / "seed0", runs / "seed1"):
        for row, counts in RIGHT.items():
            for kind, right in zip(SETS, counts, strict=True):
                unreadable = 40 if (row, kind) == ("align", "arc") else 0
                write_answers(seed / row / "eval" / kind, set_rows(right, 100, unreadable))
        for row in small_training.TRAINED:
            # Of 30 steps the first 10 earn 0.2 and the others 0.5: 0.35 in the first 20, 0.5 in the last 20.
            common = {"answer/unreadable": 0.1, "reward/equal_groups": 0.75}
            write_steps(seed / row, [{"reward/accuracy": 0.2 if step < 10 else 0.5} | common for step in range(30)])
        for row in small_training.THINKING:
            # half of the completions think in the first step, a quarter in the next 9 and none in the last 20
            write_steps(seed / row, [{"think/rate": rate} for rate in (0.5, *[0.25] * 9, *[0.0] * 20)])
        for row in small_table.THINKERS:
            for kind in ("noise", "sums"):
                for way in ("", "-no_think", "-think", "-no-audio"):
                    # the accuracy reward has 16 of the 20 hard questions right, the others 12
                    hard = 16 if row == "thinker_accuracy" else 12
                    write_answers(seed / row / "eval" / f"{kind}{way}", spoken(of_model(kind, 18, hard, 20)))
        thinking = ["digits", "sft thinker_start", "evaluate start noise-think", "train thinker_atar"]
        write_account(seed, ["parts", "sft align", "evaluate base test", *thinking])
    assemble(str(runs / "whisper"), str(runs / "llama"), runs / "seed0" / "assembled", window_s=6)
    return runs


@pytest.fixture(scope="module")
def small_text(small):
    return small_table.tables(small)


def test_every_cell_of_the_question_in_small_is_filled_with_figures_worked_by_hand(small_text):
    text = small_text
    assert EMPTY not in text
    assert cells_of(text, "Accuracy, %", "0", ROWS["audio"])[3].startswith("35.0 [")
    gains = cells_of(text, "Paired differences", "1", ROWS["arc"])
    assert [cell.split()[0] for cell in gains[2:]] == ["+0.0", "+0.0", "+30.0", "+15.0", "+10.0"]
    # The base names no choice in its last 40 answers on ARC-Easy, and is right in the first 40 of the other 60.
    readable = cells_of(text, "Paired differences where both models name a choice", "1", ROWS["arc"])
    assert readable[4].startswith("+33.3 [")
    assert readable[4].endswith(" (n 60)")
    paper = cells_of(text, "Beside the paper's table IV", "on ARC-Easy, text")
    assert paper[1:5] == ["60.2 (+7.5)", "42.2 (+11.7)", "68.2 (+2.3)", "51.7 (+2.4)"]
    assert paper[5:8] == ["60.0 (+0.0)", "30.0 (+0.0)", "55.0 (+15.0)"]
    rewarded = cells_of(text, "What GRPO was rewarded for", "0", ROWS["arc"])
    assert rewarded[2:] == ["35.0", "50.0", "10.0", "10.0", "75.0"]
    named = cells_of(text, "Right among the answers that name a choice, %", "1", ROWS["align"])
    assert named[4].startswith("66.7 [")  # 40 of 60
    whole = cells_of(text, "Thinking, all questions of a kind", "1", "ATAR", "sums")
    assert [whole[3].split()[0], whole[4].split()[0], whole[5]] == ["75.0", "-10.0", "4.0"]  # 30 and 34 of 40
    assert cells_of(text, "Sampled completions that think", "1", "ATAR")[2:] == ["50.0", "25.0", "0.0"]
    noisy = cells_of(text, "Thinking", "1", "ATAR with a judge", "noise", "noisy")
    assert [noisy[4].split()[0], noisy[5].split()[0], noisy[9:11]] == ["100.0", "60.0", ["53.3", "drop"]]


def test_the_account_has_a_sum_for_table_iv_and_one_for_the_rows_of_thinking(small_text):
    section = "Where the time went"  # each step takes 20 s on the clock and 10 of a processor
    assert cells_of(small_text, section, "1", "sum: from nothing to table IV and its controls")[2:4] == ["60", "30"]
    assert cells_of(small_text, section, "1", "sum: rows of thinking")[2:4] == ["80", "40"]


def test_the_sentences_written_beforehand_get_their_verdicts_from_the_intervals(small_text):
    text = small_text
    verdicts = [
        line.rstrip(" |").rpartition("| ")[2]
        for line in text.partition("### Beside")[0].splitlines()
        if line.startswith("| 0 |")
    ]
    # alignment 60 against 30 of 100; audio +20 and +5; no_audio +0; arc +30; MMAU +15 of +30; arc +0; SFT -20
    assert verdicts == ["holds"] * 6 + ["does not hold", "holds"]
    rule = [line for line in text.splitlines() if line.startswith("| 1 | 8.")]
    # p = q of 18 and 12 of 20, above (1 + 0.9) / 3 and (1 + 0.6) / 3, and none of the 20 answers thinks
    assert [line.split(" | ")[2] for line in rule] == [
        "clean dropped (drop), noisy dropped (drop), one dropped (drop), two dropped (drop)"
    ]


def test_one_gpu_is_counted_from_the_plans_steps_and_the_batches_of_the_evaluations(small_text):
    text, section = small_text, "On one GPU, by arithmetic"
    batches = cells_of(text, section, "evaluations of a model")
    assert batches[1] == str(len(SETS) * 4)  # 100 questions in batches of 32
    steps = [cells_of(text, section, title) for title in ROWS.values()]
    assert [cells[1] for cells in steps] == ["300", "100", "100", "100", "100", "100"]
    minutes = sum(float(cells[1]) * float(cells[2]) for cells in steps) / 60
    minutes += len(ROWS) * float(batches[1]) * float(batches[2]) / 60
    assert float(cells_of(text, section, "all 6 models")[3]) == pytest.approx(minutes, abs=1)


def test_one_command_fills_the_page_of_the_question_in_small(small, small_text, tmp_path, monkeypatch):
    monkeypatch.setattr(small_table, "tables", lambda runs: small_text)
    page = shutil.copy(small_table.PAGE, tmp_path / "small.md")
    monkeypatch.setattr(small_table, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["small_table.py", str(small), "--write"])
    small_table.main()
    assert EMPTY not in page.read_text().partition(small_table.BEGIN)[2].partition(small_table.END)[0]


def test_the_table_of_the_thinker_recipes_has_a_line_for_each_model_that_was_evaluated(tmp_path):
    for name, right in {"accuracy": 16, "atar": 12, "sft": 4}.items():
        figures = {"easy": (20, 20), "medium": (right, 20), "hard": (right, 5)}
        write_answers(tmp_path / "seed0" / name / "eval" / "test", spoken(figures))
        write_answers(tmp_path / "seed0" / name / "eval" / "test-no-think", spoken({**figures, "hard": (2, 20)}))
    text = "### A\n" + thinker_table.table(tmp_path)
    assert len(text.splitlines()) == 3 + 3
    atar = cells_of(text, "A", "0", "ATAR")
    # no-think 20, 20 and 5 of 20; right 44 of 60, then 20, 12 and 12 of 20; forced 2 of 20, so +50 points
    assert atar[2:10] == ["100.0", "100.0", "25.0", "73.3", "100.0", "60.0", "60.0", "10.0"]
    assert atar[10].startswith("+50.0 [")
    assert atar[11] == "100.0"
    assert atar[12].startswith("-13.3 [")  # 44 against 52 of 60
    assert cells_of(text, "A", "0", "SFT start")[12] == ""
