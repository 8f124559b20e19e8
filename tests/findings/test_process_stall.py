"""process-stall: the kernel acknowledges, the process says nothing."""

from lib import findings, scene


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


def test_fires_while_it_lasts(store):
    play = scene.Scene()
    play.run(4)
    play.stall("p2")
    play.run(6)
    assert findings.only(findings.of(store(play.pcap())), "process-stall").end is None


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
