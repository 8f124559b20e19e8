"""A terminal with a screen that can be looked at, and keys that can be pressed: tmux, of one's own.

    with Tmux(80, 24) as tmux:
        tmux.start(command)
        tmux.until("no findings")       # waits for it, and gives the lines of the screen
        tmux.press("Down", "Enter")
"""

import os
import shlex
import shutil
import subprocess
import time


def missing():
    return None if shutil.which("tmux") else "needs tmux"


class Tmux:
    def __init__(self, columns, rows):
        self.size = ["-x", str(columns), "-y", str(rows)]
        self.socket = f"bustap-{os.getpid()}"

    def __enter__(self):
        self._do("-f", "/dev/null", "new-session", "-d", *self.size, "sh")
        self._do("set-option", "-g", "remain-on-exit", "on")
        return self

    def __exit__(self, *_):
        self._do("kill-server")

    def _do(self, *words):
        return subprocess.run(["tmux", "-L", self.socket, *words], check=True, timeout=20,
                              capture_output=True, text=True).stdout

    def start(self, command):
        """In the shell, which shows the exit status when it is over."""
        words = " ".join(shlex.quote(str(word)) for word in command)
        self._do("send-keys", "-l", f"clear; {words}; echo status $?")
        self._do("send-keys", "Enter")

    def press(self, *keys):
        self._do("send-keys", *keys)

    def resize(self, columns, rows):
        self._do("resize-window", "-x", str(columns), "-y", str(rows))

    def lines(self):
        return self._do("capture-pane", "-p").splitlines()

    def until(self, *texts, gone=()):
        """The screen, once all these texts are on it and the others are not."""
        deadline = time.monotonic() + 10
        while True:
            lines = self.lines()
            shown = "\n".join(lines)
            if all(text in shown for text in texts) and not any(text in shown for text in gone):
                return lines
            assert time.monotonic() < deadline, f"no {texts} on the screen:\n{shown}"
            time.sleep(0.05)
