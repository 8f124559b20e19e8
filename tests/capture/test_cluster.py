"""A real cluster that breaks, watched while it does, by both backends: the same events and the same
findings as from what tcpdump captured beside them.

`LIVE_CAPTURE=reshard:valkey-9.1 pytest tests/capture/test_cluster.py` for another one."""

import collections
import json
import os
import pathlib
import signal
import time

import pytest

from lab import BUILD, Unavailable, net, scenarios, servers
from lab.net import BRIDGE
from lab.run import Run
from lib import bustap, captures, findings

BACKENDS = ("pcap", "ebpf")
SCENARIO, SERVER = os.environ.get("LIVE_CAPTURE", "kill_primary:redis-7.0").split(":")

# What each capture has in its own way.
MOMENT = ("time", "frame", "source", "request_frame", "latency_us", "opened")


class Watched(Run):
    """A run with bustap at the bridge as well, once for each backend and for what it prints."""

    def capture(self, vantage):
        super().capture(vantage)
        if vantage:
            return
        self.watching = {}
        for backend in BACKENDS:
            for what in ("dump", "watch"):
                path = pathlib.Path(self.folder) / f"{what}-{backend}.json"
                with open(path, "wb") as out, open(path.with_suffix(".err"), "wb") as err:
                    self.watching[path] = self.net.popen(
                        None, [bustap.PROGRAM, what, "--json", "-i", BRIDGE, "--backend", backend],
                        stdout=out, stderr=err)
        time.sleep(1)

    def _close(self):
        super()._close()
        for path, process in self.watching.items():
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0, path.with_suffix(".err").read_text()


@pytest.fixture(scope="module")
def run():
    try:
        net.need_tools()
        server = servers.find(SERVER)
        folder = BUILD / "out" / f"watched-{SCENARIO}-{server.name}"
        watched = Watched(SCENARIO, server, folder)
        watched(scenarios.load_all()[SCENARIO][0])
    except Unavailable as error:
        pytest.skip(str(error))
    return watched


@pytest.fixture
def bridge(run):
    return next(take for take in captures.in_folder(run.folder) if not take.vantage)


def lines(run, what, backend):
    text = (pathlib.Path(run.folder) / f"{what}-{backend}.json").read_text()
    return [json.loads(line) for line in text.splitlines()]


def counted(run, events):
    """How often each event was told, whenever that was, until shortly before tcpdump ended."""
    until = run.captured["all"]["stop"] - 1.0
    return collections.Counter(
        json.dumps({key: value for key, value in event.items() if key not in MOMENT}, sort_keys=True)
        for event in events if findings.seconds(event["time"]) < until)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_events(run, bridge, backend):
    live, stored = counted(run, lines(run, "dump", backend)), counted(run, bustap.dump(bridge.path))
    assert stored
    more, less = live - stored, stored - live
    assert not more and not less, "\n".join(
        [f"only live: {event}" for event in list(more)[:10]]
        + [f"only stored: {event}" for event in list(less)[:10]])


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_findings(run, bridge, backend):
    live = [line["finding"] for line in lines(run, "watch", backend) if "finding" in line]
    assert told(live) == told(bustap.analyze(bridge.path)["findings"])


def told(found):
    return sorted((one["type"], one["severity"], one["verdict"] or "",
                   *sorted(map(str, one["subjects"]["nodes"]))) for one in found)
