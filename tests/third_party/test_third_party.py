"""Captures that others made to test their own decoders: what is in them, and nothing else.

They are not part of the project. The folder `third-party` below BUSTAP_CAPTURES has them; without
it these tests are skipped. expected.py is the table of what each one holds.
"""

import collections
import dataclasses
import os
import pathlib

import pytest

from lib import bustap, clients, reader
from third_party.expected import CAPTURES

FOLDER = pathlib.Path(os.environ.get("BUSTAP_CAPTURES") or "/nonexistent", "third-party")
REASON = "BUSTAP_CAPTURES is not set, or has no folder third-party"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=REASON)
EACH = pytest.mark.parametrize("expected", CAPTURES, ids=lambda c: c.file)


@pytest.fixture(autouse=True)
def no_hang(monkeypatch):
    monkeypatch.setattr(bustap, "TIMEOUT", 20)


def agree(expected, found, who):
    lines = clients.disagreements(vars(expected), found)
    assert not lines, f"{who} and expected.py disagree on {expected.file}\n  " + \
        "\n  ".join(lines) + f"\nWhat is in it: {expected.says}"


def test_every_file_has_its_entry():
    """What is in the folder is in the table, and the other way round."""
    assert {c.file for c in CAPTURES} == {p.name for p in FOLDER.iterdir()}


@EACH
def test_a_second_reader_agrees(expected):
    """The table is right, as far as a slow and simple reader can tell: the program has no part in
    this. It believes everything to be Redis, so it is not asked about what is not."""
    if not expected.server:
        pytest.skip("nothing here is known to be Redis")
    host, _, port = expected.server.rpartition(":")
    raw = (FOLDER / expected.file).read_bytes()
    talks = [t for t in reader.connections(raw, (int(port),)) if t.said]
    assert {t.server for t in talks} == {(host.strip("[]"), int(port))}
    books = reader.books(raw, (int(port),))
    agree(expected, vars(books), "tests/lib/reader.py")
    assert books.published == expected.published


def named(expected):
    """The commands that the program shall name: none but those that it knows, for another word may
    be anybody's secret."""
    known = (bustap.ROOT / "decode/commands.def").read_text()
    return {name: n for name, n in expected.commands.items() if f'COMMAND("{name}"' in known}


@EACH
def test_report(expected):
    """Counts, and who the server is."""
    report = bustap.analyze(FOLDER / expected.file)
    servers = [s["addr"] for s in report["clients"]["servers"] if s["requests"] or s["replies"]]
    assert servers == ([expected.server] if expected.server else []), expected.says
    agree(dataclasses.replace(expected, commands=named(expected)), clients.counts(report["clients"]),
          "the report")


@EACH
def test_no_false_alarm(expected):
    """Nothing is wrong in any of these networks, and there is no cluster bus in them."""
    report = bustap.analyze(FOLDER / expected.file)
    loud = [(f["type"], f["severity"], f["title"]) for f in report["findings"]
            if f["severity"] in ("warning", "critical")]
    assert not loud
    assert not report["bus"]["messages"] and not report["bus"]["anomalies"]
    assert report["capture"]["loss"]["gap_bytes"] == 0
    assert not report["cluster"]["nodes"]


@EACH
def test_events(expected):
    """`dump` tells the same requests and replies as the report counts."""
    events = bustap.dump(FOLDER / expected.file)
    requests, replies = (bustap.named(events, name) for name in ("request", "reply"))
    assert clients.fits(len(requests), expected.requests), expected.says
    assert clients.fits(len(replies), expected.replies), expected.says
    found = collections.Counter(clients.asked(events))
    assert {c: found[c] for c in named(expected)} == named(expected)
    said = clients.answered(events) + [(None, e["error"]) for e in bustap.named(events, "unmatched")]
    errors = collections.Counter(error for _, error in said if error)
    assert errors == expected.errors
    assert clients.pushes(events) == expected.published
    assert not bustap.named(events, "redirect") and not bustap.named(events, "replication")


@EACH
def test_nothing_private_is_shown(expected):
    """Neither keys nor values nor passwords, in whatever form the report has."""
    output = bustap.everything(FOLDER / expected.file).replace(expected.file, "")
    assert not [text for text in expected.hidden if text in output]
