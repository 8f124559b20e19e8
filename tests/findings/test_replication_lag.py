"""replication-lag: a replica that is behind, by how much, and where the bytes are; not one that is
behind for a moment, or copies everything."""

import pytest

from lib import captures, findings, wire
from lib.following import OTHER_HISTORY, Following, command_of
from lib.scene import Scene

MB = 1_000_000
CALM = [t for t in captures.TAKES if t.truth["scenario"] in captures.CALM_SCENARIOS
        or t.truth["scenario"] in ("lagging_replica", "resync_loop", "kill_replica", "no_quorum",
                                   "manual_failover", "short_stall", "kill_shard")]


@pytest.mark.parametrize("take", CALM, ids=lambda take: take.name)
def test_near_miss_of_real_clusters(take):
    """Heavy writes, slow links, restarts, failovers: half a second behind is usual then."""
    findings.none(findings.of(take.path), "replication-lag")


def found_in(store, pair, *args):
    return findings.of(store(pair.play.capture.pcap()), *args)


def falls_behind(pair, seconds=8, written=MB, done=0.5):
    """Each second so much is written; only a share of it arrives, and is carried out."""
    start = pair.offset
    for second in range(1, seconds + 1):
        pair.write(written).passes(1)
        pair.ack(start + round(second * written * done))
    return pair


def gives(pair, size):
    """So much of what was written goes down the link, and is carried out."""
    pair.talk.answer(command_of(size))
    pair.sent += size
    return pair.ack()


def closes_window(pair):
    """For a moment the replica's host takes nothing more."""
    pair.talk.link.segment("client", flags=wire.ACK, window=0)
    pair.talk.link.segment("client", flags=wire.ACK)


def half_arrives(pair, seconds):
    for _ in range(seconds):
        gives(pair.write(MB).passes(1), MB // 2)
    return pair


def test_fires_while_the_process_does_not_read(store):
    pair = half_arrives(Following(Scene()).connect(), 6)
    closes_window(pair)
    half_arrives(pair, 2)
    assert findings.only(found_in(store, pair), "replication-lag").verdict == "receiver-not-reading"


def test_near_miss_a_window_that_closes_after_the_worst(store):
    """What had waited on a slow path comes in a burst once that is free."""
    pair = half_arrives(Following(Scene()).connect(), 8)
    closes_window(pair)
    gives(pair, MB).passes(1)
    assert findings.only(found_in(store, pair), "replication-lag").verdict == "slow-path"


def test_fires_while_the_way_takes_less_than_is_written(store):
    """By the bus the primary has more than it sends: the bytes wait there."""
    pair = falls_behind(Following(Scene()).connect())
    found = findings.only(found_in(store, pair), "replication-lag")
    nodes = pair.play.nodes
    assert found.verdict in ("slow-path", "unknown") and found.severity == "notice"
    assert (found.metrics["replica"], found.metrics["primary"]) == (nodes["r1"].id, nodes["p1"].id)
    assert abs(found.metrics["lag_bytes"] - 4 * MB) <= MB
    assert abs(found.metrics["lag_ms"] - 4000) <= 1000
    assert found.end is None and found.metrics["told_by"] == "ack"
    assert found.advice


def test_fires_for_a_replica_that_does_not_keep_up(store):
    """It has received all, and carries out half of it: seen without a bus, too."""
    pair = Following().connect()
    start = pair.offset
    for second in range(1, 9):
        pair.write(MB).send().passes(1).ack(start + second * MB // 2)
    found = findings.only(found_in(store, pair), "replication-lag")
    assert found.verdict == "replica-busy"
    assert found.metrics["unread_bytes"] == pytest.approx(4 * MB, abs=MB)
    assert found.metrics["waiting_bytes"] == 0
    assert found.metrics["written_bytes_per_s"] == pytest.approx(MB, rel=0.2)
    assert found.metrics["carried_out_bytes_per_s"] == pytest.approx(MB / 2, rel=0.2)


def test_fires_as_a_warning_when_it_is_much_or_long(store):
    much = falls_behind(Following(Scene()).connect(), written=20 * MB)
    assert findings.only(found_in(store, much), "replication-lag").severity == "warning"
    long = falls_behind(Following(Scene()).connect(), seconds=24)
    assert findings.only(found_in(store, long), "replication-lag").severity == "warning"


def test_fires_until_it_has_caught_up(store):
    pair = falls_behind(Following(Scene()).connect())
    for _ in range(3):
        pair.passes(1).ack(pair.offset)
    found = findings.only(found_in(store, pair), "replication-lag")
    assert found.end is not None
    assert 6 <= found.span[1] - found.span[0] <= 9, "from the oldest write that it lacked"


def test_fires_by_the_bus_alone(store):
    """No link is seen, as with TLS or a capture of the bus ports: headers say how far both are."""
    play = Scene()
    for second in range(1, 4):
        play.set("p1", offset=second * 1000)
        play.set("r1", offset=second * 1000)
        play.run(2)
    for second in range(4, 16):
        play.set("p1", offset=second * 1000)
        play.run(1)
    found = findings.only(findings.of(store(play.capture.pcap())), "replication-lag")
    assert found.metrics["told_by"] == "bus" and found.verdict == "unknown"
    assert found.metrics["lag_bytes"] == pytest.approx(12000, abs=1000)
    assert any("no ACK" in c for c in found.caveats)


def behind_and_silent(store, goes_on):
    """The replica is behind; then its primary says nothing for a while; then it is still, or not."""
    play = Scene()
    for second in range(1, 10):
        play.set("p1", offset=second * 1000)
        play.set("r1", offset=min(second, 3) * 1000)
        play.run(1)
    since, play.nt = play.capture.now / 1e9, 30
    play.stall("p1")
    play.run(8)
    play.set("r1", offset=3000 if goes_on else 9000)
    play.run(1)
    play.wake("p1")
    for second in range(10, 16):
        play.set("p1", offset=second * 1000)
        play.set("r1", offset=3000 if goes_on else second * 1000)
        play.run(1)
    return since, findings.only(findings.of(store(play.capture.pcap())), "replication-lag")


def test_fires_once_for_a_lag_that_lasts_while_its_primary_is_silent(store):
    since, found = behind_and_silent(store, goes_on=True)
    assert found.metrics["lag_ms"] > 15_000 and found.span[0] < since and found.span[1] is None


def test_ends_where_it_was_last_seen_if_it_has_caught_up_since(store):
    since, found = behind_and_silent(store, goes_on=False)
    assert since - 1 < found.span[1] < since + 7


def stops_acknowledging(store, stall, knocks=False, knocked=0):
    """Its link is there; the primary goes on for eight seconds."""
    pair = Following(Scene()).connect()
    nodes = pair.play.nodes
    again = pair.play.capture.conversation((nodes["r1"].ip, 59000), (nodes["p1"].ip, 6379))
    for _ in range(knocked):
        again.tried()
    for _ in range(3):
        pair.write(1000).send().passes(1).ack()
    if stall:
        pair.play.stall("r1")
    for _ in range(8):
        pair.write(MB).passes(1)
        if knocks:
            again.tried()
    if stall:
        pair.play.wake("r1")
    pair.passes(2)
    return findings.only(found_in(store, pair), "replication-lag")


def test_fires_for_a_replica_that_stood_still(store):
    """Not its link: on the bus it said nothing either."""
    assert stops_acknowledging(store, stall=True).verdict == "replica-silent"


def test_near_miss_a_replica_that_speaks_on_the_bus(store):
    assert stops_acknowledging(store, stall=False).verdict == "link-silent"


def test_fires_for_a_replica_that_tries_to_connect_anew(store):
    """The end of its link is not seen, where that waits behind what does not arrive."""
    assert stops_acknowledging(store, stall=False, knocks=True).verdict == "link-down"


def test_near_miss_a_replica_that_tried_to_connect_before(store):
    """It has acknowledged since."""
    assert stops_acknowledging(store, stall=False, knocked=3).verdict == "link-silent"


def test_fires_for_a_link_that_is_gone(store):
    """The replica is well on the bus; its link to the primary has ended."""
    pair = Following(Scene()).connect()
    for _ in range(3):
        pair.write(1000).send().passes(1).ack()
    pair.close("client")
    for _ in range(14):
        pair.write(1000).passes(1)
    found = findings.only(found_in(store, pair), "replication-lag")
    assert found.verdict == "link-down" and found.severity == "warning"


# ----------------------------------------------------------------------------------- near misses


def test_near_miss_behind_for_a_moment(store):
    pair = Following(Scene()).connect()
    for _ in range(10):
        pair.write(MB).passes(0.5)
        pair.ack(pair.offset - MB)
        pair.passes(0.5)
        pair.ack(pair.offset)
    findings.none(found_in(store, pair), "replication-lag")


def test_near_miss_many_bytes_in_a_moment(store):
    """A hundred megabytes a second: at each ACK some of them are under way."""
    pair = Following(Scene()).connect()
    for _ in range(6):
        pair.write(100 * MB).passes(0.5)
        pair.ack(pair.offset - 60 * MB)
        pair.passes(0.5)
        pair.ack(pair.offset)
    findings.none(found_in(store, pair), "replication-lag")


def test_near_miss_a_full_resync_that_takes_long(store):
    """While it copies the replica is not behind, but new; and it says 0 until it is online."""
    pair = Following(Scene())
    pair.play.set("r1", offset=0)
    pair.connect(online=False)
    for _ in range(20):
        pair.write(MB).passes(1)
        pair.talk.ask("REPLCONF ACK 0")
    pair.talk.answer(b"R" * 500)
    findings.none(found_in(store, pair.ack(pair.sent)), "replication-lag")


def test_near_miss_a_replica_that_came_from_another_primary(store):
    """Its headers tell the old primary's offset until it has copied the new one's data."""
    play = Scene()
    for second in range(1, 6):
        play.set("p2", offset=500_000 + second * 1000)
        play.set("r1", offset=1000 + second)
        play.run(1)
    play.demote("r1", "p2")
    for second in range(6, 16):
        play.set("p2", offset=500_000 + second * 1000)
        play.run(1)
    findings.none(findings.of(store(play.capture.pcap())), "replication-lag")


def test_near_miss_a_replica_that_falls_back(store):
    """It says less than before, then more each second: that is of some other data, until it is
    where the primary is."""
    play = Scene()
    for second in range(1, 20):
        play.set("p1", offset=500_000 + second * 1000)
        play.set("r1", offset=500_000 + second * 1000 if second < 5 else second * 10)
        play.run(1)
    findings.none(findings.of(store(play.capture.pcap())), "replication-lag")


def test_near_miss_a_primary_that_begins_anew(store):
    """Its stream has another history, and smaller offsets; the replica's headers are late."""
    pair = Following(Scene()).connect()
    for _ in range(5):
        pair.write(MB).send().passes(1).ack()
    pair.close("server")
    pair.history, pair.offset = OTHER_HISTORY, 0
    pair.play.set("p1", offset=0)
    pair.connect(asked=pair.done + 1)
    pair.play.set("r1", offset=5 * MB)
    for _ in range(8):
        pair.write(1000).send().passes(1)
        pair.talk.ask(f"REPLCONF ACK {pair.offset}")
    findings.none(found_in(store, pair), "replication-lag")


def test_near_miss_below_the_threshold(store):
    pair = falls_behind(Following(Scene()).connect())
    findings.none(found_in(store, pair, "--set", "replication-lag-ms=60000"), "replication-lag")


def test_near_miss_a_replica_whose_primary_is_dead(store):
    """Nobody writes any more: it is not the replica that is behind."""
    pair = Following(Scene()).connect()
    for _ in range(3):
        pair.write(1000).send().passes(1).ack()
    pair.write(1000).passes(0.5)
    pair.play.kill("p1")
    pair.talk.link.segment("server", flags=wire.RST | wire.ACK)
    pair.passes(15)
    assert all(f.metrics["lag_ms"] < 7000
               for f in findings.all_of(found_in(store, pair), "replication-lag"))
