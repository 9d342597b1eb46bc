"""Finds numbers by texts in 32 to 64 bytes a text, where a dictionary of the texts would take 200.

The table holds hashes and no texts. Two texts may have the same hash, so whoever looks a number up compares the text
that belongs to it.
"""

from array import array
from collections.abc import Iterator


class HashTable:
    """The numbers of texts, by the hashes of the texts (open addressing, at most half full)."""

    def __init__(self) -> None:
        self._keys, self._numbers = array("q", bytes(8 << 10)), array("Q", bytes(8 << 10))
        self._n = 0

    def numbers(self, text: str) -> Iterator[int]:
        """The numbers that were added under the text, and hardly ever one of another text, in the order of adding."""
        key, mask = hash(text) or 1, len(self._keys) - 1
        place = key & mask
        while self._keys[place]:
            if self._keys[place] == key:
                yield self._numbers[place]
            place = (place + 1) & mask

    def add(self, text: str, number: int) -> None:
        """Add a number, 0 or more, under a text; there may be others."""
        if 2 * self._n >= len(self._keys):
            self._double()
        self._put(hash(text) or 1, number)
        self._n += 1

    def _put(self, key: int, number: int) -> None:
        mask = len(self._keys) - 1
        place = key & mask
        while self._keys[place]:
            place = (place + 1) & mask
        self._keys[place], self._numbers[place] = key, number

    def _double(self) -> None:
        keys, numbers = self._keys, self._numbers
        size = 2 * len(keys)
        self._keys, self._numbers = array("q", bytes(8 * size)), array("Q", bytes(8 * size))
        for key, number in zip(keys, numbers, strict=True):
            if key:
                self._put(key, number)
