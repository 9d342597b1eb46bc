"""The files of a release agree with each other: versions, extras, paths and places that packages come from."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from image_steps import arguments, dependencies, instructions

from harken import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere_and_has_a_heading_in_the_changelog():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["cff-version"]) == (__version__, "1.2.0")
    assert citation["license"] == PROJECT["license"]
    assert re.search(rf"^## {re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert f"version = {{{__version__}}}" in (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")


def test_the_image_copies_what_exists_and_installs_extras_that_exist():
    for sources in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, flags=re.M):
        for source in sources.split():
            assert (ROOT / source).exists(), source
            assert f"!{source}" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines(), source
    [extras] = re.findall(r"^ARG EXTRAS=(\S+)$", DOCKERFILE, flags=re.M)
    assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()
    [torch] = re.findall(r'"(torch[^"]+)"', DOCKERFILE)
    assert torch in PROJECT["dependencies"]


def test_the_steps_of_the_image_are_those_that_make_image_carries_out():
    steps = instructions(DOCKERFILE)
    assert [name for name, _ in steps if name in ("COPY", "RUN", "CMD")] == [
        "RUN",
        "COPY",
        "COPY",
        "COPY",
        "RUN",
        "CMD",
    ]
    values = arguments(steps)
    assert set(PROJECT["dependencies"]) < set(dependencies(values["EXTRAS"]))
    lowest = PROJECT["requires-python"].removeprefix(">=3.")
    assert int(values["PYTHON"].removeprefix("3.")) >= int(lowest)
    with pytest.raises(ValueError, match="RUNN is not an instruction"):
        instructions("FROM python\nRUNN pip install harken")


def test_packages_come_from_public_places():
    named = (
        "Dockerfile",
        "Makefile",
        "pyproject.toml",
        "constraints.txt",
        "CONTRIBUTING.md",
        ".pre-commit-config.yaml",
    )
    for name in named:
        hosts = set(re.findall(r"https?://([\w.-]+)", (ROOT / name).read_text(encoding="utf-8")))
        assert hosts <= {"pypi.org", "download.pytorch.org"}, (name, hosts)


def test_hooks_and_issue_forms_are_whole():
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [hook["id"] for hook in local["hooks"]] == ["ruff-format", "ruff-check", "import-order-of-folders"]
    for form in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")):
        values = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= values.keys()
        assert all(field["type"] in ("textarea", "input", "markdown") for field in values["body"])
        ids = [field["id"] for field in values["body"]]
        assert len(set(ids)) == len(ids)
