"""Stored output, byte by byte.

NAME.golden begins with the command that made it, as `# analyze --json pcaps/x.pcap.zst`; the rest is
what that must print. A change that is meant is accepted with

    BLESS=1 /usr/bin/python3 -m pytest tests/golden      (or BLESS=1 make golden)

which rewrites the files: read the diff before you commit it. A new golden is a file with only its
first line, blessed. The program's version is replaced by VERSION, so that commits change nothing.
"""

import difflib
import os
import pathlib
import re
import shlex
import subprocess

import pytest

from lib import bustap

GOLDENS = sorted(pathlib.Path(__file__).parent.glob("*.golden"))
VERSION = re.compile(r'("name":"bustap",\s*"version":)"[^"]*"')


def printed(command):
    """What the program prints, run in the root of the tree."""
    done = subprocess.run([bustap.PROGRAM, *shlex.split(command)], cwd=bustap.ROOT,
                          capture_output=True, timeout=bustap.TIMEOUT)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stderr.decode()}"
    assert not bustap.harmful(done.stdout), command
    return VERSION.sub(r'\1"VERSION"', done.stdout.decode())


def test_there_are_goldens():
    """Without them everything below would pass by doing nothing."""
    assert GOLDENS


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.stem)
def test_golden(golden):
    first, expected = (golden.read_text() + "\n").split("\n", 1)
    assert first.startswith("# "), f"{golden.name}: the first line must be '# ' and the command"
    command, expected = first[2:], expected[:-1]
    found = printed(command)
    if os.environ.get("BLESS"):
        golden.write_text(f"{first}\n{found}")
        return
    diff = "\n".join(difflib.unified_diff(expected.split("\n"), found.split("\n"),
                                          golden.name, "now", lineterm="", n=2))
    assert not diff, (f"\n{diff}\n\n  to see it alone    {bustap.PROGRAM} {command}    (in {bustap.ROOT})"
                      f"\n  if it is meant     BLESS=1 /usr/bin/python3 -m pytest "
                      f"'tests/golden/test_golden.py::test_golden[{golden.stem}]'")
