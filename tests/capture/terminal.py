"""A terminal for the program to write to, and what a person sees of it.

    with Terminal(columns=80) as terminal:
        run = subprocess.Popen(…, stderr=terminal.end)
        …
        terminal.lines()            # what stands on it now, the lines that scrolled away included
        terminal.written()          # [(time, bytes), …], as they came
"""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
import time

# What a line that is drawn over and over needs, and nothing else is understood.
PIECES = re.compile(rb"\r|\n|\x1b\[K|\x1b\[[0-9;]*m|[\x20-\x7e]+|(?P<other>.)", re.DOTALL)


class Terminal:
    def __init__(self, columns=80, rows=24):
        self.columns = columns
        self.near, self.end = pty.openpty()
        self.resize(columns, rows)
        self.chunks = []
        self.reader = threading.Thread(target=self._read)

    def __enter__(self):
        self.reader.start()
        return self

    def __exit__(self, *_):
        os.close(self.end)
        self.reader.join()
        os.close(self.near)

    def resize(self, columns, rows=24):
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self):
        while True:
            try:
                chunk = os.read(self.near, 65536)
            except OSError:             # all other ends are closed
                return
            self.chunks.append((time.monotonic(), chunk))

    def written(self):
        return list(self.chunks)

    def all(self):
        return b"".join(chunk for _, chunk in self.chunks)

    def lines(self):
        return shown(self.all(), self.columns)


def shown(written, columns):
    """The lines of a terminal that so much was written to."""
    lines, at = [""], 0
    for piece in PIECES.finditer(written):
        text = piece.group()
        assert not piece["other"], f"no terminal is meant to get {text}"
        if text == b"\r":
            at = 0
        elif text == b"\n":             # the terminal driver has put a \r before it
            lines.append("")
        elif text == b"\x1b[K":
            lines[-1] = lines[-1][:at]
        elif not text.startswith(b"\x1b"):
            lines[-1] = lines[-1][:at].ljust(at) + text.decode() + lines[-1][at + len(text):]
            at += len(text)
    return [line.rstrip() for line in lines]
