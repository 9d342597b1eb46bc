"""The output of a training run: on a terminal, in a log, and as JSON for a program."""

import io
import json
import logging
import re
import shlex
import subprocess
import time

import pyte
import pytest
import yaml
from rich.console import Console
from small_runs import small_recipe
from tiny_models import tiny_folder
from typer.testing import CliRunner

from harken.cli.app import app
from harken.cli.next_steps import command, next_steps
from harken.config import Recipe
from harken.data.demo_set import write_demo_set
from harken.system.console import escape_unprintable, hide_torchao_messages, print_line, print_warning
from harken.system.progress import spoken
from harken.training.progress_columns import grpo_columns, sft_columns
from harken.training.progress_table import ProgressTable

ROW = {
    **{"reward/mean": 0.5, "reward/accuracy": 0.75, "reward/format": 0.25, "loss/kl": 0.01234, "policy/entropy": 1.5},
    **{"reward/equal_groups": 0.25, "completion/length_mean": 12.34, "time/tokens_per_s": 1480.4},
    **{"memory/peak_gib": 12.04},
}


class Terminal(io.StringIO):
    """A terminal in memory. `lines()` returns what a person sees, with the lines that scrolled off."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(width, 60, history=1000)
        self.screen.set_mode(pyte.modes.LNM)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self._stream.feed(text)
        return super().write(text)

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def table(console: Console, **changes) -> ProgressTable:
    figures = grpo_columns(["accuracy", "format"], development=True, probe=False)
    return ProgressTable(console, "grpo", figures, **({"total": 40, "every": 10} | changes))


def terminal(width: int, **options) -> tuple[Terminal, Console]:
    out = Terminal(width)
    return out, Console(file=out, width=width, force_terminal=True, **({"color_system": None} | options))


def run(shown: ProgressTable, clock, steps: int) -> None:
    for step in range(1, steps + 1):
        clock[0] += 0.5
        shown.advance(step, ROW | ({"dev/accuracy": 0.875} if step == 20 else {}))


def test_logged_steps_stay_as_aligned_lines_under_their_headings(clock):
    out, console = terminal(100)
    with table(console) as shown:
        run(shown, clock, 40)
    assert out.lines() == [
        "step     left  steps/s  reward    dev       kl  entropy  accuracy  format  equal  length  tokens/s",
        "  10     15 s     2.00   0.500          0.0123      1.5     0.750   0.250   25 %    12.3     1,480",
        "  20     10 s     2.00   0.500  0.875   0.0123      1.5     0.750   0.250   25 %    12.3     1,480",
        "  30      5 s     2.00   0.500          0.0123      1.5     0.750   0.250   25 %    12.3     1,480",
        "  40      0 s     2.00   0.500          0.0123      1.5     0.750   0.250   25 %    12.3     1,480",
    ]


def test_between_them_the_newest_figures_are_drawn_and_leave_nothing_behind(clock):
    out, console = terminal(80)
    with table(console) as shown:
        run(shown, clock, 25)
        shown._live.refresh()
        seen = out.lines()
    assert seen[3] == "grpo 25/40  " + "━" * 25 + "─" * 15 + "  12 s gone, 8 s left"
    assert " ".join(" ".join(seen[4:]).split()) == (
        "reward 0.500 dev 0.875 at 20 kl 0.0123 entropy 1.5 accuracy 0.750 format 0.250 equal 25 % length 12.3 "
        "tokens/s 1,480 memory 12.0 GiB steps/s 2.00"
    )
    assert len(out.lines()) == 3  # heading and two logged steps


@pytest.mark.parametrize("width", [200, 80, 40, 20, 10])
def test_no_line_is_wider_than_the_terminal_and_whole_columns_are_left_out(clock, width):
    out, console = terminal(width)
    with table(console) as shown:
        run(shown, clock, 30)
        shown._live.refresh()
        assert all(len(line) <= width for line in out.lines())
    lines = out.lines()
    assert len(lines) == 4
    assert len({len(line.rstrip()) for line in lines if line.endswith(lines[1][-3:])}) == 1
    assert lines[0].split()[0] == "step"
    assert [line.split()[0] for line in lines[1:]] == ["10", "20", "30"]
    if width == 40:
        assert lines[0].split() == ["step", "left", "steps/s", "reward", "dev"]


def test_the_headings_come_again_above_every_twentieth_line(clock):
    out, console = terminal(80)
    with table(console, total=30, every=1) as shown:
        run(shown, clock, 30)
    found = [line.split()[0] for line in out.lines()]
    assert [i for i, word in enumerate(found) if word == "step"] == [0, 21]


def test_without_a_terminal_the_lines_name_their_figures_and_hold_no_control_codes(clock):
    for options in ({}, {"width": 40}, {"force_terminal": True, "_environ": {"TERM": "dumb"}}):
        out = io.StringIO()
        with table(Console(file=out, **options)) as shown:
            run(shown, clock, 20)
        lines = out.getvalue().splitlines()
        assert [line.split("  ")[0] for line in lines] == ["grpo 10/40", "grpo 20/40"], options
        assert lines[1] == (
            "grpo 20/40  2.00 steps/s  10 s left  reward 0.500  dev 0.875  kl 0.0123  entropy 1.5  accuracy 0.750  "
            "format 0.250  equal 25 %  length 12.3  tokens/s 1,480  memory 12.0 GiB"
        )
        assert "\x1b" not in out.getvalue()


def test_no_color_leaves_no_colour_on_a_terminal(clock):
    seen = {}
    for name, environ in (("plain", {"NO_COLOR": "1"}), ("colour", {})):
        out, console = terminal(80, color_system="standard", _environ={"TERM": "xterm", **environ})
        with table(console) as shown:
            run(shown, clock, 11)
            shown._live.refresh()
        seen[name] = re.findall(r"\x1b\[(?:\d+;)*(?:3\d|9\d)m", out.getvalue())
    assert seen["plain"] == []
    assert seen["colour"]


def test_the_last_step_has_a_line_wherever_it_comes_and_a_quiet_console_has_none(clock):
    for stop, last in ((False, 40), (True, 37)):
        out = io.StringIO()
        with table(Console(file=out), every=100) as shown:
            for step in range(1, last + 1):
                shown.advance(step, ROW, stop=stop and step == last)
        assert out.getvalue().count("\n") == 1
    out = io.StringIO()
    with table(Console(file=out, quiet=True, force_terminal=True)) as shown:
        run(shown, clock, 40)
    assert out.getvalue() == ""


def test_speed_counts_from_where_a_resumed_run_stopped(clock):
    out = io.StringIO()
    with table(Console(file=out, width=500), total=100, done=80) as shown:
        clock[0] += 20
        shown.advance(90, ROW)
    assert out.getvalue().startswith("grpo 90/100  0.50 steps/s  20 s left")


def test_a_supervised_run_shows_loss_and_gradient(clock):
    out = io.StringIO()
    columns = sft_columns(development=True, probe=True)
    shown = ProgressTable(Console(file=out, width=500), "sft", columns, total=2, every=1)
    row = {"loss/sft": 0.0004, "policy/grad_norm": 10.0, "probe/wer": 0.25, "memory/rss_gib": 0.55}
    clock[0] += 1
    shown.advance(1, row)
    assert out.getvalue() == ("sft 1/2  1.00 steps/s  1 s left  loss 4e-04  gradient 10  wer 0.250  memory 0.6 GiB\n")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (99.4, "99 s"), (120, "2 min"), (5940, "99 min"), (6000, "1 h 40"), (360300, "100 h 05")],
)
def test_times_as_people_say_them(seconds, said):
    assert spoken(seconds) == said


def test_the_table_costs_less_than_a_hundredth_of_a_short_step():
    """The shortest steps of the demo take 0.25 s; the live part is drawn once a second."""
    _, console = terminal(120)
    with table(console, total=10**6, every=10) as shown:
        shown.advance(1, ROW)
        started = time.process_time()
        for step in range(2, 202):
            shown.advance(step, ROW)
        a_step = (time.process_time() - started) / 200
        started = time.process_time()
        for _ in range(20):
            shown._live.refresh()
        a_picture = (time.process_time() - started) / 20
    assert a_step + 0.25 * a_picture < 0.0025


HOSTILE = "[red]x[/]\x1b[2J\r\n:cat: \u202e'"


def test_control_characters_in_names_are_shown_and_do_nothing(capsys):
    out, console = terminal(200, color_system="standard")
    print_line(console, HOSTILE)
    print_warning(console, HOSTILE)
    spelled = r"[red]x[/]\x1b[2J\r\n:cat: \u202e'"
    assert out.lines() == [spelled, f"warning: {spelled}"]
    assert escape_unprintable("a dog, ein Rüde, 犬") == "a dog, ein Rüde, 犬"
    print_warning(Console(quiet=True), HOSTILE)
    assert capsys.readouterr() == ("", f"warning: {spelled}\n")


def test_commands_are_quoted_as_a_shell_reads_them(tmp_path):
    words = ["printf", "%s|", "a b", "it's", "$HOME", "new\nline", "\x1b[2J\\'", "\u202e", "[red]"]
    found = subprocess.run(["bash", "-c", command(words)], capture_output=True, check=True).stdout.decode()
    assert found == "|".join([*words[2:], ""])


def test_what_to_run_next_names_the_test_file_and_keeps_prompt_and_precision(tmp_path):
    data = tmp_path / "my data"
    data.mkdir()
    (data / "test.jsonl").touch()
    values = {
        **{"name": "x", "model": {"path": "m", "precision": "bf16_mixed"}, "prompt": {"style": "r1_aqa_think"}},
        "data": {"train": [{"reader": "manifest", "file": str(data / "train.jsonl"), "audio_root": "clips"}]},
        "grpo": {"max_completion_tokens": 512},
    }
    first, second, third = next_steps(Recipe.model_validate(values), tmp_path / "run")
    assert first == (
        f"harken evaluate --model {tmp_path}/run --benchmark manifest --data '{data}/test.jsonl' --audio-root clips "
        f"--style r1_aqa_think --max-completion-tokens 512 --dtype bfloat16 --out {tmp_path}/run/eval/test"
    )
    assert second == first.replace("--out", "--no-audio --out") + "-no-audio"
    assert third == f"harken report {tmp_path}/run"
    (data / "test.jsonl").unlink()
    assert "--data TEST.json --style" in next_steps(Recipe.model_validate(values), tmp_path / "run")[0]


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    write_demo_set(folder / "data", seed=0, n_train=8, n_test=4)
    small = small_recipe(tiny_folder("qwen2_5_omni"), folder / "data" / "train.json", every=2, checkpoint_every=None)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(small.model_dump(mode="json")))
    return folder / "recipe.yaml"


def test_json_is_a_row_for_each_logged_step_and_a_summary_with_the_paths(recipe_file, tmp_path):
    for name in ("train", "sft"):
        done = CliRunner().invoke(app, [name, str(recipe_file), "--out", str(tmp_path / name), "--json"])
        assert done.exit_code == 0, done.output
        *rows, summary = [json.loads(line) for line in done.stdout.splitlines()]
        assert [row["step"] for row in rows] == [2, 4, 6]
        metrics = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        assert rows == [row for row in metrics if row["step"] in (2, 4, 6)]
        assert {"time/tokens_per_s", "time/step_s"} <= rows[0].keys()
        assert summary["checkpoint"] == str(tmp_path / name / "checkpoints" / "step_000006")
        assert summary["folder"] == str(tmp_path / name)
        assert [line.split()[1] for line in summary["next"]] == ["evaluate", "evaluate", "report"]
        counts = json.loads((tmp_path / name / "data.json").read_text())
        assert counts["kept"] + counts["rejected"] == counts["records"] == 8
        assert counts["trained_on"] + counts["development"] == counts["kept"]


def test_quiet_prints_only_the_folder_and_the_commands_named_at_the_end_run(recipe_file, tmp_path):
    out = tmp_path / "it's [red] run"
    done = CliRunner().invoke(app, ["train", str(recipe_file), "--out", str(out)])
    lines = done.stdout.splitlines()
    assert lines[-5].startswith("checkpoint: ")
    assert lines[-4] == "next:"
    for line in lines[-3:]:
        _, *words = shlex.split(line)
        ran = CliRunner().invoke(app, [*words, *(["--quiet"] if words[0] == "evaluate" else [])])
        assert ran.exit_code == 0, ran.output
        if words[0] == "evaluate":
            assert ran.stdout == f"{words[-1]}\n"
    assert (out / "report.html").is_file()
    done = CliRunner().invoke(app, ["train", str(recipe_file), "--out", str(tmp_path / "quiet"), "--quiet"])
    assert (done.stdout, done.stderr) == (f"{tmp_path / 'quiet'}\n", "")


def test_only_torchaos_messages_about_unused_kernels_are_hidden(caplog):
    hide_torchao_messages()
    said = {
        "torchao": ["Failed to load /x/_C.abi3.so: no CUDA", "Skipping import of cpp extensions due to torch 2.0"],
        "torch.utils._pytree": ["<enum 'A'> is an Enum subclass", "something else"],
        "torchao.optim": ["Failed to load the states"],
    }
    for name, lines in said.items():
        for line in lines:
            logging.getLogger(name).warning(line)
    shown = ["Skipping import of cpp extensions due to torch 2.0", "something else", "Failed to load the states"]
    assert caplog.messages == shown


@pytest.fixture
def short_demo(monkeypatch):
    """The arguments of a whole demo with twelve training questions and two steps of each loop."""
    short = {
        "sft": {"steps": 2, "prompts_per_step": 4},
        "grpo": {"steps": 2, "prompts_per_step": 2, "completions_per_prompt": 2, "max_completion_tokens": 4},
    }
    monkeypatch.setattr("harken.api.demo.SETTINGS", short)
    monkeypatch.setattr("harken.api.demo.N_TRAIN", 12)
    monkeypatch.setattr("harken.api.demo.N_TEST", 4)


def test_json_of_the_demo_is_the_rows_of_both_loops_and_a_summary_on_standard_output(short_demo, tmp_path):
    out = tmp_path / "demo"
    done = CliRunner().invoke(app, ["demo", "--out", str(out), "--json"])
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    *rows, summary = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row.pop("run"), row["step"]) for row in rows] == [("sft", 2), ("grpo", 2)]
    for run, row in zip(("sft", "grpo"), rows, strict=True):
        assert json.loads((out / run / "metrics.jsonl").read_text().splitlines()[-1]) == row
    assert summary["folder"] == str(out)
    assert summary["runs"] == [str(out / "sft"), str(out / "grpo")]
    assert summary["next"] == [f"harken report {out}/grpo --open"]
    assert summary["accuracy"].keys() == {
        f"{run} {name}" for run in ("sft", "grpo") for name in ("test", "test-no-audio")
    }
    for name, figure in summary["accuracy"].items():
        run, evaluation = name.split()
        assert figure == json.loads((out / run / "eval" / evaluation / "summary.json").read_text())["accuracy"]["all"]
    assert "| all | 4 |" in (out / "results.md").read_text()


def test_a_quiet_demo_prints_only_its_folder(short_demo, tmp_path):
    done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "demo"), "--quiet"])
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{tmp_path / 'demo'}\n", "")
    assert (tmp_path / "demo" / "results.md").is_file()


def test_quiet_and_json_together_are_refused(recipe_file, tmp_path):
    done = CliRunner().invoke(app, ["train", str(recipe_file), "--out", str(tmp_path / "x"), "--quiet", "--json"])
    assert done.exit_code == 2
    assert "give one of --quiet and --json" in done.stderr
    assert not (tmp_path / "x").exists()
