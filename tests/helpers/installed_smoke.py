"""What a new user would try, in an environment that holds an installed harken and nothing of the checkout.

It runs with the installed package's own Python, in an empty folder: commands, recipes, a tiny checkpoint, two steps of
each loop, an evaluation with every kind of audio, a plot and a report.
"""

import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.chdir(tempfile.mkdtemp(prefix="harken-smoke-"))

import harken  # noqa: E402

assert Path(harken.__file__).is_relative_to(sys.prefix), f"{harken.__file__} is not the installed package"
assert harken.__version__ == importlib.metadata.version("harken")
command = Path(sys.executable).with_name("harken")
for words in (["--version"], ["--help"], ["recipes"], ["recipes", "omni_r1_avqa"]):
    assert subprocess.run([command, *words], check=True, capture_output=True, text=True).stdout
demo = harken.write_demo("demo", n_train=24, n_test=8)
small = {"steps": 2, "prompts_per_step": 2, "completions_per_prompt": 2, "max_completion_tokens": 4}
start = harken.sft(demo.recipe("sft", settings={"sft": {"steps": 2, "prompts_per_step": 4}}), "demo/sft")
run = harken.train(demo.recipe("grpo", start, {"grpo": small}), "demo/grpo")
listening = harken.evaluate_listening(
    model=run, data=demo.test, max_completion_tokens=4, out="demo/grpo/eval/listening"
)
harken.plot_accuracy({"after": listening.accuracy}, chance=0.25).save("listening.svg")
assert harken.write_report(run).stat().st_size > 100_000
versions = {name: importlib.metadata.version(name) for name in ("harken", "torch", "transformers")}
print("installed package works: Python", platform.python_version(), versions)
