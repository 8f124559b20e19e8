"""full-resync-loop: a replica copies everything again and again, and why; not one that is new, or
was restarted, or whose link could be taken up again."""

import pytest

from lib import captures, findings, resp
from lib.following import OTHER_HISTORY, Following
from lib.scene import Scene

LOOP = captures.take("resync_loop-redis-7.0.15")
CALM = [t for t in captures.TAKES if t.truth["scenario"] != "resync_loop"]
MB = 1_000_000


# ------------------------------------------------------------------------------- real clusters


def test_fires_for_a_small_output_buffer():
    """As often as the replica logged a full resync, at the time when it did."""
    found = findings.only(findings.of(LOOP.path), "full-resync-loop")
    nodes = {n["name"]: n["id"] for n in LOOP.nodes}
    logged = [e["time"] for e in LOOP.truth["logged"]
              if e["node"] == "n4" and e["event"] == "full-sync"]
    closed = [e for e in LOOP.truth["logged"]
              if e["node"] == "n1" and e["event"] == "output-limit"]
    assert found.severity == "warning" and found.confidence == "certain"
    assert found.verdict == found.metrics["cause"] == "output-buffer-limit"
    assert (found.metrics["replica"], found.metrics["primary"]) == (nodes["n4"], nodes["n1"])
    assert found.metrics["count"] == len(logged)
    assert found.metrics["links_ended"] == {"output-buffer-limit": len(closed)}
    assert abs(found.span[0] - logged[0]) < 0.1
    assert found.metrics["held_bytes"] > MB, "its limit was a megabyte"
    assert found.advice


@pytest.mark.parametrize("take", CALM, ids=lambda take: take.name)
def test_near_miss_of_real_clusters(take):
    """New replicas, restarted ones, those of a primary that failed over: each resyncs once."""
    findings.none(findings.of(take.path), "full-resync-loop")


def test_another_replica_that_follows_well_can_take_over(store):
    """What the loop puts at risk depends on whether there is one."""
    play = Scene(replicas=2)
    bad, good = Following(play).connect(), Following(play, replica="r4")
    for _ in range(3):
        backlog(bad)
        bad.connect(asked=bad.done + 1)
    alone = findings.only(findings.of(store(play.capture.pcap())), "full-resync-loop")
    assert "nor can any other that was seen" in alone.explanation
    good.connect().passes(1).ack()
    both = findings.only(findings.of(store(play.capture.pcap())), "full-resync-loop")
    assert "another replica of the shard can" in both.explanation


# ------------------------------------------------------------------------------------- each cause


def output_buffer(pair):
    """Much is written, little of it is taken; the primary closes."""
    for _ in range(2):
        pair.write(MB).passes(1).ack()
    pair.close("server", reset=True)
    pair.write(1000).passes(0.3)


def output_buffer_in_the_payload(pair):
    pair.close("server")
    pair.connect(asked=pair.done + 1, online=False)
    pair.write(2 * MB).passes(3).write(2 * MB).passes(1)
    pair.close("server", reset=True)
    pair.passes(0.3)


def timeout(pair):
    pair.passes(6).close("server").write(5000).passes(1)


def backlog(pair):
    pair.write(5000).send().ack().passes(1).close("server").write(50000).passes(1)


def replica_closes(pair):
    pair.write(5000).send().ack().passes(1).close("client").write(50000).passes(1)


def history(pair):
    pair.write(5000).send().ack().passes(1).close("server").passes(0.2)
    pair.history = OTHER_HISTORY if pair.history != OTHER_HISTORY else "c" * 40


def restart(pair):
    pair.write(5000).send().ack().passes(1).close("client").passes(1)
    pair.done = None


def transfer(pair):
    pair.close("client")
    pair.connect(asked=None, online=False).passes(1).close("client").passes(0.2)


CAUSES = {
    "output-buffer-limit": output_buffer,
    "timeout": timeout,
    "backlog-too-small": backlog,
    "history-changed": history,
    "replica-restarted": restart,
}


def rounds(pair, end, count=5):
    pair.connect()
    for _ in range(count - 1):
        end(pair)
        pair.connect(asked=pair.done + 1 if pair.done else None)
    return pair


def found_in(store, pair, *args):
    return findings.of(store(pair.play.capture.pcap()), *args)


@pytest.mark.parametrize("bus", [True, False], ids=["with a bus", "without"])
@pytest.mark.parametrize("cause", CAUSES)
def test_fires_with_its_cause(store, cause, bus):
    """With headers of a bus, or by the links alone; the numbers are those of the links."""
    pair = rounds(Following(Scene() if bus else None), CAUSES[cause])
    found = findings.only(found_in(store, pair), "full-resync-loop")
    assert found.verdict == found.metrics["cause"] == cause
    assert found.metrics["count"] == 5 and found.metrics["bytes"] == 5 * 1000
    assert found.severity == "warning"
    named = found.metrics["replica"]
    assert named == (pair.play.nodes["r1"].id if bus else "10.0.0.2:6379")


def test_fires_when_it_is_the_replica_that_closes(store):
    found = findings.only(found_in(store, rounds(Following(), replica_closes)), "full-resync-loop")
    assert found.verdict == "backlog-too-small"
    assert found.metrics["links_ended"] == {"closed-by-replica": 4}
    assert found.metrics["missed_bytes"] == 50000


def test_fires_when_links_end_within_the_payload(store):
    """What is written meanwhile waits for the payload's end; so the copies never end."""
    pair = rounds(Following(Scene()), output_buffer_in_the_payload, count=3)
    found = findings.only(found_in(store, pair), "full-resync-loop")
    assert found.verdict == "output-buffer-limit" and found.metrics["count"] == 5
    found = findings.only(found_in(store, rounds(Following(), transfer)), "full-resync-loop")
    assert found.verdict == "transfer-failed"
    assert "repl-timeout" in found.advice[0]


def test_fires_with_an_end_once_a_link_holds(store):
    pair = rounds(Following(Scene()), backlog)
    for _ in range(70):
        pair.passes(1).ack()
    found = findings.only(found_in(store, pair), "full-resync-loop")
    assert found.end is not None and found.span[1] - found.span[0] < 15


# ------------------------------------------------------------------------- links that somebody ends


def told(*words, late=0.5, other=False):
    """An operator tells the primary to cut clients off, while much waits; it closes `late`."""
    def end(pair):
        server = pair.play.nodes["p2" if other else "p1"].ip
        named = [word.format(replica="%s:%d" % pair.talk.link.ends["client"]) for word in words]
        for _ in range(2):
            pair.write(MB).passes(1).ack()
        operator = resp.Dialogue(pair.play.capture, ("10.0.9.9", 40000 + pair.offset % 9973),
                                 (server, 6379))
        operator.trade(["CLIENT", "KILL", *named], resp.integer(1))
        pair.passes(late).close("server", reset=True)
        pair.write(1000).passes(0.3)
    return end


NAMED = [("TYPE", "replica"), ("type", "SLAVE", "SKIPME", "yes"), ("ADDR", "{replica}"), ("{replica}",)]
PERHAPS = [("ID", "7"), ("USER", "default"), ("TYPE", "replica", "ID", "7")]
OTHERS = [("TYPE", "normal"), ("ADDR", "10.0.9.8:1234"), ("10.0.9.8:1234",)]


def cause_of(store, end):
    return findings.only(found_in(store, rounds(Following(Scene()), end)), "full-resync-loop")


@pytest.mark.parametrize("words", NAMED, ids=" ".join)
def test_client_kill_is_no_output_buffer(store, words):
    found = cause_of(store, told(*words))
    assert found.metrics["cause"] == "backlog-too-small", "else it would have gone on"
    assert found.metrics["links_ended"] == {"client-kill": 4} and "CLIENT KILL" in found.explanation


@pytest.mark.parametrize("words", PERHAPS, ids=" ".join)
def test_whom_client_kill_meant_is_not_known(store, words):
    assert cause_of(store, told(*words)).metrics["links_ended"] == {"closed-by-primary": 4}


@pytest.mark.parametrize("how", [{"late": 15}, {"other": True}], ids=["long ago", "another server"])
def test_near_miss_client_kill_of_something_else(store, how):
    found = cause_of(store, told("TYPE", "replica", **how))
    assert "client-kill" not in found.metrics["links_ended"]


@pytest.mark.parametrize("words", OTHERS, ids=" ".join)
def test_near_miss_client_kill_of_others(store, words):
    found = cause_of(store, told(*words))
    assert found.metrics["cause"] == "output-buffer-limit"
    assert any("CLIENT KILL" in caveat for caveat in found.caveats)


# ----------------------------------------------------------------------------------- near misses


def test_near_miss_two_resyncs(store):
    pair = rounds(Following(Scene()), backlog, count=2)
    findings.none(found_in(store, pair), "full-resync-loop")
    assert findings.all_of(found_in(store, pair, "--set", "full-resync-loop-count=2"),
                           "full-resync-loop")


def test_near_miss_links_that_hold_in_between(store):
    """A full resync now and then, each on a link that had held for a quarter of an hour."""
    pair = Following().connect()
    for _ in range(4):
        for _ in range(90):
            pair.passes(10).ack()
        backlog(pair)
        pair.connect(asked=pair.done + 1)
    findings.none(found_in(store, pair), "full-resync-loop")


def test_near_miss_links_that_are_taken_up_again(store):
    """Cut again and again, but the backlog holds what the replica missed."""
    pair = Following(Scene()).connect()
    for _ in range(6):
        pair.write(5000).send().ack().passes(1).close("server").write(5000).passes(0.3)
        pair.go_on().send().ack()
    findings.none(found_in(store, pair), "full-resync-loop")


def test_near_miss_one_copy_that_takes_long(store):
    pair = Following(Scene()).connect(lasts=30, payload=200_000)
    pair.write(5000).send().ack().passes(3).ack()
    findings.quiet(found_in(store, pair))


def test_near_miss_several_new_replicas(store):
    """Each resyncs once: the same host, other ports at which they listen."""
    pair = Following()
    for port in range(6380, 6386):
        pair.connect(listens=port).passes(0.5)
    findings.none(found_in(store, pair), "full-resync-loop")
