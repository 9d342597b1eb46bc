"""The keys and the sound player of `harken prepare review`."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Protocol, TextIO

_PLAYERS = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "quiet"),
    ("mpv", "--no-video", "--really-quiet"),
    ("afplay",),
    ("paplay",),
)


class Keys(Protocol):
    """Where the reviewer's input comes from."""

    def key(self) -> str:
        """The next key; "" at the end of the input."""
        ...

    def line(self) -> str:
        """The rest of the line."""
        ...


class StreamKeys:
    """Single key presses of a terminal, or the characters of a file or pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def key(self) -> str:
        if not self._stream.isatty():
            return self._stream.read(1)
        import termios  # missing on systems without such terminals
        import tty

        before = termios.tcgetattr(self._stream)
        try:
            tty.setcbreak(self._stream, termios.TCSADRAIN)  # keys that were typed ahead are kept
            return self._stream.read(1)
        finally:
            termios.tcsetattr(self._stream, termios.TCSADRAIN, before)

    def line(self) -> str:
        return self._stream.readline().strip()


class Player:
    """Plays clips in the background with the first sound player that is installed; without one it plays nothing."""

    def __init__(self) -> None:
        commands = ((shutil.which(name), options) for name, *options in _PLAYERS)
        self._command = next(([path, *options] for path, options in commands if path), None)
        self._playing: subprocess.Popen[bytes] | None = None

    def play(self, clip: Path) -> None:
        self.stop()
        if self._command is not None and os.path.isfile(clip):
            nothing = subprocess.DEVNULL
            # An absolute path: a name that begins with - would be read as an option.
            command = [*self._command, str(clip.absolute())]
            self._playing = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)

    def stop(self) -> None:
        if self._playing is not None:
            self._playing.terminate()
            self._playing.wait()
            self._playing = None
