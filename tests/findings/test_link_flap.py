"""link-flap: a link that works, breaks and is opened anew, again and again."""

from lib import findings, scene


def flapping(times, every=4):
    """Somebody closes p1's link to p2 every few seconds; it comes back each time."""
    play = scene.Scene()
    play.run(3)
    for _ in range(times):
        play.links["p1", "p2"].close()
        play.run(every)
    return play


def test_fires_on_five_times_in_twenty_seconds(store):
    play = flapping(5)
    found = findings.only(findings.of(store(play.pcap())), "link-flap")
    assert found.metrics == {"from": play.nodes["p1"].id, "to": play.nodes["p2"].id,
                             "reconnects": 5}


def test_near_miss_twice(store):
    findings.none(findings.of(store(flapping(2).pcap())), "link-flap")


def test_near_miss_a_node_that_is_stopped(store):
    """Its links are opened anew every NT/2, but nothing comes back on them."""
    play = scene.Scene()
    play.run(3)
    play.stall("p2")
    play.run(15)
    findings.none(findings.of(store(play.pcap())), "link-flap")
