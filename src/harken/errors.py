"""Errors that a user can mend, as opposed to bugs of harken.

Every message names the file, the place and the fix. The command line prints these errors without a traceback.
"""

import sysconfig
import traceback
from pathlib import Path


class HarkenError(ValueError):
    """Something outside harken is wrong: a recipe, data, a clip, a checkpoint, a server."""


class ConfigError(HarkenError):
    """A recipe cannot be run; the message names the key, the value and the fix."""


class InUseError(HarkenError):
    """Another process writes into the folder."""


class ServerError(HarkenError):
    """A server of a language model cannot be used."""


class DataError(HarkenError):
    """A data file or a set of records cannot be used."""


class AudioError(HarkenError):
    """A clip cannot be used."""


class CheckpointError(HarkenError):
    """A checkpoint cannot be loaded, or cannot be loaded on this machine."""


class RankError(HarkenError):
    """Another process of a distributed run stopped, or did not come."""


class ReportedByOtherRankError(HarkenError):
    """Another process of the run failed and prints its error; this process ends without printing anything."""


class JudgeError(HarkenError):
    """Too many calls of a judge failed for the run to go on."""


class StoppedError(SystemExit):
    """SIGTERM or Ctrl-C ended the command. It is no failure, and no `except Exception` takes it for one.

    Attributes:
        message: what stopped it, and how to go on. Empty on ranks that leave the sentence to rank 0.
    """

    EXIT_CODE = 75
    """EX_TEMPFAIL of sysexits.h: the same can be tried again."""

    def __init__(self, message: str) -> None:
        super().__init__(self.EXIT_CODE)
        self.message, self._advised = message, False

    def advise(self, sentence: str) -> None:
        """Say how to go on, unless an inner block, which knows more, has said so."""
        if not self._advised:
            self.message, self._advised = f"{self.message}. {sentence}", True


def raised(error: BaseException) -> str:
    """`ValueError: the message (barks.py, line 12)`, for an exception that a user's own code raised.

    The place is the innermost one outside harken and the standard library, where there is one.
    """
    elsewhere = (str(Path(__file__).parent), sysconfig.get_path("stdlib") + "/", "<frozen ")
    frames = traceback.extract_tb(error.__traceback__)
    sites = [frame for frame in frames if "site-packages" in frame.filename or not frame.filename.startswith(elsewhere)]
    message = f"{type(error).__name__}: {error}"
    return f"{message} ({Path(sites[-1].filename).name}, line {sites[-1].lineno})" if sites else message


def short_repr(value: object, limit: int = 80) -> str:
    """The repr of a value for an error message, cut at `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
