"""Findings of one failure are one incident: told as a story, cause first, with what it cost."""

import re

from lib import bustap, captures, findings, scene


def broken(store):
    """p1 fails for good, its replica may not take over, and the cluster is down."""
    play = scene.Scene(replicas=0)
    play.run(3)
    play.dead("p1")
    play.run(6)
    for name in ("p2", "p3"):
        play.set(name, state=1)
    play.run(9)
    return store(play.pcap())


def test_one_failure_is_one_incident(store):
    found = findings.of(broken(store))
    together = {f.type for f in found if f.incident == "i1"}
    assert {"failover-failed", "slot-uncovered", "cluster-down"} <= together
    assert findings.only(found, "slot-uncovered").caused_by
    assert findings.only(found, "cluster-down").caused_by
    roots = [f for f in found if f.incident == "i1" and f.caused_by is None]
    assert roots and all(f.type in ("node-failed", "slot-uncovered", "failover-failed")
                         for f in roots)


def test_the_story_begins_with_its_cause_and_counts_from_its_start(store):
    text = bustap.run("analyze", broken(store)).text
    story = text[text.index("  Incident i1"):text.index("\n\n", text.index("  Incident i1"))]
    lines = story.splitlines()
    assert re.match(r"  Incident i1, from \d\d:\d\d:\d\d\.\d{6} until the end of the capture", lines[0])
    assert re.match(r" +\+0\.000 s  f\d+ ", lines[1]) and "(from f" not in lines[1]
    times = [float(re.search(r"\+([\d.]+) s", line).group(1)) for line in lines[1:-1]]
    assert times == sorted(times)
    assert "(from f" in story
    assert re.search(r"cost +\d+(\.\d+)? s of slots without an owner", lines[-1])


def test_the_first_line_names_the_root_and_the_cost(store):
    path = broken(store)
    first = bustap.run("analyze", path).text.splitlines()[0]
    found = findings.of(path)
    worst = found[0]
    while worst.caused_by:
        worst = next(f for f in found if f.id == worst.caused_by)
    assert first.startswith(f"critical: {worst.title}. Cost: ")


def kept(name):
    path = bustap.ROOT / "pcaps" / name
    return path, findings.of(path)


def cause_of(found, type_):
    effect = next(f for f in found if f.type == type_)
    return next(f for f in found if f.id == effect.caused_by)


def test_a_lesser_root_is_named_behind_the_harm_that_it_did():
    path, found = kept("told_to_sleep-redis-8.0.2.pcap.zst")
    root = cause_of(found, "process-stall")
    first = bustap.run("analyze", path).text.splitlines()[0]
    assert root.severity != "critical" and found[0].severity == "critical"
    assert first.startswith(f"critical: {found[0].title}. Cause: {root.title}. Cost: ")


def test_a_node_that_came_back_as_another_is_why_the_old_one_failed():
    _, found = kept("node_reborn-valkey-9.1.2.pcap.zst")
    assert cause_of(found, "node-failed").type == "node-identity-changed"


def test_writes_lost_by_a_node_that_no_quorum_could_fail_belong_to_its_silence():
    _, found = kept("no_quorum-redis-7.0.15.pcap.zst")
    cause = cause_of(found, "lost-writes")
    assert cause.type == "node-suspected" and cause.incident == "i1"


def test_without_trouble_there_is_no_incident(store):
    play = scene.Scene()
    play.run(5)
    assert "Incident" not in bustap.run("analyze", store(play.pcap())).text


def test_the_first_line_takes_no_silence_of_a_pair_for_the_cause():
    """Five waited for answers of the one: that is how its loss was felt."""
    take = captures.take("one_way_loss-redis-8.0.2")
    first = bustap.run("analyze", "-q", take.path).text
    assert "was marked failed: one-way-loss" in first and "Cause:" not in first


def test_a_cause_that_is_not_known_is_not_certain():
    """What is certain is that it happened."""
    text = bustap.run("analyze", captures.take("failover_crash-valkey-8.1.1").path).text
    assert "verdict   unknown (the rest is certain)" in text
    assert "unknown (certain)" not in text
