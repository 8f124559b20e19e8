"""What somebody told a server to do is the cause, where the capture has the command: SHUTDOWN, DEBUG,
CLUSTER FAILOVER, RESET, FORGET, DELSLOTS. With a near miss of each: refused, long ago, or of another
node."""

import pytest

from lib import findings, resp, scene

OK = resp.simple("OK")


class Operator:
    """Somebody with redis-cli, connected to a node."""

    def __init__(self, play, name):
        self.play = play
        address = (play.nodes[name].ip, 6379)
        self.link = play.capture.conversation(("10.0.9.9", 5000), address).open()

    def asks(self, words):
        self.play.step()
        self.link.send("client", resp.request(words))

    def is_told(self, answer=OK):
        self.play.step()
        self.link.send("server", answer)

    def asks_and_is_told(self, words, answer=OK):
        self.asks(words)
        self.is_told(answer)


def begun(name, **shape):
    """A cluster that runs, and the operator of one of its nodes."""
    play = scene.Scene(**shape)
    operator = Operator(play, name)
    operator.asks_and_is_told("PING", resp.simple("PONG"))
    play.run(4)
    return play, operator


def of_type(store, play, type_):
    return findings.only(findings.of(store(play.pcap())), type_)


def shows(found, words):
    return any(words in piece["note"] for piece in found.evidence)


def test_a_process_that_was_told_to_end_and_whose_successor_loads(store):
    play, operator = begun("p1")
    operator.asks("SHUTDOWN")
    operator.link.close("server")
    play.restart("p1", loading=3)
    play.run(3)
    found = of_type(store, play, "process-stall")
    assert found.verdict == "administrative" and "told to end" in found.title
    assert shows(found, "told by 10.0.9.9:5000, ends, and with it their connection (SHUTDOWN)")


@pytest.mark.parametrize("words", ("SHUTDOWN NOSAVE", "DEBUG SEGFAULT"))
def test_a_process_that_was_told_to_end(store, words):
    play, operator = begun("r1")
    operator.asks(words)
    operator.link.close("server")
    ended = play.capture.now / 1e9
    play.kill("r1")
    play.run(8)
    found = of_type(store, play, "node-failed")
    told, = (piece for piece in found.evidence if "told by" in piece["note"])
    assert findings.seconds(told["time"]) == pytest.approx(ended, abs=0.1), "when it ended, not when the capture did"
    assert found.verdict == "administrative" and any("crash" in line for line in found.ruled_out)
    assert shows(found, f"told by 10.0.9.9:5000, ends, and with it their connection ({words.split()[0]})")
    own = findings.only(findings.of(store(play.pcap("r1"))), "process-stall")
    assert own.verdict == "administrative" and own.severity == "notice", "as its own host sees it"


@pytest.mark.parametrize("words, answer", (("DEBUG JMAP", resp.error("ERR not allowed")),
                                           ("PING", resp.simple("PONG"))))
def test_near_miss_a_process_that_died_by_itself(store, words, answer):
    play, operator = begun("r1")
    operator.asks_and_is_told(words, answer)
    operator.link.close("server")
    play.kill("r1")
    play.run(8)
    assert of_type(store, play, "node-failed").verdict == "process-died"


def slept(words="DEBUG SLEEP 5", before=0.0, seconds=5):
    """p1 stands still, and answers then what it was asked `before` seconds earlier."""
    play, operator = begun("p1")
    operator.asks(words)
    play.run(before)
    if before:
        operator.is_told()
    play.stall("p1")
    play.run(seconds)
    play.wake("p1")
    if not before:
        operator.is_told()
    play.run(4)
    return play


def test_a_process_that_was_told_to_stand_still(store):
    found = findings.of(store(slept().pcap()))
    stall, failed = findings.only(found, "process-stall"), findings.only(found, "node-failed")
    assert stall.verdict == failed.verdict == "administrative"
    assert shows(stall, "(DEBUG)") and shows(failed, "(DEBUG)")
    assert "told to (DEBUG)" in stall.explanation and not any("swap" in line for line in stall.advice)
    assert failed.caused_by == stall.id


@pytest.mark.parametrize("words, before", (("GET a", 0), ("DEBUG SLEEP 0.1", 1.0)))
def test_near_miss_a_process_that_stood_still_by_itself(store, words, before):
    found = findings.of(store(slept(words, before).pcap()))
    for type_ in ("process-stall", "node-failed"):
        assert findings.only(found, type_).verdict == "process-stalled"


def test_a_replica_that_was_told_to_take_over(store):
    play, operator = begun("r1")
    operator.asks_and_is_told("CLUSTER FAILOVER TAKEOVER")
    play.promote("r1", 9)
    play.run(3)
    found = of_type(store, play, "failover")
    assert found.verdict == "administrative" and shows(found, "(CLUSTER FAILOVER)")


def test_near_miss_a_replica_that_took_over_when_it_had_refused_to(store):
    play, operator = begun("r1")
    operator.asks_and_is_told("CLUSTER FAILOVER", resp.error("ERR Master is down or failed"))
    play.stall("p1")
    play.run(7)
    play.elect("r1")
    play.run(3)
    found = of_type(store, play, "failover")
    assert found.verdict == "primary-failed" and not shows(found, "(CLUSTER FAILOVER)")


def reset(answer, ends=False):
    """It goes on as another node, or ends and comes back as one."""
    play, operator = begun("p1")
    operator.asks_and_is_told("CLUSTER RESET HARD", answer)
    if ends:
        play.kill("p1")
        play.run(1)
    play.reborn("p1", 99)
    play.run(3)
    return play


def test_a_node_that_was_told_to_forget_who_it_is(store):
    found = of_type(store, reset(OK), "node-identity-changed")
    assert "CLUSTER RESET" in found.explanation and shows(found, "(CLUSTER RESET)")
    assert not any("nodes.conf" in line for line in found.advice)


def test_near_miss_a_node_that_has_lost_its_nodes_conf(store):
    found = of_type(store, reset(resp.error("ERR with data"), ends=True), "node-identity-changed")
    assert "CLUSTER RESET" not in found.explanation and not shows(found, "(CLUSTER RESET)")


def given_up(words):
    play, operator = begun("p1")
    operator.asks_and_is_told(words)
    play.set("p1", slots=bytes(2048))
    play.run(8)
    return play


@pytest.mark.parametrize("words", ("CLUSTER DELSLOTSRANGE 0 5460", "CLUSTER FLUSHSLOTS",
                                   "CLUSTER RESET"))
def test_slots_that_were_given_up_by_order(store, words):
    found = of_type(store, given_up(words), "slot-uncovered")
    assert found.verdict == "administrative"
    assert shows(found, f"({' '.join(words.split()[:2])})")


def test_near_miss_slots_that_were_given_up_for_no_reason_seen(store):
    assert of_type(store, given_up("CLUSTER INFO"), "slot-uncovered").verdict == "unassigned"


def flapping(words):
    """p1 and p2 open their link again and again; it works in between."""
    play, operator = begun("p1")
    operator.asks_and_is_told(words)
    link = play.links["p2", "p1"]
    for _ in range(6):
        play.run(2)
        link.close()
        link.open()
        play.ping(link)
    play.run(2)
    return play


def test_links_that_a_node_which_forgot_another_closes(store):
    found = of_type(store, flapping(f"CLUSTER FORGET {'a' * 40}"), "link-flap")
    assert found.verdict == "administrative" and shows(found, "(CLUSTER FORGET)")


def test_near_miss_links_that_close_by_themselves(store):
    assert of_type(store, flapping("CLUSTER MYID"), "link-flap").verdict == "unknown"


def test_only_the_last_orders_of_a_server_are_kept(store):
    """Eight of them; then it is not known any more what came before."""
    play, operator = begun("p1")
    operator.asks_and_is_told("CLUSTER DELSLOTSRANGE 0 5460")
    for _ in range(8):
        operator.asks_and_is_told(f"CLUSTER FORGET {'a' * 40}")
    play.set("p1", slots=bytes(2048))
    play.run(8)
    assert of_type(store, play, "slot-uncovered").verdict == "unassigned"
