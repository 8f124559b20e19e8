"""bus-unreachable: nobody gets in at the bus port, and the node lives."""

from lib import findings, resp, scene


def blocked(refuse, served=True):
    """p1's bus port lets nobody in from the fourth second on; its own connections work."""
    play = scene.Scene()
    client = play.capture.conversation(("10.0.9.9", 5000), (play.nodes["p1"].ip, 6379)).open()
    play.run(4)
    play.block("p1", refuse)
    for _ in range(8):
        play.run(1)
        if served:
            client.send("client", resp.command("GET", "k"))
            client.send("server", resp.bulk("v"))
    return play


def test_fires_when_packets_are_dropped(store):
    play = blocked(refuse=False)
    found = findings.only(findings.of(store(play.pcap())), "bus-unreachable")
    assert found.metrics["node"] == play.nodes["p1"].id
    assert found.metrics["client_port_alive"] is True
    assert found.metrics["attempts"] >= 5
    assert found.verdict == "bus-port-blocked"
    since = scene.wire.START / 1e9 + 4
    assert since <= found.span[0] <= since + 1.1                    # the first PING that was lost


def test_fires_when_connections_are_refused(store):
    play = blocked(refuse=True)
    found = findings.only(findings.of(store(play.pcap())), "bus-unreachable")
    assert found.metrics["client_port_alive"] is True


def test_near_miss_a_dead_process(store):
    play = scene.Scene()
    play.run(4)
    play.kill("p1")
    play.run(6)
    findings.none(findings.of(store(play.pcap())), "bus-unreachable")


def test_near_miss_a_restart(store):
    """Refused for a second, then well again."""
    play = scene.Scene()
    play.run(4)
    play.kill("p1")
    play.run(1)
    play.back("p1")
    play.run(4)
    findings.none(findings.of(store(play.pcap())), "bus-unreachable")


def test_near_miss_nothing_arrives_at_all(store):
    """Not the bus port only: what others send on p1's own connections is lost, too. A client that
    is not cut off is served meanwhile."""
    play = scene.Scene()
    client = play.capture.conversation(("10.0.9.9", 5000), (play.nodes["p1"].ip, 6379)).open()
    play.run(4)
    play.cut("p2 p3 r1 r2 r3", "p1")
    for _ in range(8):
        play.run(1)
        client.send("client", resp.command("GET", "k"))
        client.send("server", resp.bulk("v"))
    found = findings.of(store(play.pcap()))
    findings.none(found, "bus-unreachable")
    failed = next(f for f in findings.all_of(found, "node-failed")
                  if f.metrics["node"] == play.nodes["p1"].id)
    assert failed.verdict == "one-way-loss"
