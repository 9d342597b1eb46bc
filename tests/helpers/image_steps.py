"""Carries out the steps of the Dockerfile without docker: in an environment and a folder of their own, on a CPU.

    python tests/helpers/image_steps.py RUNS          # the folder is made; `make image` calls this
    python tests/helpers/image_steps.py RUNS --index https://download.pytorch.org/whl/cpu

First pip resolves torch and all of harken's dependencies for Linux with CUDA and the image's Python, from the index and
without downloading their wheels. Then COPY, RUN and CMD are carried out in their order, with the files that
.dockerignore lets through. A folder of the image is a folder below RUNS, and its Python is this one.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
KNOWN = {"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "VOLUME", "CMD"}


def instructions(text: str) -> list[tuple[str, str]]:
    """(instruction, what follows) of each line of a Dockerfile. Raises ValueError for an instruction that is none."""
    lines = "\n".join(line for line in text.split("\n") if not line.startswith("#")).replace("\\\n", " ").split("\n")
    steps = [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1].strip()) for line in lines if line.strip()]
    if unknown := {name for name, _ in steps} - KNOWN:
        raise ValueError(f"Dockerfile: {', '.join(sorted(unknown))} is not an instruction that this program knows")
    return steps


def arguments(steps: list[tuple[str, str]]) -> dict[str, str]:
    """The values of ARG and ENV as they stand in the file."""
    pairs = [word.split("=", 1) for name, rest in steps if name in ("ARG", "ENV") for word in rest.split()]
    return {name: value for name, value in pairs}


def dependencies(extras: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["dependencies"] + [
        line for extra in extras.split(",") for line in project["optional-dependencies"][extra]
    ]


def resolve_for_cuda(values: dict[str, str], python: Path, out: Path) -> dict[str, str]:
    """Package -> version that pip would install for Linux with CUDA, from PyPI alone."""
    words = [python, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--only-binary=:all:", "--quiet"]
    words += ["--python-version", values["PYTHON"], "--target", out / "none", "--report", out / "resolved.json"]
    words += ["--index-url", values["TORCH_INDEX"], *dependencies(values["EXTRAS"])]
    own = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": ""}
    subprocess.run(words, check=True, env={**os.environ, **own})
    report = json.loads((out / "resolved.json").read_text(encoding="utf-8"))
    return {package["metadata"]["name"]: package["metadata"]["version"] for package in report["install"]}


def carry_out(steps: list[tuple[str, str]], values: dict[str, str], root: Path, environment: dict[str, str]) -> None:
    """COPY, RUN and CMD, in folders below `root`."""
    folder = root
    folder.mkdir()
    for name, rest in steps:
        if name == "WORKDIR":
            folder = root / rest.lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy_into(ROOT / source, folder / target / (source if target.endswith("/") else ""))
        elif name in ("RUN", "CMD"):
            command = " ".join(re.findall(r'"([^"]*)"', rest)) if name == "CMD" else rest
            print(f"{name} {command}", flush=True)
            subprocess.run(["sh", "-ec", command], check=True, cwd=folder, env={**environment, **values})


def copy_into(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--index", help="of torch in the steps that are carried out; default: the Dockerfile's")
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True)
    steps = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    values = arguments(steps)
    subprocess.run([sys.executable, "-m", "venv", out / "venv"], check=True)
    python = out / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True)
    packages = resolve_for_cuda(values, python, out)
    libraries = [name for name in packages if name.startswith("nvidia-")]
    print(f"{len(packages)} packages for CUDA: torch {packages['torch']}, {', '.join(libraries)}", flush=True)
    if not libraries:
        raise SystemExit(f"torch {packages['torch']} of {values['TORCH_INDEX']} comes without CUDA's libraries")
    if options.index:
        values["TORCH_INDEX"] = options.index
    path = f"{out / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PATH": path}
    carry_out(steps, {**values, "HF_HOME": str(out / "huggingface")}, out / "image", environment)


if __name__ == "__main__":
    main()
