"""What a user can mend, as against a bug of harken.

Every message names the file, the place and the fix. The command line prints these without a traceback.
"""


class HarkenError(ValueError):
    """Something outside harken is wrong: a recipe, data, a clip, a checkpoint."""


class ConfigError(HarkenError):
    """A recipe that cannot be run; the message names the key, the value and the fix."""


class ServerError(HarkenError):
    """A server that cannot be used."""


class DataError(HarkenError):
    """A data file, or a set of records, that cannot be used."""


class AudioError(HarkenError):
    """A clip that cannot be used."""


class CheckpointError(HarkenError):
    """A checkpoint that cannot be loaded, or not here."""


class RankError(HarkenError):
    """Another process of a run stopped, or does not come."""


class ReportedByOtherRankError(HarkenError):
    """What another process of the run says already: this one ends without a word."""


class JudgeError(HarkenError):
    """A judge that fails too often for a run to go on."""


def short_repr(value: object) -> str:
    """A value as an error message shows it: its repr, cut at 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
