"""Runs the program and reads what it says.

    report = bustap.analyze(path)                 # the JSON of `bustap analyze --json`
    events = bustap.dump(path)                    # the objects of `bustap dump --json`

Every run, also one that a test makes for another reason, is checked for output that could harm a
terminal. A run that does not end as expected fails with the command, the exit code and the standard
error; every failing test lists the commands it ran and how to repeat it alone (see conftest.py).

The names of the JSON members of a dumped event are used in this file only: `messages`, `short`,
`named` and friends are what the tests call.
"""

import datetime
import json
import os
import pathlib
import shlex
import subprocess
import unicodedata

from lib import contract

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("BUSTAP", str(ROOT / "build" / "bustap"))
TIMEOUT = 60


COMMANDS = []                           # of the running test; conftest shows and clears them


class Run:
    def __init__(self, args, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.command = " ".join(shlex.quote(str(a)) for a in [PROGRAM, *args])
        COMMANDS.append(self.command)

    @property
    def text(self):
        return self.out.decode()

    def __str__(self):
        return (f"\n  command  {self.command}\n  exit     {self.code}\n"
                f"  stderr   {self.err.decode(errors='backslashreplace').strip() or '(nothing)'}")


def run(*args, code=0, stdin=None):
    """One run. `code` is the exit code it must have, or several; None accepts 0, 1 and 2."""
    done = subprocess.run([PROGRAM, *map(str, args)], input=stdin, capture_output=True,
                          timeout=TIMEOUT, env={**os.environ, "LC_ALL": "C.UTF-8"})
    result = Run(args, done)
    wanted = (0, 1, 2) if code is None else code if isinstance(code, tuple) else (code,)
    assert result.code in wanted, f"exit code {result.code}, expected {wanted}{result}"
    for name, stream in (("standard output", result.out), ("standard error", result.err)):
        bad = harmful(stream)
        assert not bad, f"{name} holds raw bytes that a terminal acts on: {bad}{result}"
    return result


HARMLESS = b"\n" + bytes(range(0x20, 0x7f))


def harmful(stream):
    """Whatever a terminal might act on, with its place: control characters, bidirectional marks
    and bytes that are not UTF-8. New lines are the only control characters allowed."""
    if not stream.translate(None, HARMLESS):
        return []
    try:
        text = stream.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8: {error}"
    return [f"U+{ord(c):04X} at character {i}" for i, c in enumerate(text)
            if c != "\n" and (c < " " or c == "\x7f"
                              or not c.isascii() and unicodedata.category(c) in ("Cc", "Cf"))][:5]


def analyze(*args, code=0, stdin=None):
    """The report as a dictionary."""
    result = run("analyze", "--json", *args, code=code, stdin=stdin)
    try:
        report = json.loads(result.out)
    except ValueError as error:
        raise AssertionError(f"the report is not JSON: {error}{result}") from None
    contract.check_report(report)
    return report


# What there are thousands of.
BULK = ("bus-message", "request", "reply", "silent", "replicated")


def dump(*args, code=0, stdin=None, without=()):
    """The events, one dictionary each, in their order. Of those of the types in `without` only the
    first and the last of all is read: it takes minutes to read millions."""
    result = run("dump", "--json", *args, code=code, stdin=stdin)
    lines, marks = result.out.splitlines(), [f'"event":"{name}"'.encode() for name in without]
    events = []
    for number, line in enumerate(lines, 1):
        if 1 < number < len(lines) and any(mark in line[:80] for mark in marks):
            continue
        try:
            events.append(json.loads(line))
        except ValueError as error:
            raise AssertionError(f"line {number} is not JSON: {error}\n{line!r}{result}") from None
    return events


def everything(*args):
    """All that the program can say about a capture, as one string: for looking for what must not
    be there."""
    commands = (("analyze",), ("analyze", "--json"), ("analyze", "-v"), ("dump",),
                ("dump", "--json"), ("dump", "-v"))
    return "".join(r.out.decode() + r.err.decode()
                   for r in (run(*command, *args, code=None) for command in commands))


# ------------------------------------------------------------------------------ events

def named(events, name):
    return [e for e in events if e["event"] == name]


def messages(events, type_=None):
    """The bus messages, or those of one type. One of which bytes are missing is left out: of such
    a message only type, length and sender are known."""
    return [e for e in named(events, "bus-message")
            if type_ in (None, e["type"]) and not e.get("incomplete")]


def incomplete(events):
    """The messages that were seen with bytes missing."""
    return [e for e in named(events, "bus-message") if e.get("incomplete")]


# what clients and servers say to each other, and what the decoder makes of it
CLIENTS = ("request", "reply", "silent", "unanswered", "unmatched", "push", "redirect",
           "replication", "replicated", "opaque")


def of_clients(events):
    return [e for e in events if e["event"] in CLIENTS]


def types(events):
    return [m["type"] for m in messages(events)]


def anomalies(events):
    return [e["name"] for e in named(events, "anomaly")]


# members that say where, when and how something was seen, not what it was
PLACE = ("time", "frame", "source", "offset", "after_gap")


def short(event, *without):
    """An event without its place, ready to be compared."""
    return {k: v for k, v in event.items() if k not in PLACE and k not in without}


def by_direction(events, *without, of=messages):
    """The bus messages of each direction of each connection, or other events, without their
    places."""
    found = {}
    for e in of(events):
        found.setdefault((e["src"], e["dst"]), []).append(short(e, *without))
    return found


def first_difference(left, right, names=("expected", "found")):
    """Where two lists of events part, in words; empty when they are equal."""
    for i in range(max(len(left), len(right))):
        a = left[i] if i < len(left) else None
        b = right[i] if i < len(right) else None
        if a != b:
            p, q = a or {}, b or {}
            keys = sorted(k for k in {*p, *q} if p.get(k) != q.get(k))
            show = lambda e: {k: e.get(k) for k in ("event", "type", *keys)} if e else "(no more)"
            return f"number {i + 1}: {names[0]} {show(a)}\n          {names[1]} {show(b)}"
    return ""


def same_messages(expected, found, *without, names=("expected", "found"), of=messages):
    """Both runs saw the same messages (or other events), per direction; else an error shows where
    they part."""
    a, b = by_direction(expected, *without, of=of), by_direction(found, *without, of=of)
    for direction in sorted({*a, *b}):
        said = first_difference(a.get(direction, []), b.get(direction, []), names)
        assert not said, f"events differ on {direction[0]} > {direction[1]}\n{said}"


def when(nanoseconds):
    """RFC 3339, UTC, nanoseconds: as the program reads and writes times."""
    seconds, rest = divmod(int(nanoseconds), 10 ** 9)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def node_row(report, node):
    """The row of bus.by_node for a node id; an empty one if the node is not there."""
    for row in report["bus"]["by_node"]:
        if row["node"] == node:
            return row
    return {"node": node, "sent": {}, "received": {}}
