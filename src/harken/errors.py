"""Errors that a user can mend, as opposed to bugs of harken.

Every message names the file, the place and the fix. The command line prints these errors without a traceback.
"""

import errno
import os
import sysconfig
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
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


class FileError(HarkenError):
    """A file or folder cannot be read or written: the disk is full, it is read-only, a file stands in the way."""


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


_WAYS_OUT = {
    errno.ENOSPC: "Make room, then {advice}",
    errno.EDQUOT: "Make room, then {advice}",
    errno.EFBIG: "Make room, then {advice}",
    errno.EROFS: "choose another place, or make it writable",
    errno.EACCES: "choose another place, or change its permissions",
    errno.EPERM: "choose another place, or change its permissions",
    errno.EEXIST: "choose another name, or move what stands there",
    errno.ENOTEMPTY: "choose another name, or move what stands there",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another name, or move the file",
    errno.EISDIR: "a folder stands where a file is needed; choose another name, or move the folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EILSEQ: "choose a name in UTF-8",
    errno.ELOOP: "its links lead in a circle; mend them",
    errno.ENOENT: "check the name, or restore the file",
    errno.EMFILE: "allow more open files (ulimit -n), then {advice}",
    errno.ENFILE: "close other programs, then {advice}",
}
"""Number of an error of the operating system -> advice. Errors without one may be the disk's or the network's."""


def file_error(error: OSError, advice: str = "run the same command again") -> FileError:
    """A sentence for an error of the operating system: file, reason and way out.

    Args:
        advice: how to go on once there is room on the disk, as an end of a sentence or as one of its own.
    """
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    place = " and ".join(names) or "a file"
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    then = f". {advice}" if advice[0].isupper() else f", then {advice}"
    way_out = _WAYS_OUT.get(error.errno or 0, "mend it, then {advice}").replace(", then {advice}", then)
    return FileError(f"{place}: {reason}. {way_out[0].upper()}{way_out[1:]}")


def raised(error: BaseException) -> str:
    """`ValueError: the message (barks.py, line 12)`, for an exception that a user's own code raised.

    The place is the innermost one outside harken and the standard library, where there is one.
    """
    elsewhere = (str(Path(__file__).parent), sysconfig.get_path("stdlib") + "/", "<frozen ")
    frames = traceback.extract_tb(error.__traceback__)
    sites = [frame for frame in frames if "site-packages" in frame.filename or not frame.filename.startswith(elsewhere)]
    message = f"{type(error).__name__}: {error}"
    return f"{message} ({Path(sites[-1].filename).name}, line {sites[-1].lineno})" if sites else message


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """` (did you mean 'train'?)` for a word that is near a known one, else "".

    Args:
        prefix: stands before the known word, for example the section of a key.
    """
    near = get_close_matches(word, list(known), n=1)
    return f" (did you mean '{prefix}{near[0]}'?)" if near else ""


def short_repr(value: object, limit: int = 80) -> str:
    """The repr of a value for an error message, cut at `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
