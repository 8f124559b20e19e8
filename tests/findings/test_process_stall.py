"""process-stall: the kernel acknowledges, the process says nothing."""

import pytest

from lib import bustap, findings, resp, scene
from lib.busy import Server


def stalled(seconds):
    play = scene.Scene()
    play.run(4)
    play.stall("p1")
    play.run(seconds)
    play.wake("p1")
    play.run(3)
    return play


def test_fires_on_a_stall_too_short_for_pfail(store):
    play = stalled(2.2)
    found = findings.of(store(play.pcap()))
    stall = findings.only(found, "process-stall")
    assert stall.metrics["node"] == play.nodes["p1"].id
    assert 2000 <= stall.metrics["duration_ms"] <= 3400
    assert stall.verdict == "process-stalled" and stall.ruled_out
    findings.quiet(found, but={"process-stall"})


def test_tells_one_that_was_restarted_from_one_that_stood_still(store):
    """It closes all its connections; its port is open again at once, and nobody is answered for 3 s."""
    play = scene.Scene()
    play.run(4)
    play.restart("p1", loading=3)
    play.run(3)
    stall = findings.only(findings.of(store(play.pcap())), "process-stall")
    assert stall.verdict == "process-died" and "ended" in stall.title
    assert any("closes" in e["note"] for e in stall.evidence)


def test_one_that_closed_a_connection_and_then_stood_still_did_not_end(store):
    play = scene.Scene()
    play.run(4)
    link = play.links["p1", "p2"]
    link.talk.segment("client", flags=scene.wire.RST | scene.wire.ACK)
    link.opened = None
    play.stall("p1")
    play.run(3)
    play.wake("p1")
    play.run(3)
    assert findings.only(findings.of(store(play.pcap())), "process-stall").verdict == "process-stalled"


def test_fires_while_it_lasts(store):
    play = scene.Scene()
    play.run(4)
    play.stall("p2")
    play.run(6)
    assert findings.only(findings.of(store(play.pcap())), "process-stall").end is None


def test_fires_for_certain_where_a_client_waits(store):
    """Seen by p2 and by a client: its answers were not lost on the way to either."""
    play = scene.Scene()
    client = play.capture.conversation(("10.0.9.9", 5000), (play.nodes["p1"].ip, 6379)).open()
    client.send("client", resp.command("GET", "a"))
    client.send("server", resp.bulk("1"))
    play.run(4)
    play.stall("p1")
    play.run(0.5)
    client.send("client", resp.command("GET", "b"))
    play.run(1.7)
    play.wake("p1")
    client.send("server", resp.bulk("2"))
    play.run(3)
    found = findings.only(findings.of(store(play.pcap("p2 10.0.9.9"))), "process-stall")
    assert found.confidence == "certain" and found.metrics["last_command"] == "get"


def held(store, server):
    return findings.only(findings.of(store(server.traffic(1).pcap())), "process-stall")


@pytest.mark.parametrize("call", ["KEYS *", "EVAL script 0", "DEL big"])
def test_names_what_held_the_process_up(store, call):
    """Not the SET that it was given in the same breath, and answered first."""
    server = Server().traffic(3)
    server.play.stall("p1")
    server.carry_out(call, 3, before=((1, "SET a v"),))
    server.play.wake("p1")
    found = held(store, server)
    assert found.metrics["last_command"] == call.split()[0].lower()
    assert "asked before it fell silent" in found.explanation


def test_names_what_held_the_process_up_though_its_reply_is_big(store):
    """Others are answered before it is complete."""
    server = Server().traffic(3)
    server.play.stall("p1")
    server.carry_out_big("KEYS *", 3, sending=1.0)
    server.play.wake("p1")
    assert held(store, server).metrics["last_command"] == "keys"


def test_names_what_it_was_asked_and_never_answered(store):
    server = Server().traffic(3)
    server.play.stall("p1")
    server.ask(1, "SET a v")
    server.ask(0, "KEYS *")
    server.wait(3).ask(2, "HGETALL b")
    server.wait(3)
    found = findings.only(findings.of(store(server.pcap())), "process-stall")
    assert found.end is None and found.metrics["last_command"] == "keys"
    assert "never answered" in found.explanation


def test_near_miss_commands_that_held_nobody_up(store):
    """KEYS was answered before it stopped, HGETALL came a second after; BLPOP waits for others."""
    server = Server().traffic(3)
    server.ask(0, "BLPOP queue 0")
    server.quick(1, "KEYS *")
    server.traffic(0.5)
    server.play.stall("p1")
    server.wait(1).ask(1, "HGETALL b")
    server.wait(5)
    found = findings.only(findings.of(store(server.pcap())), "process-stall")
    assert found.metrics["last_command"] in ("get", "set")
    assert "answered before" in found.explanation


def asked_while_all(play, what):
    """A client asks p1 half a second after `what` has begun for all; it is over after 4 s."""
    client = play.capture.conversation(("10.0.9.9", 5000), (play.nodes["p1"].ip, 6379)).open()
    client.send("client", resp.command("GET", "a"))
    client.send("server", resp.bulk("1"))
    play.run(4)
    client.send("client", resp.command("GET", "a"))
    client.send("server", resp.bulk("1"))
    what(*play.nodes)
    play.run(0.5)
    return client


def test_fires_where_all_stand_still_and_only_clients_ask(store):
    """Nobody is left to send a PING."""
    play = scene.Scene()
    client = asked_while_all(play, play.stall)
    client.send("client", resp.command("GET", "b"))
    play.run(4)
    play.wake(*play.nodes)
    client.send("server", resp.bulk("2"))
    play.run(3)
    stalls = findings.all_of(findings.of(store(play.pcap())), "process-stall")
    stall = next(s for s in stalls if s.metrics["node"] == play.nodes["p1"].id)
    assert 4000 <= stall.metrics["duration_ms"] <= 5000 and stall.severity == "warning"


def test_near_miss_nobody_is_reached_and_requests_are_sent_again(store):
    """A network that is gone for all looks the same, but for TCP."""
    play = scene.Scene()
    client = asked_while_all(play, play.dead)
    seq, request = client.next["client"], resp.command("GET", "b")
    client.send("client", request, ack=False)
    play.run(2)
    client.segment("client", request, seq=seq)
    play.run(2)
    play.back(*play.nodes)
    client.ack("server")
    client.send("server", resp.bulk("2"))
    play.run(3)
    findings.none(findings.of(store(play.pcap())), "process-stall")


def test_near_miss_answers_that_a_lossy_path_ate(store):
    """What p2 sent to p1 had to be sent again, several times; then p1's answers are lost, so that
    p2 sees its PING acknowledged and not answered. It is p2's traffic alone that was captured."""
    play = scene.Scene(nt=12.0)
    play.run(4)
    for _ in range(3):
        play.cut("p2", "p1")
        play.run(1.1)
        play.heal()
        play.run(1.9)
    play.stall("p1")
    play.run(1)
    play.wake("p1")
    play.cut("p1", "p2")
    play.run(2)
    play.heal()
    play.run(3)
    findings.none(findings.of(store(play.pcap("p2"))), "process-stall")


def test_near_miss_what_waited_for_the_path(store):
    """p1's PING comes through when the path is back, three seconds late. What counts is how long p2
    has had it, not how long p1 has waited."""
    play = scene.Scene(nt=12.0)
    play.run(4)
    play.split("p1", "p2")
    play.run(1.1)
    play.run(play.links["p1", "p2"].pinged + 2.9 - play.now)
    play.heal()
    play.stall("p2")                    # the PING is sent once more after three seconds
    play.run(1.2)
    play.wake("p2")
    play.run(4)
    path = store(play.pcap("p1"))
    findings.none(findings.of(path, "--set", "process-stall-ms=2000"), "process-stall")
    stall = findings.only(findings.of(path, "--set", "process-stall-ms=200"), "process-stall")
    assert stall.confidence == "possible"


def test_near_miss_half_a_second(store):
    findings.none(findings.of(store(stalled(0.5).pcap())), "process-stall")


def test_near_miss_a_dead_host(store):
    play = scene.Scene()
    play.run(4)
    play.dead("p1")
    play.run(6)
    findings.none(findings.of(store(play.pcap())), "process-stall")


def test_near_miss_a_process_that_died(store):
    play = scene.Scene()
    play.run(4)
    play.kill("p1")
    play.run(6)
    findings.none(findings.of(store(play.pcap())), "process-stall")


def test_near_miss_a_node_that_was_reset(store):
    """After RESET HARD it answers the first PINGs under another name; then nobody asks it, and it asks
    nobody."""
    play = scene.Scene()
    play.run(3)
    asking = [play.links.pop(pair) for pair in list(play.links) if "r1" in pair]
    for link in asking:
        link.close()
    play.nodes["r1"] = scene.wire.Node(77, ip=play.nodes["r1"].ip, epoch=0, current_epoch=0)
    for link in (link for link in asking if link.b == "r1"):
        link.open()
        link.send("client", play.heartbeat(scene.wire.ping, link.a, link.b))
        link.send("server", scene.wire.pong(play.nodes["r1"]))
        link.close()
    play.run(4)
    findings.none(findings.of(store(play.pcap())), "process-stall")


def test_near_miss_a_process_that_died_and_left_a_child(store):
    """The child keeps the connections open: what is sent is acknowledged, until it ends, too."""
    play = scene.Scene()
    play.run(3)
    play.stall("p1")
    play.run(2.2)
    play.kill("p1")
    play.run(5)
    play.back("p1")
    play.run(3)
    findings.none(findings.of(store(play.pcap())), "process-stall")


# ------------------------------------------------------- one that ended on the host of the capture

def ended_on_its_host(store, seconds, back=3, host="p1"):
    play = scene.Scene()
    play.discreet = True
    play.run(3)
    play.kill("p1")
    play.run(seconds)
    if back:
        play.back("p1")
        play.run(back)
    return play, findings.of(store(play.pcap(host)))


@pytest.mark.parametrize("back", (0, 3))
def test_fires_where_its_own_process_has_ended(store, back):
    """Nobody tells the host that its process is missed; it closed its connections and refuses."""
    play, found = ended_on_its_host(store, 7, back)
    one = findings.only(found, "process-stall")
    died = scene.wire.START / 1e9 + 3
    assert one.nodes == [play.nodes["p1"].id] == [one.metrics["node"]]
    assert one.verdict == "process-died" and one.severity == ("notice" if back else "warning")
    assert one.ruled_out and died - 1.1 <= one.span[0] <= died + 0.01
    assert one.metrics["duration_ms"] >= 6000
    assert {"it closes the first of its bus connections", "its kernel refuses a new one"} <= {
        piece["note"] for piece in one.evidence}
    if back:
        assert died + 7 <= one.span[1] <= died + 8.2
    else:
        assert one.end is None


def test_near_miss_a_process_that_is_started_again(store):
    """That may have been meant: it is told, and is no warning."""
    _, found = ended_on_its_host(store, 2.5)
    assert findings.only(found, "process-stall").end
    findings.quiet(found)


@pytest.mark.parametrize("host", ("p2", None))
def test_near_miss_where_others_are_heard(store, host):
    """There it is told by those who marked it failed."""
    _, found = ended_on_its_host(store, 7, host=host)
    findings.none(found, "process-stall")


def test_near_miss_a_bus_port_that_refuses(store):
    """Its own connections work: somebody else refuses for it."""
    play = scene.Scene()
    play.run(3)
    play.block("p1", refuse=True)
    play.run(7)
    findings.none(findings.of(store(play.pcap("p1"))), "process-stall")


def test_near_miss_a_process_that_has_not_been_started_yet(store):
    play = scene.Scene()
    play.kill("p1")
    begin = play.capture.now
    play.run(4)
    frames = [frame for frame in play.capture.frames() if frame[0] > begin]
    ip = scene.wire.ipaddress.ip_address(play.nodes["p1"].ip).packed
    own = [f for f in frames if ip in (f[1][26:30], f[1][30:34])]
    findings.none(findings.of(store(scene.wire.pcap(own))), "process-stall")


def test_begins_after_its_last_attempt_to_connect(store):
    """p1's process has ended, and its host is captured: all that r2 does there is to be refused.
    Then r2 stands still until p1 is back and asks it."""
    play = scene.Scene()
    play.run(3)
    play.kill("p1")
    play.run(4)
    play.stall("r2")
    stopped = scene.wire.START / 1e9 + play.now
    play.run(4)
    play.back("p1")
    play.fail("p2", "r2")
    play.run(4)
    play.wake("r2")
    play.run(2)
    found = [f for f in findings.of(store(play.pcap("p1"))) if play.nodes["r2"].id in f.nodes]
    one = findings.only(found, "process-stall")
    assert stopped - 1.6 <= one.span[0] <= stopped + 0.01
    assert findings.only(found, "node-failed").verdict != "one-way-loss"


def test_says_at_least_of_one_that_the_capture_joined(store):
    """Nothing was heard of it before, so nothing of what it was asked is to blame."""
    play = scene.Scene()
    play.run(3)
    play.stall("p1")
    play.run(1.2)
    begin = bustap.when(play.capture.now)
    play.run(4)
    play.wake("p1")
    play.run(3)
    found = findings.only(findings.of(store(play.pcap()), "--from", begin), "process-stall")
    assert "stood still for at least" in found.title
    assert any("when the capture began" in caveat for caveat in found.caveats)
    whole = findings.only(findings.of(store(play.pcap())), "process-stall")
    assert "at least" not in whole.title
