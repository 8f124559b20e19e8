"""The status line of `watch`: on a terminal, and never in the way."""

import os
import re
import signal
import subprocess
import time

import pytest

from lib import bustap, captures, reader
from . import cable as cables
from .terminal import Terminal
from .test_live import sockets, tcp_frames

pytestmark = pytest.mark.skipif(cables.missing() is not None, reason=str(cables.missing()))

HEALTHY = captures.take("healthy-redis-7.0.15")
CRASH = captures.take("kill_primary-redis-8.0.2")
FINDING = re.compile(r"\d\d:\d\d:\d\d\.\d+ (info|notice|warning|critical): ")


@pytest.fixture
def cable():
    with cables.Cable() as c:
        yield c


def watch(cable, terminal, *args, out=None, **environment):
    """The program on a terminal, with standard output on it, too, unless `out` is given."""
    run = subprocess.Popen(
        cable.inside([bustap.PROGRAM, "watch", "-i", cable.far, *args]), stderr=terminal.end,
        stdout=out or terminal.end,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "", **environment})
    deadline = time.monotonic() + 10
    while not sockets(cable):
        assert run.poll() is None and time.monotonic() < deadline, terminal.all()
        time.sleep(0.01)
    time.sleep(0.1)                     # between the ring and its filter
    return run


def end(run, seconds=0.0):
    time.sleep(seconds)
    run.send_signal(signal.SIGINT)
    assert run.wait(20) == 0


def drawn(terminal):
    """[(time, line)] of each status that was drawn."""
    return [(at, line) for at, chunk in terminal.written()
            for line in re.findall(r"nodes \d+ ok[^\r\n\x1b]*", chunk.decode())]


def test_what_it_says(cable):
    frames = tcp_frames(HEALTHY)
    with Terminal(columns=120) as terminal:
        run = watch(cable, terminal)
        cable.send(frames)
        end(run, 2.5)
        lines = [line for _, line in drawn(terminal)]
        rates = [int(re.search(r"(\d+) pkt/s", line)[1]) for line in lines]
        assert re.fullmatch(r"nodes 6 ok  \d+ pkt/s  [\d.]+ k?B/s  drops 0  redirects \d+/s  "
                            r"bus RTT [\d.]+ .?s", lines[-1])
        assert sum(rates) == pytest.approx(len(frames), rel=0.2)    # each for about a second


def test_the_last_line_is_gone_at_the_end(cable):
    with Terminal() as terminal:
        end(watch(cable, terminal), 1.5)
        assert drawn(terminal)
        assert terminal.lines() == ["No packets to look at.",
                                    "bustap: 0 packets captured, 0 dropped by the kernel", ""]


def test_once_a_second(cable):
    with Terminal() as terminal:
        run = watch(cable, terminal)
        for _ in range(10):             # packets do not make it faster
            cable.send(tcp_frames(HEALTHY)[:500])
            time.sleep(0.2)
        end(run)
        times = [at for at, _ in drawn(terminal)]
        gaps = [b - a for a, b in zip(times, times[1:])]
        assert len(gaps) >= 2 and min(gaps) > 0.9, gaps


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_lines_of_findings_stand_alone(cable, term):
    with Terminal() as terminal:
        run = watch(cable, terminal, "--color", "never", TERM=term)
        for frames in thirds(tcp_frames(CRASH)):
            cable.send(frames)
            time.sleep(1.3)             # the status is drawn in between
        end(run)
        assert len(drawn(terminal)) >= 2
        lines = terminal.lines()
        assert any(FINDING.match(line) for line in lines)
        assert not any("pkt/s" in line for line in lines), lines


def thirds(frames):
    size = len(frames) // 3 + 1
    return [frames[at:at + size] for at in range(0, len(frames), size)]


@pytest.mark.parametrize("columns", [20, 40, 60])
def test_it_fits_the_terminal(cable, columns):
    with Terminal(columns) as terminal:
        run = watch(cable, terminal)
        cable.send(tcp_frames(HEALTHY))
        time.sleep(1.3)
        terminal.resize(30)
        mark = len(drawn(terminal))
        end(run, 1.5)
        lines = [line for _, line in drawn(terminal)]
        assert max(map(len, lines[:mark])) < columns and max(map(len, lines[mark:])) < 30
        assert all(line.startswith("nodes ") for line in lines)


def test_red_is_what_is_wrong_and_only_where_colours_are_wanted(cable):
    red = b"\x1b[1;31m"
    frames = until_failed()
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        with Terminal() as terminal:
            run = watch(cable, terminal, out=subprocess.DEVNULL, **environment)
            cable.send(frames)
            end(run, 1.5)
            assert "failed" in drawn(terminal)[-1][1]
            assert (red in terminal.all()) == coloured


def until_failed():
    """Until a node is held for failed, and some more."""
    announced = next(event["frame"] for event in bustap.dump(CRASH.path)
                     if event.get("type") == "fail")
    return tcp_frames(CRASH)[:announced + 400]


def test_a_plain_terminal_gets_no_escape_sequences(cable):
    with Terminal() as terminal:
        run = watch(cable, terminal, TERM="dumb")
        cable.send(tcp_frames(CRASH))
        end(run, 2.5)
        assert drawn(terminal) and b"\x1b" not in terminal.all()


def test_no_terminal_no_status(cable):
    """Standard output is one, standard error is not."""
    with Terminal() as terminal:
        run = subprocess.Popen(cable.inside([bustap.PROGRAM, "watch", "-i", cable.far, "--color",
                                             "never"]),
                               stdout=terminal.end, stderr=subprocess.PIPE, text=True)
        time.sleep(2.5)
        run.send_signal(signal.SIGINT)
        err = run.communicate(timeout=20)[1]
        assert err == "bustap: 0 packets captured, 0 dropped by the kernel\n"
        assert terminal.all().split() == b"No packets to look at.".split()


def test_quiet(cable):
    with Terminal() as terminal:
        end(watch(cable, terminal, "-q"), 2.5)
        assert not drawn(terminal)
