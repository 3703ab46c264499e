"""From the bytes of a terminal to names of keys.

Invariant: any bytes whatever give names of keys and never an error; a sequence cut anywhere gives what it gives whole.
Names: "up", "down", "left", "right", "pgup", "pgdn", "home", "end", "enter", "esc", "backspace", "tab", and every
printable character by itself. Sequences and control characters that mean nothing here give nothing.
"""

from __future__ import annotations

import codecs

ESC_WAIT_S = 0.05  # after which an Escape stands for itself: terminals send sequences in one piece
MOST_PENDING = 32  # bytes of an unfinished sequence, past which it is none

# Final bytes and numbers of xterm's control sequences (ctlseqs: "PC-Style Function Keys", "VT220-Style Function Keys").
_LETTERS = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "M": "enter"}
_NUMBERS = {"1": "home", "4": "end", "5": "pgup", "6": "pgdn", "7": "home", "8": "end"}
_CONTROLS = {"\r": "enter", "\n": "enter", "\t": "tab", "\x7f": "backspace", "\x08": "backspace", "\x15": "clear"}


class Keys:
    """A state machine: `feed` bytes as they come, `flush` when none came for ESC_WAIT_S while `pending`."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._sequence = ""  # an escape sequence so far, from its Escape

    @property
    def pending(self) -> bool:
        """Whether an Escape waits for what may follow it."""
        return bool(self._sequence)

    def feed(self, data: bytes) -> list[str]:
        """The keys that these bytes complete."""
        found = []
        for character in self._decoder.decode(data):
            key = self._take(character)
            if key:
                found.append(key)
        return found

    def flush(self) -> list[str]:
        """Nothing followed: an Escape is the key of that name; the beginning of a longer sequence is nothing."""
        alone = self._sequence == "\x1b"
        self._sequence = ""
        return ["esc"] if alone else []

    def _take(self, character: str) -> str:
        if character == "\x1b":
            again = self._sequence == "\x1b"  # Escape twice: the first stood for itself
            self._sequence = "\x1b"
            return "esc" if again else ""
        if not self._sequence:
            if character.isprintable():
                return character
            return _CONTROLS.get(character, "")
        self._sequence += character
        if len(self._sequence) == 2:
            if character not in "[O":
                self._sequence = ""  # Alt and a key
            return ""
        if "@" <= character <= "~" or len(self._sequence) > MOST_PENDING:
            body, self._sequence = self._sequence[2:], ""
            if body[-1] == "~":
                return _NUMBERS.get(body[:-1].partition(";")[0], "")
            return _LETTERS.get(body[-1], "")
        return ""
