"""Shared by all tests below: `from lib import wire` works wherever pytest is started, and the
fixtures turn a hand-made capture into a file (`store`) and into events (`see`).

`make pytest` has several workers (pytest-xdist). Tests that mostly wait, for clusters or for packets,
are one worker's each, and begin first; so are those that share what is dear to make.
"""

import itertools
import pathlib
import shutil
import sys

import pytest

from lib import bustap, clients, wire


TESTS = pathlib.Path(__file__).parent
WAITING = {"lab": "lab", "live": "lab", "capture/test_cluster.py": "lab", "capture": "capture"}
LIVE = {}                                       # by test: outcome, seconds, why


def pytest_configure(config):
    config.addinivalue_line("markers", "xdist_group(name): tests of one worker")


def group_of(item):
    place = item.path.relative_to(TESTS)
    if waits := WAITING.get(str(place)) or WAITING.get(place.parts[0]):
        return waits
    take = item.callspec.params.get("take") if hasattr(item, "callspec") else None
    return take.name if place.parts[0] == "prop" and take else item.path.stem


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
    items.sort(key=lambda item: group_of(item) not in WAITING.values())


def pytest_runtest_logreport(report):
    """For a table at the end: what ran live, how long, and what was left out and why."""
    place, _, name = report.nodeid.partition("[")
    if not place.endswith("::test_live") or report.when == "teardown":
        return
    name, _, _ = name.rpartition("]")
    _, seconds, _ = LIVE.get(name, ("", 0, ""))
    why = report.longrepr[2].removeprefix("Skipped: ") if report.skipped else ""
    LIVE[name] = (report.outcome, seconds + report.duration, why)


def pytest_terminal_summary(terminalreporter):
    if not LIVE:
        return
    terminalreporter.section("live")
    width = max(map(len, LIVE))
    for name, (outcome, seconds, why) in LIVE.items():
        terminalreporter.write_line(f"{name:{width}}  {outcome:8} {seconds:4.0f} s  {why}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failing test says how to run it alone, and the commands to paste to see what it saw."""
    report = (yield).get_result()
    item.failed = getattr(item, "failed", False) or report.failed
    if call.when == "call":
        if report.failed:
            place = item.path.relative_to(bustap.ROOT)
            _, _, name = item.nodeid.removesuffix("@" + group_of(item)).partition("::")
            report.sections.append(("to see it alone", "\n".join([
                f"{sys.executable} -m pytest '{place}::{name}'", *bustap.COMMANDS[-6:]])))
        bustap.COMMANDS.clear()


@pytest.fixture
def tmp_path(tmp_path, request):
    """pytest's own, removed if its test passed: of all of them together it would be 13 GB."""
    yield tmp_path
    if not request.node.failed:
        shutil.rmtree(tmp_path)


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
