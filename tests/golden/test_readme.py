"""The README's examples, run as they stand.

An example is an indented block of lines, with commands that begin with `$ `; what follows a command
is what it prints. A line `…` stands for any lines that are not shown, `…` at a line's end for its
rest. Examples that read no file of the tree (`host1.pcapng.zst`, an interface) have no `$`.

    BLESS=1 /usr/bin/python3 -m pytest tests/golden

puts the lines in order that are still known again in what is printed; others say so.
"""

import difflib
import os
import re
import shutil
import subprocess

import pytest

from lib import bustap

README = bustap.ROOT / "README.md"
CUT = "…"
INDENT = "    "
ALIKE = 0.6                                              # a line that has changed, and not another


class Example:
    """A command and the lines shown below it; `first` is the place of these in the README."""

    def __init__(self, command, first):
        self.command, self.first, self.shown = command, first, []

    def runs(self):
        """The runs of lines between those that stand for others, with their places."""
        runs = [[]]
        for place, line in enumerate(self.shown, self.first):
            runs.append([]) if line.strip() == CUT else runs[-1].append((place, line))
        return runs


def examples_of(text):
    found, current = [], None
    for number, line in enumerate(text.split("\n")):
        if line.startswith(INDENT + "$ "):
            current = Example(line[len(INDENT) + 2:], number + 1)
            found.append(current)
        elif line.startswith(INDENT) or not line.strip():
            if current:
                current.shown.append(line[len(INDENT):])
        else:
            current = None
    for example in found:
        while example.shown and not example.shown[-1].strip():
            example.shown.pop()
    return found


EXAMPLES = examples_of(README.read_text())


def printed(command):
    program = re.sub(r"\bbuild/bustap\b", lambda _: bustap.PROGRAM, command)
    done = subprocess.run(["bash", "-c", program], cwd=bustap.ROOT, capture_output=True,
                          timeout=bustap.TIMEOUT, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert not done.stderr, f"{command}\n{done.stderr.decode()}"
    return [line.rstrip() for line in done.stdout.decode().rstrip("\n").split("\n")]


def is_line(shown, line):
    return line.startswith(shown[:-1]) if shown.endswith(CUT) else line == shown


def find(run, lines, at):
    """Where the run stands, from `at` on; None: nowhere."""
    for start in range(at, len(lines) - len(run) + 1):
        if all(is_line(shown, line) for (_, shown), line in zip(run, lines[start:])):
            return start
    return None


def check(example, lines):
    """What is shown stands in what is printed: in order, and whole but for what is left out."""
    runs, at = example.runs(), 0
    for number, run in enumerate(runs):
        place = find(run, lines, at) if run else at
        text = "\n".join(line for _, line in run)
        assert place is not None, f"$ {example.command}\ndoes not print (any more)\n\n{text}"
        assert number or place == 0 or not run, f"$ {example.command}\nbegins with\n\n{lines[0]}"
        at = place + len(run)
    assert not runs[-1] or at == len(lines), f"$ {example.command}\ngoes on with\n\n{lines[at]}"


def likeness(shown, line):
    line = line[:len(shown) - 1] if shown.endswith(CUT) else line
    return difflib.SequenceMatcher(None, shown.rstrip(CUT), line, autojunk=False).ratio()


def renewed(run, lines, at):
    """The lines that are most like the run's, from `at` on, and where they end."""
    best, start = max((sum(likeness(shown, line) for (_, shown), line in zip(run, lines[i:])), -i)
                      for i in range(at, max(at, len(lines) - len(run)) + 1))
    start = -start
    assert best >= ALIKE * len(run), f"not known again, put it in order by hand: {run[0][1]}"
    new = [line[:len(shown) - 1] + CUT if shown.endswith(CUT) else line
           for (_, shown), line in zip(run, lines[start:])]
    return new, start + len(run)


def bless(example, lines):
    text, at = README.read_text().split("\n"), 0
    for run in filter(None, example.runs()):
        new, at = renewed(run, lines, at)
        for (place, _), line in zip(run, new):
            text[place] = INDENT + line if line else ""
    README.write_text("\n".join(text))


def test_there_are_examples():
    assert len(EXAMPLES) > 5


@pytest.mark.parametrize("shown, right", [
    ("a\nb\nc", True), ("a\n…", True), ("…\nc", True), ("a\n…\nc", True), ("a\nb…\nc", True),
    ("a\nb", False), ("b\nc", False), ("a\nc", False), ("…\nc\n…\nb", False), ("a\nB\nc", False),
], ids=repr)
def test_what_is_shown(shown, right):
    """The check itself, on a program that prints a, b, c."""
    example = Example("abc", 1)
    example.shown = shown.split("\n")
    if right:
        check(example, ["a", "b", "c"])
        return
    with pytest.raises(AssertionError):
        check(example, ["a", "b", "c"])


@pytest.mark.skipif(bool(os.environ.get("BLESS")), reason="see test_bless")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.command[:60])
def test_readme(example):
    for tool in re.findall(r"\| *(\w+)", example.command):
        if not shutil.which(tool):
            pytest.skip(f"no {tool} here")
    check(example, printed(example.command))


@pytest.mark.skipif(not os.environ.get("BLESS"), reason="BLESS=1 puts the README in order")
def test_bless():
    for example in EXAMPLES:
        bless(example, printed(example.command))
