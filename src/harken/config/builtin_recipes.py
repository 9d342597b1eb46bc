"""The recipes that come with harken, by name.

A recipe argument of a command and the key `extends` of a recipe go through here: a bare name (`omni_r1_avqa`) is a
built-in recipe, anything with a folder or an ending (`mine.yaml`, `recipes/mine.yaml`) is a path.
"""

from pathlib import Path

from harken.errors import ConfigError, did_you_mean


def builtin_recipes() -> dict[str, Path]:
    """Name -> file, sorted. An installed wheel has the folder inside the package, a checkout at its root."""
    here = Path(__file__).resolve()
    folder = next(path for path in (here.parents[1] / "recipes", here.parents[3] / "recipes") if path.is_dir())
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def recipe_file(name_or_path: str) -> Path:
    """The file that a recipe argument names. Raises ConfigError for a name that no built-in recipe has."""
    if Path(name_or_path).name != name_or_path or Path(name_or_path).suffix:
        return Path(name_or_path)
    known = builtin_recipes()
    if name_or_path not in known:
        raise ConfigError(
            f"no built-in recipe is named {name_or_path!r}{did_you_mean(name_or_path, known)}: `harken recipes` lists "
            "them; a file ends in .yaml"
        )
    return known[name_or_path]


def recipe_text(file: Path) -> str:
    """The text of a recipe. Raises ConfigError where the file cannot be read or is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 at byte {error.start}; save the recipe as UTF-8") from error


def about(file: Path) -> tuple[str, list[str]]:
    """(what a recipe stands for, the commands that use it), from the comment lines it begins with.

    Indented lines are commands; a backslash at the end of a line continues it.
    """
    lines = []
    for line in recipe_text(file).replace("\\\n#", "").split("\n"):
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#"))
    commands = [" ".join(line.split()) for line in lines if line.startswith("   ")]
    return " ".join(line.strip() for line in lines if line.strip() and not line.startswith("   ")), commands
