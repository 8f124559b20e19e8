"""Shared by all tests below: `from lib import wire` works wherever pytest is started, and the
fixtures turn a hand-made capture into a file (`store`) and into events (`see`).
"""

import itertools
import sys

import pytest

from lib import bustap, clients, wire


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failing test says how to run it alone, and the commands to paste to see what it saw."""
    report = (yield).get_result()
    if call.when == "call":
        if report.failed:
            place = item.path.relative_to(bustap.ROOT)
            _, _, name = item.nodeid.partition("::")
            report.sections.append(("to see it alone", "\n".join([
                f"{sys.executable} -m pytest '{place}::{name}'", *bustap.COMMANDS[-6:]])))
        bustap.COMMANDS.clear()


@pytest.fixture
def store(tmp_path):
    """store(bytes, name) keeps a file for the program to read and returns its path."""
    numbers = itertools.count(1)

    def keep(data, name=None):
        path = tmp_path / (name or f"capture{next(numbers)}.pcap")
        path.write_bytes(data)
        return path
    return keep


@pytest.fixture
def see(store):
    """see(capture) returns the events that `dump --json` tells of it."""
    return lambda capture, *args, **more: bustap.dump(store(capture.pcap(**more)), *args)


@pytest.fixture
def counted(store):
    """counted(dialogue, commands, …) holds the report against what is expected (clients.check) and
    returns the events that `dump --json` tells of the same conversation."""
    def run(dialogue, commands, **expected):
        path = store(dialogue.capture.pcap())
        clients.check(path, commands, **expected)
        return bustap.dump(path)
    return run


@pytest.fixture
def link():
    """A fresh capture of one bus link from node 1 to node 2, open."""
    def make(**more):
        capture = wire.Capture()
        connection = capture.link(wire.Node(1), wire.Node(2), **more).open()
        return capture, connection
    return make
