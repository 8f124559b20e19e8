"""`watch --tui`: what is on the screen, what keys do, and the terminal afterwards."""

import json
import os
import re
import signal
import subprocess
import termios
import time

import pytest

from lib import bustap, captures
from . import cable as cables, tmux as tmuxes
from .terminal import Terminal
from .test_live import sockets, tcp_frames
from .test_status import until_failed

pytestmark = pytest.mark.skipif(cables.missing() is not None, reason=str(cables.missing()))
seen = pytest.mark.skipif(tmuxes.missing() is not None, reason=str(tmuxes.missing()))

CRASH = captures.take("kill_primary-redis-8.0.2")           # both give a finding before the end
HALVES = captures.take("half_and_half-redis-8.0.2")
ROW = re.compile(r"\d\d:\d\d:\d\d\.\d{3} (critical|warning|notice) ")  # of a finding


@pytest.fixture
def cable():
    with cables.Cable() as c:
        yield c


@pytest.fixture
def screen(cable):
    """A terminal of 80 x 24 in which the program watches."""
    with tmuxes.Tmux(80, 24) as tmux:
        tmux.start(watch(cable))
        tmux.until("no findings so far")
        time.sleep(0.2)                 # between the ring and its filter
        yield tmux


def watch(cable, *args):
    return cable.inside([bustap.PROGRAM, "watch", "--tui", "-i", cable.far, *args])


def tell_findings(cable, screen, *takes):
    """Findings of each, told once the time of the packets has moved on."""
    for number, take in enumerate(takes, 1):
        frames = tcp_frames(take)
        cable.send(frames)
        time.sleep(2.5)
        cable.send(frames[-300:])
        wait_for(lambda: sum(map(bool, map(ROW.search, screen.lines()))) >= number)


def findings(lines):
    heads = [number for number, line in enumerate(lines) if "the newest first" in line]
    return lines[heads[0] + 1:heads[1]]


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@seen
def test_nodes_rates_and_changes(cable, screen):
    cable.send(until_failed())
    lines = screen.until("FAILED", "announces that 10.77.0.11:6379 has failed", "nodes 5 ok")
    assert re.fullmatch(r"bustap watch: far +\d\d:\d\d:\d\d UTC", lines[0])
    assert re.match(r"nodes 5 ok, 1 failed  \d+ pkt/s  [\d.]+ .?B/s  drops 0  redirects", lines[1])
    assert lines[2].split() == "node role state heard epoch slots, or primary".split()
    rows = [line.split() for line in lines[3:9]]
    assert rows[0][:3] == ["10.77.0.11:6379", "primary", "FAILED"] and rows[0][-1] == "0-5460"
    assert rows[1][:3] == ["10.77.0.14:6379", "replica", "ok"]
    assert " ".join(rows[1]).endswith("of 10.77.0.11:6379")
    assert [row[2] for row in rows].count("ok") == 5
    assert lines[-1].startswith("q quit")


@seen
def test_findings_the_newest_first_and_their_proof(cable, screen):
    tell_findings(cable, screen, CRASH, HALVES)
    rows = findings(screen.lines())
    assert len(rows) >= 2 and rows == sorted(rows, reverse=True)        # by time, that is
    severity, title = rows[-1].split(maxsplit=2)[1:]
    screen.press("End", "Enter")
    lines = screen.until("evidence", "verdict", gone=["Enter open it"])
    assert lines[1].startswith(f"{severity}: {title[:60]}")
    screen.resize(80, 8)
    screen.press("End")
    screen.until("filter", gone=[title[:40]])
    screen.press("Home")
    screen.until(title[:40], gone=["filter"])
    screen.resize(80, 24)
    screen.press("q")
    assert rows[-1] in screen.until("findings, the newest first")


@seen
def test_lists_scroll(cable, screen):
    cable.send(until_failed())
    first = screen.until("FAILED", "announces")
    screen.press("Tab", "End")
    lines = screen.until("Tab nodes", gone=["Tab changes"])
    oldest = [line for line in lines if re.match(r"\d\d:\d\d:\d\d\.\d{3} ", line)]
    assert oldest != [line for line in first if line in oldest]
    screen.press("Tab")
    screen.until("Tab findings")


@seen
def test_other_sizes(cable, screen):
    cable.send(until_failed())
    screen.until("FAILED")
    for columns, rows in ((50, 14), (120, 40), (12, 4), (1, 1), (80, 24)):
        screen.resize(columns, rows)
        time.sleep(0.5)
        assert all(len(line) <= columns for line in screen.lines())
    lines = screen.until("FAILED", "changes, the newest first")
    assert len(lines) == 24 and lines[-1].startswith("q quit")


@seen
def test_q_ends_it_in_order(cable, screen):
    screen.press("q")
    lines = screen.until("status 0")
    assert "bustap: 0 packets captured, 0 dropped by the kernel" in lines
    assert not any("no findings so far" in line for line in lines)


@seen
def test_json_goes_to_a_file_beside_it(cable, tmp_path):
    path = tmp_path / "found.ndjson"
    with tmuxes.Tmux(80, 24) as screen:
        screen.start(watch(cable, f"--json={path}"))
        screen.until("no findings so far")
        time.sleep(0.2)
        tell_findings(cable, screen, CRASH)
        screen.press("q")
        screen.until("status 0")
    objects = [json.loads(line) for line in path.read_text().splitlines()]
    assert any(event.get("finding", {}).get("type") == "cluster-down" for event in objects)


# ---- the terminal afterwards ----

def start(cable, terminal, **environment):
    """The program with a terminal of its own, as a shell gives it one."""
    run = subprocess.Popen(watch(cable), preexec_fn=lambda: os.login_tty(os.dup(terminal.end)),
                           env={**os.environ, "TERM": "xterm", **environment})
    wait_for(lambda: sockets(cable) and b"no findings" in terminal.all())
    time.sleep(0.2)
    return run


def interrupt_twice(run, _):
    """While it cannot see to it in order."""
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        run.send_signal(number)


def send(number):
    return lambda run, terminal: run.send_signal(number)


def type_in(keys):
    return lambda run, terminal: os.write(terminal.near, keys)


WAYS_OUT = {
    "q": (type_in(b"q"), [0]),
    "Ctrl-C": (type_in(b"\x03"), [0]),
    "Ctrl-\\": (type_in(b"\x1c"), [-signal.SIGQUIT]),
    "SIGINT": (send(signal.SIGINT), [0]),
    "SIGTERM": (send(signal.SIGTERM), [0]),
    "twice": (interrupt_twice, [-signal.SIGINT, -signal.SIGTERM]),
    **{f"SIG{name}": (send(getattr(signal, f"SIG{name}")), [-getattr(signal, f"SIG{name}")])
       for name in ("HUP", "PIPE", "ABRT", "SEGV", "BUS", "FPE", "ILL")},
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_the_terminal_is_given_back(cable, way):
    act, statuses = WAYS_OUT[way]
    with Terminal() as terminal:
        before = termios.tcgetattr(terminal.end)
        run = start(cable, terminal)
        assert termios.tcgetattr(terminal.end) != before
        act(run, terminal)
        assert run.wait(20) in statuses
        assert termios.tcgetattr(terminal.end) == before
        told = terminal.all()
        leaves, enters = b"\x1b[?1049l", b"\x1b[?1049h"
        assert told.rfind(leaves) > told.rfind(enters) >= 0
        assert told.rfind(b"\x1b[?25h") > told.rfind(b"\x1b[?25l"), "no cursor"


def test_the_device_goes_away(cable):
    with Terminal() as terminal:
        before = termios.tcgetattr(terminal.end)
        run = start(cable, terminal)
        cable.ip("link", "del", cable.near)
        assert run.wait(20) == 2
        assert termios.tcgetattr(terminal.end) == before
        wait_for(lambda: b"\x1b[?1049l" in terminal.all())
        assert b"the capture has ended" in terminal.all().split(b"\x1b[?1049l")[-1]


@pytest.mark.parametrize("term", ["linux", "screen", "rxvt", "ansi", "vt100", "vt220", "vt52"])
def test_other_terminals(cable, term):
    """What ncurses does for them it may do without privileges, too."""
    with Terminal() as terminal:
        before = termios.tcgetattr(terminal.end)
        run = start(cable, terminal, TERM=term)
        cable.send(until_failed())
        wait_for(lambda: b"FAILED" in terminal.all())
        os.write(terminal.near, b"q")
        assert run.wait(20) == 0
        assert termios.tcgetattr(terminal.end) == before


def test_ctrl_z_does_no_harm(cable):
    """It has given up the right to stop itself."""
    with Terminal() as terminal:
        run = start(cable, terminal)
        os.write(terminal.near, b"\x1a")
        time.sleep(0.5)
        os.write(terminal.near, b"q")
        assert run.wait(20) == 0


# ---- where there can be none ----

def refused(cable, *args, **more):
    run = subprocess.run(watch(cable, *args), capture_output=True, text=True, timeout=20, **more)
    assert run.returncode == 2
    return run.stderr


def test_no_terminal(cable):
    assert "no terminal" in refused(cable, stdin=subprocess.DEVNULL)


def test_json_on_the_same_terminal(cable):
    assert "--json=FILE" in refused(cable, "--json", stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("term", ["no-such", "dumb"])
def test_a_terminal_without_a_screen(cable, term):
    with Terminal() as terminal:
        before = termios.tcgetattr(terminal.end)
        run = subprocess.run(watch(cable), stdin=terminal.end, stdout=terminal.end, text=True,
                             stderr=subprocess.PIPE, env={**os.environ, "TERM": term})
        assert run.returncode == 2 and f"TERM={term} has no screen" in run.stderr
        assert termios.tcgetattr(terminal.end) == before
