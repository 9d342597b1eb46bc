"""Tests of README.md and docs/: every link and anchor leads somewhere, every command parses, every file and name that a
page mentions exists, and the README's tree lists the folders that there are."""

import importlib
import re
import sys
import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from real_parsers import parsed

import recipes_table
import reference_pages
from harken.config import Recipe, RewardConfig, parse
from harken.models.tiny_checkpoint import write_tiny

ROOT = Path(__file__).parents[2]
PAGES = {str(path.relative_to(ROOT)): path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in PAGES.items()}


def prose(text: str) -> str:
    """The text without blocks of code."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join(line for line in text.split("\n") if not line.startswith("    "))


def block_lines(text: str) -> Iterator[str]:
    """The lines of code blocks; continued lines are joined and comments are left out."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    indented = [line[4:] for line in text.split("\n") if line.startswith("    ")]
    for line in "\n".join([*fenced, *indented]).replace("\\\n", " ").split("\n"):
        yield re.sub(r"\s{2,}#.*|^#.*", "", line).strip()


def inline(text: str) -> list[str]:
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(text))]


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as mkdocs makes them; GitHub makes the same of these headings."""
    names = set()
    for heading in re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.M):
        plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
        names.add(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower()))
    return names


@pytest.mark.parametrize("name", PAGES)
def test_every_relative_link_and_anchor_leads_somewhere(name):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(TEXTS[name])) + re.findall(r'(?:src|srcset)="([^"]+)"', TEXTS[name])
    for link in links:
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), link
            continue
        file, _, anchor = link.partition("#")
        target = PAGES[name] if not file else (PAGES[name].parent / file).resolve()
        assert target.exists(), f"{name}: {link}"
        if name != "README.md":
            assert target.is_relative_to(ROOT / "docs"), f"{name}: {link}: a page of the site leads out of it"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{name}: {link}"


def test_every_page_is_in_the_sites_navigation():
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    def files(entry) -> set[str]:
        values = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else [entry]
        return {entry} if isinstance(entry, str) else set().union(*map(files, values))

    assert files(settings["nav"]) == {path.name for path in PAGES.values()} - {"README.md"}


LINES = [(name, line) for name, text in TEXTS.items() for line in block_lines(text)]
HARKEN_LINES = sorted({(name, line) for name, line in LINES if line.startswith("harken ")})
HARKEN_INLINE = sorted(
    {(name, code) for name, text in TEXTS.items() for code in inline(text) if code.startswith("harken ")}
)


@pytest.mark.parametrize(("name", "line"), HARKEN_LINES)
def test_every_harken_line_of_a_block_is_a_command_with_all_it_needs(name, line):
    parsed(line, whole=True)


@pytest.mark.parametrize(("name", "code"), HARKEN_INLINE)
def test_every_harken_command_in_a_sentence_exists_with_its_options(name, code):
    parsed(code, whole=False)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("harken train omni_r1_avqa --not-there", "No such option"),
        ("harken nothing", "no command nothing"),
        ("harken evaluate --limit many", "valid integer"),
        ("harken train omni-r1", "no built-in recipe"),
        ("harken score predictions.json", "Missing"),
        ("harken ask clip.wav", "Missing"),
    ],
)
def test_a_command_that_would_not_run_fails_here(line, message):
    with pytest.raises(Exception, match=message):
        parsed(line, whole=True)


def test_an_option_that_does_not_exist_fails_here():
    with pytest.raises(Exception, match="No such option"):
        parsed("harken evaluate --forced no_think", whole=False)


@pytest.mark.parametrize("name", PAGES)
def test_targets_of_make_extras_of_pip_and_recipes_by_name_exist(name):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for line in [*block_lines(TEXTS[name]), *inline(TEXTS[name])]:
        if line.startswith("make "):
            assert line.split()[1] in targets, line
        for names in re.findall(r"(?:harken|\.)\[([a-z,]+)\]", line):
            assert set(names.split(",")) <= extras.keys(), line


@pytest.mark.parametrize("name", PAGES)
def test_files_of_the_project_that_a_page_names_exist(name):
    ends = r"(?:py|yaml|sh|md|txt|j2|ipynb|svg|png)"
    text = "\n".join([*block_lines(TEXTS[name]), *inline(TEXTS[name])])
    for path in re.findall(rf"(?<![\w./<-])((?:src|benchmarks|recipes|tests|docs|notebooks)/[\w./-]*\.{ends})\b", text):
        assert (ROOT / path).is_file(), path
    for path in re.findall(r"(?<![\w./-])(harken/[\w/]+\.py)\b", text):
        assert (ROOT / "src" / path).is_file(), path
    for path in re.findall(r"`((?:src/harken|tests)/[\w/]*/)`", TEXTS[name]):
        assert (ROOT / path).is_dir(), path
    folders = "|".join(path.name for path in (ROOT / "src" / "harken").iterdir() if path.is_dir())
    for path in re.findall(rf"(?<![\w./<-])((?:{folders})/[\w/]+\.py)\b", text):
        inside = [ROOT / path, ROOT / "src" / "harken" / path]
        assert any(file.is_file() for file in inside), f"{path} is neither in the project nor in src/harken"


@pytest.mark.parametrize("name", PAGES)
def test_every_dotted_name_is_a_module_or_a_name_in_one(name):
    for dotted in set(re.findall(r"`(harken(?:\.\w+)+)`", TEXTS[name])):
        if (ROOT / "src" / Path(*dotted.split("."))).with_suffix(".py").is_file():
            continue
        module, _, attribute = dotted.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), dotted


def names_of_tree_line(line: str) -> list[str]:
    """The names before the sentence; there are several where commas part them."""
    return re.split(r"\s{2,}|(?<=[a-z/]) (?=[a-z;])", line.strip())[0].split(",")


def test_the_tree_of_the_design_page_lists_the_folders_that_there_are():
    [tree] = re.findall(r"## Where things are\n\n```text\n(.*?)\n```", TEXTS["docs/design.md"], flags=re.DOTALL)
    above, package_lines = tree.split("src/harken/\n")
    top, package = (
        {name.strip().rstrip("/") for line in lines.strip("\n").split("\n") for name in names_of_tree_line(line)}
        for lines in (above, package_lines)
    )
    ignored = {"__init__.py", "__pycache__", "py.typed"}
    assert package == {path.name for path in (ROOT / "src" / "harken").iterdir()} - ignored
    made = (ROOT / ".gitignore").read_text(encoding="utf-8").replace("/", "").split("\n")
    assert top | {"src"} == {
        path.name
        for path in ROOT.iterdir()
        if path.name[0] != "." and path.name not in made and path.name != "coverage"
    }


def test_the_tree_and_the_table_of_the_design_page_list_the_folders_in_the_order_of_the_import_contract():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    order = [name for layer in layers for name in layer.split(" | ")]
    pattern = rf"\b({'|'.join(order)})(?:/|\.py)"
    tree = TEXTS["docs/design.md"].partition("src/harken/\n")[2].partition("```")[0]
    [table] = re.findall(
        r"\| folder \| what it does \|\n\|---\|---\|\n(.*?)\n\n", TEXTS["docs/design.md"], flags=re.DOTALL
    )
    assert re.findall(pattern, tree) == re.findall(pattern, table) == order
    assert re.findall(r"^### (\w+)$", TEXTS["docs/design.md"], flags=re.MULTILINE) == order[:-3]


def test_the_readme_fits_on_two_screens():
    assert TEXTS["README.md"].count("\n") < 100


def test_the_page_of_recipes_is_written_from_the_recipes():
    assert TEXTS["docs/recipes.md"] == recipes_table.page()


def test_the_pages_of_commands_and_keys_are_written_from_the_code():
    assert TEXTS["docs/command_line.md"] == reference_pages.command_page()
    assert TEXTS["docs/recipe_keys.md"] == reference_pages.keys_page()


@pytest.mark.parametrize("name", PAGES)
def test_every_page_says_in_its_first_sentence_for_whom_it_is(name):
    first = " ".join(prose(TEXTS[name]).split("\n\n")[1].split())
    assert re.search(r"\bfor (people|everyone|those|users)\b", first.split(". ")[0]), first


def python_blocks(name: str) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", TEXTS[name], flags=re.MULTILINE | re.DOTALL))


def test_the_snippets_on_adding_to_harken_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiny("qwen2_5_omni", Path("tiny"), [], 0)
    exec(compile(python_blocks("docs/extending.md"), "docs/extending.md", "exec"), {})


def test_the_recipe_of_the_page_on_adding_is_whole():
    [block] = re.findall(r"^```yaml\n(.*?)^```$", TEXTS["docs/extending.md"], flags=re.MULTILINE | re.DOTALL)
    recipe = parse(Recipe, yaml.safe_load(block), "docs/extending.md")
    assert (recipe.grpo.steps, recipe.reward.names) == (2, ("accuracy", "my_rewards:brief"))


def test_the_model_that_the_page_shows_is_that_of_its_file():
    blocks = re.findall(r"^```python\n(.*?)^```$", TEXTS["docs/extending.md"], flags=re.MULTILINE | re.DOTALL)
    [shown] = [block for block in blocks if "class AudioFlamingo" in block]
    assert shown in (ROOT / "src" / "harken" / "models" / "audio_flamingo.py").read_text(encoding="utf-8")


def test_the_reward_of_the_page_runs_and_its_settings_are_read(tmp_path, monkeypatch):
    (tmp_path / "my_rewards.py").write_text(python_blocks("docs/rewards.md"))
    monkeypatch.syspath_prepend(tmp_path)
    blocks = re.findall(r"^```yaml\n(.*?)^```$", TEXTS["docs/rewards.md"], flags=re.MULTILINE | re.DOTALL)
    named = [parse(RewardConfig, yaml.safe_load(block)["reward"], "docs/rewards.md").names for block in blocks]
    expected = [("adaptive", "format", "quality"), ("accuracy", "listening"), ("accuracy", "open_answer")]
    expected += [("accuracy", "overlong"), ("accuracy", "my_rewards:brief")]
    assert named == expected
    assert callable(importlib.import_module("my_rewards").brief)
    del sys.modules["my_rewards"]
