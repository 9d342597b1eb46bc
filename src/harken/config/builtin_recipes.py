"""The recipes that come with harken, by name.

Takes the word a user gave, gives a file: a name (`omni_r1_avqa`) is a shipped recipe, anything with a folder or an
ending (`mine.yaml`, `recipes/mine.yaml`) is a path. Not taken: looking for a file first and for a name second, where a
stray file would change what a command runs.
"""

from pathlib import Path

from harken.errors import ConfigError


def shipped_recipes() -> dict[str, Path]:
    """Name -> file, sorted. An installed wheel has the folder inside the package, a checkout at its root."""
    here = Path(__file__).resolve()
    folder = next(one for one in (here.parents[1] / "recipes", here.parents[3] / "recipes") if one.is_dir())
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def recipe_file(said: str) -> Path:
    """The file that a recipe argument means. Raises ConfigError for a name that no shipped recipe has."""
    if Path(said).name != said or Path(said).suffix:
        return Path(said)
    found = shipped_recipes().get(said)
    if found is None:
        raise ConfigError(f"no shipped recipe is named {said!r}: `harken recipes` lists them; a file ends in .yaml")
    return found


def about(file: Path) -> tuple[str, list[str]]:
    """(what a recipe stands for, the commands that use it): the comment lines it begins with."""
    lines = []
    for line in file.read_text(encoding="utf-8").split("\n"):
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#"))
    commands = [line.strip() for line in lines if line.startswith("   ")]
    return " ".join(line.strip() for line in lines if line.strip() and not line.startswith("   ")), commands
