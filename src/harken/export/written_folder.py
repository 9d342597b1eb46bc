"""The folder of an export while it is written: files that are copied into it, and its model card."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from harken.errors import CheckpointError
from harken.export.card_header import MODEL_CARD
from harken.export.find_checkpoints import run_folder_of
from harken.export.model_card import model_card
from harken.models.checkpoint_json import read_checkpoint_json
from harken.models.weight_files import MISTRALS_OWN
from harken.system.files import replace, replacing, write_text

BASE_CARD = "README.base.md"
"""Where the base's own model card is kept."""


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A temporary folder that becomes `out` when the block ends without an error."""
    if out.exists():
        raise CheckpointError(f"{out}: exists already; choose another --out")
    with replacing(out) as folder:
        folder.mkdir()
        yield folder


def copy_other_files(source: Path, target: Path, shards: Sequence[Path]) -> None:
    """Copy everything except the shards; links become the files that they point to.

    The state of the trainer and hidden files (.git, .cache) are left out, and so are copies of the weights in other
    formats and layouts, which would hold the untrained weights.
    """

    def left_out(folder: str, names: list[str]) -> list[str]:
        top = Path(folder) == source
        return [
            name
            for name in names
            if name.startswith((".", "pytorch_model", "tf_model", "flax_model", *MISTRALS_OWN))
            or (top and (source / name in shards or name == "trainer"))
        ]

    shutil.copytree(source, target, dirs_exist_ok=True, copy_function=shutil.copyfile, ignore=left_out)


def write_card(folder: Path, trained: Path, base: str, source: Path, *, adapter: bool) -> None:
    """Write the model card. A card that came with the base is kept beside it.

    Args:
        source: the base's folder.
    """
    if (folder / MODEL_CARD).exists():
        replace(folder / MODEL_CARD, folder / BASE_CARD)
    loaded = source if adapter else folder
    model_type = str(read_checkpoint_json(loaded / "config.json").get("model_type"))
    card = model_card(run_folder_of(trained), base, source, model_type=model_type, adapter=adapter)
    write_text(folder / MODEL_CARD, card)
