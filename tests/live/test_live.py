"""Real clusters, broken on purpose, against their own books and logs.

    make live                                    every scenario on every server
    LIVE=short pytest tests/live                 the few that `make check` runs
    LIVE=partition_primary:valkey pytest …       scenario:server, by substrings
    RUNS=DIR pytest tests/live                   runs that were kept, DIR/SCENARIO-SERVER: judged again

Each run's folder (captures, logs, truth.json) is kept under build/lab/out if its test fails.
Without root, or without a server, a test is skipped and says why.
"""

import collections
import os
import pathlib
import shutil
import textwrap

import pytest

from lab import BUILD, Unavailable, compare, expected, net, scenarios, servers
from lab.run import Run
from lib import balance, bustap, captures, explained

SHORT = (("kill_primary", "redis-7.0"), ("partition_primary", "valkey-8.1"),
         ("every_client", "valkey-9.1"), ("reshard", "redis-8.0"))

# Too long, or too large, for every day.
LONG = {"healthy_long"}


KEPT = pathlib.Path(os.environ["RUNS"]) if os.environ.get("RUNS") else None


def wanted():
    """(scenario, server) of this run; of runs that were kept, their folders' names."""
    if KEPT:
        return [(path.parent.name,) for path in sorted(KEPT.glob("*/truth.json"))]
    mode = os.environ.get("LIVE", "short")
    everything = [(s, server) for s in sorted(scenarios.load_all()) for server in servers.KNOWN]
    if mode == "short":
        return list(SHORT)
    if mode == "all":
        return [pair for pair in everything if pair[0] not in LONG] + \
            [(s, "valkey-9.1") for s in sorted(LONG)]
    scenario, _, server = mode.partition(":")
    return [(s, v) for s, v in everything if scenario in s and server in v]


def known_names():
    if KEPT:
        return f"no run is kept in {KEPT}: a run's folder has a truth.json"
    lists = {"scenarios": scenarios.load_all(), "servers": servers.KNOWN}
    return f"LIVE={os.environ['LIVE']} names none; there are\n" + "\n".join(
        textwrap.fill(f"{what}: {' '.join(sorted(names))}", 100, break_on_hyphens=False)
        for what, names in lists.items())


@pytest.fixture
def played(request):
    """The captures of a run as takes. The folder of one that passes goes, unless it was kept before."""
    if KEPT:
        yield list(captures.in_folder(KEPT.joinpath(*request.param)))
        return
    failed = request.session.testsfailed
    folder = play(*request.param)
    yield list(captures.in_folder(folder))
    if request.session.testsfailed == failed:
        shutil.rmtree(folder)


def play(scenario, name):
    """One run; its folder."""
    try:
        net.need_tools()
        server = servers.find(name)
    except Unavailable as error:
        pytest.skip(str(error))
    folder = BUILD / "out" / f"{scenario}-{server.name}"
    try:
        Run(scenario, server, folder)(scenarios.load_all()[scenario][0])
    except Unavailable as error:
        shutil.rmtree(folder)
        pytest.skip(str(error))
    return folder


if not wanted():
    raise pytest.Collector.CollectError(known_names())
PLAYED = pytest.mark.parametrize("played", wanted(), indirect=True,
                                 ids=lambda pair: "-".join(pair))


@PLAYED
def test_live(played):
    """Bytes, books, times and findings, in one test: a run takes longer than all that is asked of it."""
    for take in played:
        check_bytes(take)
        wrong = [*explained.bus(take), *explained.clients(take)]
        assert not wrong, f"{take.path}: books and wire differ" + balance.listing(wrong)
    bridge = next(take for take in played if not take.vantage)
    if not explained.is_opaque(bridge):
        check_timeline(bridge)
    wrong = [f"{take.path}: {line}" for take in played for line in expected.differences(take)]
    assert not wrong, "findings\n  " + "\n  ".join(wrong)


def turned_away(take):
    """Connections that were refused, as the servers counted them: each was told so, unasked."""
    books = take.truth["snapshots"]["end"]
    nodes = [take.vantage.split("-")[0]] if take.vantage else books          # n1-any is n1, too
    return sum(int(books[node]["stats"]["rejected_connections"]) for node in nodes)


def check_bytes(take):
    """All that was captured is decoded, but for what a fault cut off."""
    report = balance.report(take)
    if not explained.is_broken(take.truth):
        assert report["bus"]["undecoded_bytes"] == report["clients"]["undecoded_bytes"] == 0
        assert report["clients"]["unmatched_replies"] == turned_away(take)
        assert not report["bus"]["anomalies"]
    sent = collections.Counter()
    for row in report["bus"]["by_node"]:
        sent.update(row["sent"])
    assert sent == report["bus"]["messages"], "each message has one sender"


def check_timeline(take):
    """What was logged but not concluded may be explained by what was said."""
    for dump in (balance.dump, balance.dump_with_bus):
        wrong = compare.timeline(take.truth["logged"], dump(take), take.truth)
        if not wrong:
            return
    assert not wrong, f"{take.path}: logs and conclusions differ\n  " + \
        "\n  ".join(map(str, wrong[:20]))
