"""redirect-storm: clients that are told again what they were told, and why; not those that learn."""

import pytest

from lib import bustap, captures, crowd, findings, resp, scene, wire
from lib.crowd import Crowd, ask, moved, quiet_scene
from lib.redirected import Redirected

STALE = captures.take("stale_clients-redis-7.0.15")
CALM = [captures.take(run) for run in
        ("reshard-redis-7.0.15", "manual_failover-redis-7.0.15", "kill_primary-redis-8.0.2",
         "slot_left_open-redis-7.0.15", "every_client-valkey-8.1.1")]
SAID = ["CLIENT SETNAME web", "CLIENT SETINFO LIB-NAME jedis", "CLIENT SETINFO LIB-VER 5.1.0"]


def test_fires_for_clients_that_never_learn():
    """Twenty of them; the servers counted as many MOVED."""
    found = findings.only(findings.of(STALE.path), "redirect-storm")
    servers = bustap.analyze(STALE.path)["clients"]["servers"]
    assert found.severity == "warning" and found.metrics["cause"] == "stale-clients"
    assert found.metrics["moved"] == sum(s["errors"].get("MOVED", 0) for s in servers) > 500
    assert found.metrics["clients"] == 20
    assert found.metrics["servers"] == ["10.77.0.11:6379"]
    assert found.end is None, "it went on until the capture ended"
    assert found.advice


def test_the_verdict_is_the_storm_and_not_the_resharding():
    """Slots that moved as they should are what it goes back to, not what is wrong."""
    verdict = bustap.run("analyze", STALE.path).text.splitlines()[0]
    assert verdict.startswith("warning: 20 client connections are redirected")
    assert "Cause: 2000 slots moved" in verdict


@pytest.mark.parametrize("take", CALM, ids=lambda take: take.run)
def test_near_miss_of_real_clusters(take):
    findings.none(findings.of(take.path), "redirect-storm")


def again(redirect, rounds=300):
    """Some connection does this to its server, again and again, 50 times a second."""
    play = Redirected()
    client = play.client("10.1.0.1")
    for _ in range(rounds):
        redirect(client)
        play.wait(0.015)
    return play


CAUSES = {
    "stale-clients": lambda c: c.moved("a", 17, "b"),
    "self-redirect": lambda c: c.moved("a", 17, "a"),
    "unreachable-target": lambda c: c.moved("a", 17, "?:6379"),
    "disagreement": lambda c: (c.moved("a", 17, "b"), c.moved("b", 17, "c")),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_fires_with_its_cause(store, cause):
    found = findings.only(findings.of(store(again(CAUSES[cause]).pcap())), "redirect-storm")
    assert found.metrics["cause"] == found.verdict == cause and found.severity == "warning"
    assert found.metrics["slots"] == "17" and found.metrics["clients"] >= 1


def test_fires_for_a_target_that_clients_give_up_before_they_ask_twice(store):
    """They wait for less than the second after which a SYN is repeated."""
    play = again(lambda c: (c.moved("a", 17, "b"), c.tries("b")))
    found = findings.only(findings.of(store(play.pcap())), "redirect-storm")
    assert found.verdict == "unreachable-target"
    assert "sent to 10.0.0.2:6379; 300 attempts to connect there failed" in found.explanation
    assert found.span[0] < wire.START / 1e9 + 0.1, "since the first attempt"


def sent_in_vain(store, seconds, dead=False):
    """Three times a second clients are sent to p1, at an address that does not answer them."""
    play = quiet_scene()
    crowd, port = Crowd(play, "p2", 1), 50000
    if dead:
        play.kill("p1")
    for _ in range(seconds * 3):
        play.run(0.23)
        crowd.asks(0.1, moved(7, f"{play.nodes['p1'].ip}:6379"))
        port += 1
        play.capture.conversation((crowd.host, port), (play.nodes["p1"].ip, 6379)).tried()
    return findings.of(store(play.pcap()))


def test_fires_for_few_clients_that_are_not_served_at_all(store):
    found = findings.only(sent_in_vain(store, 14), "redirect-storm")
    assert found.verdict == "unreachable-target" and found.metrics["peak_per_s"] <= 4


def test_near_miss_a_target_that_has_just_died(store):
    """Its replica takes over, and clients are sent there."""
    findings.none(sent_in_vain(store, 14, dead=True), "redirect-storm")


def test_near_miss_a_target_that_is_not_reached_for_a_moment(store):
    findings.none(sent_in_vain(store, 7), "redirect-storm")


def test_near_miss_a_target_that_answers_others(store):
    play = Redirected()
    play.client("10.1.0.2").served("b", 17)
    client = play.client("10.1.0.1")
    for _ in range(300):
        client.moved("a", 17, "b")
        client.tries("b")
        play.wait(0.015)
    found = findings.only(findings.of(store(play.pcap())), "redirect-storm")
    assert found.verdict == "stale-clients"


def test_near_miss_a_target_that_lets_clients_in(store):
    """What they say to each other then is not seen."""
    play = again(lambda c: (c.moved("a", 17, "b"), c.another("b").open()))
    found = findings.only(findings.of(store(play.pcap())), "redirect-storm")
    assert found.verdict == "stale-clients"


def sent_to_a_name(store, follows):
    """p1 is named by the name that it announces; it answers somebody else, and those who go there."""
    play = quiet_scene()
    play.hostnames = {"p1": "p1.example"}
    play.run(3)
    others, crowd = Crowd(play, "p1", 1, host="10.9.0.2"), Crowd(play, "p2", 5)
    there = Crowd(play, "p1", 5, port=50000) if follows else others
    for _ in range(80):
        crowd.asks(0.1, moved(7, "p1.example:6379"))
        there.asks(0.1, resp.bulk(b"v"))
    return findings.only(findings.of(store(play.pcap())), "redirect-storm")


def test_fires_for_host_names_that_clients_do_not_know(store):
    found = sent_to_a_name(store, follows=False)
    assert (found.verdict, found.confidence) == ("unreachable-target", "likely")
    assert "Not one of these redirects was followed" in found.explanation
    assert any("getent hosts" in line for line in found.advice)


def test_near_miss_host_names_that_clients_follow(store):
    found = sent_to_a_name(store, follows=True)
    assert found.verdict == "stale-clients" and found.metrics["next"]["followed"] > 300


@pytest.mark.parametrize("seen", [True, False])
def test_is_sure_of_clients_only_if_it_sees_them_go_on(store, seen):
    """A capture at the server that sends them away shows nothing of it."""
    play = again(lambda c: (c.moved("a", 17, "b"), seen and c.served("b", 17)))
    found = findings.only(findings.of(store(play.pcap())), "redirect-storm")
    assert found.verdict == "stale-clients"
    assert found.confidence == ("certain" if seen else "likely")
    assert any("not let in" in caveat for caveat in found.caveats) != seen


def test_fires_softly_for_a_slot_that_is_open_for_long(store):
    """ASK is right there, and clients must not learn from it: for ten seconds no word of it."""
    play = again(lambda c: (c.asked("a", 17, "b"), c.served("b", 17)), rounds=1000)
    found = findings.only(findings.of(store(play.pcap())), "redirect-storm")
    assert found.metrics["cause"] == "migration" and found.severity == "notice"
    short = again(lambda c: (c.asked("a", 17, "b"), c.served("b", 17)), rounds=300)
    findings.none(findings.of(store(short.pcap())), "redirect-storm")


def at_a_replica(play):
    """Clients that ask r1, and are sent to its primary, which they know."""
    target = play.nodes["p1"].ip
    Crowd(play, "r1", 5).asks(8, moved(7, f"{target}:6379"))
    return play


def test_fires_for_clients_that_read_from_replicas_without_saying_so(store):
    """No slot map would help them."""
    play = scene.Scene()
    play.run(2)
    found = findings.only(findings.of(store(at_a_replica(play).pcap())), "redirect-storm")
    assert found.metrics["cause"] == found.verdict == "stale-clients"
    assert "from replicas to their primary" in found.title
    assert any("READONLY" in line for line in found.advice)


def test_near_miss_a_replica_that_was_the_primary_a_moment_ago(store):
    """After a failover they have missed just that."""
    play = scene.Scene()
    play.run(2)
    play.elect("r1")
    play.demote("p1", "r1")
    play.run(12)
    Crowd(play, "p1", 5).asks(8, moved(7, f'{play.nodes["r1"].ip}:6379'))
    found = findings.only(findings.of(store(play.pcap())), "redirect-storm")
    assert found.verdict == "stale-clients" and "never learn" in found.title


def test_ends_with_the_last_that_was_no_news(store):
    """The slot is where that connection looks for it; others are still told what is news to them."""
    play = again(CAUSES["stale-clients"])
    ended = play.capture.now / 1e9
    for number in range(40):
        play.client(f"10.2.0.{number}").moved("a", number, "b")
        play.wait(0.4)
    found = findings.only(findings.of(store(play.pcap())), "redirect-storm")
    assert found.span[1] is not None and abs(found.span[1] - ended) < 1
    assert found.metrics["moved"] == 340 and 200 < found.metrics["told_again"] < 300


def test_near_miss_many_clients_that_learn_at_once(store):
    """A thousand redirects in ten seconds, each of them news."""
    play = Redirected()
    for number in range(100):
        client = play.client(f"10.1.0.{number}")
        for slot in range(10):
            client.moved("a", slot, "b")
            client.served("b", slot)
        play.wait(0.05)
    findings.none(findings.of(store(play.pcap())), "redirect-storm")


def test_near_miss_a_slot_that_moves_on(store):
    """The same connection and slot, but each time another server: news again."""
    play = Redirected()
    client = play.client("10.1.0.1")
    for number in range(200):
        client.moved("a", 17, "bc"[number % 2])
        play.wait(0.02)
    findings.none(findings.of(store(play.pcap())), "redirect-storm")


def test_near_miss_below_the_threshold(store):
    path = store(again(lambda c: (c.moved("a", 17, "b"), [c.served("b", 17)] * 1)).pcap())
    findings.only(findings.of(path), "redirect-storm")
    findings.none(findings.of(path, "--set", "redirect-storm-per-s=1000"), "redirect-storm")


def test_the_table_is_bounded(store):
    """Beyond CAP_REDIRECTS nothing is kept apart: less is found, and what is found says so."""
    play = Redirected()
    for host in range(5):
        client = play.client(f"10.1.0.{host}")
        for slot in range(16384):
            client.ask("a", b"-MOVED %d 10.0.0.2:6379\r\n" % slot)
    late = play.client("10.2.0.1")
    for _ in range(300):
        late.moved("a", 1, "a")
    found = findings.only(findings.of(store(play.pcap())), "redirect-storm")
    assert any("more clients and slots than are kept" in c for c in found.caveats)


def storm(store, play, *args):
    return findings.only(findings.of(store(play.pcap()), *args), "redirect-storm")


def refused(play, port, target):
    """An attempt to connect that is answered by a reset."""
    link = play.capture.conversation((crowd.HOST, port), (target, 6379))
    link.segment("client", flags=wire.SYN)
    link.segment("server", flags=wire.RST | wire.ACK, seq=0)


# ---- clients that do not learn


def test_fires_and_says_who_since_when_and_what_they_did():
    found = findings.only(findings.of(STALE.path, "--keys", "full"), "redirect-storm")
    (who,) = found.metrics["who"]
    assert (who["name"], who["connections"], who["refreshes"]) == ("c1", 20, 0)
    assert "20 connections of " in found.explanation
    assert "10.77.0.12:6379" in found.explanation                   # whose the slots are now
    assert any(piece["note"] == "the last of these slots changes hands" for piece in found.evidence)
    assert found.metrics["next"]["followed"] >= found.metrics["moved"] * 0.99


def test_fires_with_names_and_libraries_of_stale_clients(store):
    play = quiet_scene()
    Crowd(play, "p1", 5, SAID).asks(8, moved(7, "10.0.0.2:6379"))
    found = storm(store, play, "--keys", "full")
    assert (found.severity, found.verdict) == ("warning", "stale-clients")
    (who,) = found.metrics["who"]
    assert (who["name"], who["library"], who["version"]) == ("web", "jedis", "5.1.0")
    assert who["host"] == crowd.HOST and who["connections"] == 5
    assert "5 connections of 10.9.0.1 (jedis 5.1.0)" in found.explanation
    assert "did not change hands" in found.explanation
    assert found.metrics["moved"] == 400 and found.metrics["told_again"] == 350
    assert found.metrics["next"]["repeated"] >= 380
    assert 45 <= found.metrics["peak_per_s"] <= 50


def test_fires_with_the_name_that_hello_gives(store):
    play = quiet_scene()
    Crowd(play, "p1", 5, ["HELLO 3 AUTH setname secret SETNAME web"]).asks(8, moved(7, "10.0.0.2:6379"))
    (who,) = storm(store, play, "--keys", "full").metrics["who"]
    assert who["name"] == "web" and "library" not in who


def test_fires_on_a_new_connection_for_each_request(store):
    """A host that was told ten seconds ago, and whose new connections still do not know."""
    play = quiet_scene()
    Crowd(play, "p1", 4).asks(16, moved(7, "10.0.0.2:6379"), renew=True)
    found = storm(store, play)
    assert found.verdict == "stale-clients" and found.metrics["told_again"] > 100


def test_fires_with_those_that_go_to_two_servers_apart(store):
    """Two hosts, two groups, the greater one first."""
    play = quiet_scene()
    few = Crowd(play, "p1", 2, ["CLIENT SETNAME few"])
    many = Crowd(play, "p3", 6, ["CLIENT SETNAME many"], host="10.9.0.2")
    for _ in range(8):
        few.asks(0.5, moved(7, "10.0.0.2:6379"))
        many.asks(0.5, moved(7, "10.0.0.2:6379"))
    found = storm(store, play)
    assert found.metrics["clients"] == 8 and len(found.metrics["servers"]) == 2
    assert "6 connections of 10.9.0.2; 2 of 10.9.0.1" in found.explanation


# ---- other causes


def test_fires_on_a_migration_that_is_never_ended(store):
    play = quiet_scene()
    Crowd(play, "p1", 5).asks(20, ask(7, "10.0.0.2:6379"))
    found = storm(store, play)
    assert (found.severity, found.verdict) == ("notice", "migration")
    assert (found.metrics["moved"], found.metrics["ask"]) == (0, 1000)


def test_fires_as_a_change_while_clients_still_learn(store):
    play = quiet_scene()
    crowd = Crowd(play, "p1", 10)
    play.set("p1", slots=wire.bitmap((8, 5460)))
    play.set("p2", slots=wire.bitmap((0, 7), (5461, 10921)), config_epoch=9, current_epoch=9)
    play.run(1)
    crowd.asks(6, moved(7, "10.0.0.2:6379"))
    found = storm(store, play)
    assert (found.severity, found.verdict) == ("notice", "topology-change")
    assert "went to 10.0.0.2:6379" in found.explanation


@pytest.mark.parametrize("target", ("10.0.0.1:6379", ":6379"), ids=("named", "empty"))
def test_fires_on_a_server_that_names_itself(store, target):
    play = quiet_scene()
    Crowd(play, "p1", 5).asks(8, moved(7, target))
    found = storm(store, play)
    assert (found.severity, found.verdict) == ("warning", "self-redirect")


def test_fires_on_another_address_of_the_same_node(store):
    """p1 announces an address; clients come by another one, from which its bus packets come."""
    play = quiet_scene()
    play.set("p1", ip="192.168.7.7")
    play.run(3)
    Crowd(play, "p1", 5).asks(8, moved(7, "192.168.7.7:6379"))
    assert storm(store, play).verdict == "self-redirect"


def test_fires_on_servers_that_disagree(store):
    play = quiet_scene()
    here, there = Crowd(play, "p1", 5), Crowd(play, "p2", 5, port=50000)
    for _ in range(80):
        here.asks(0.1, moved(7, "10.0.0.2:6379"))
        there.asks(0.1, moved(7, "10.0.0.3:6379"))
    found = storm(store, play)
    assert (found.severity, found.verdict) == ("warning", "disagreement")
    assert set(found.metrics["servers"]) == {"10.0.0.1:6379", "10.0.0.2:6379"}


def test_fires_on_a_host_that_is_not_named(store):
    play = quiet_scene()
    Crowd(play, "p1", 5).asks(8, moved(7, "?:6379"))
    found = storm(store, play)
    assert (found.severity, found.verdict) == ("warning", "unreachable-target")
    assert '"?"' in found.explanation


def test_fires_on_a_target_that_nobody_reaches(store):
    play = quiet_scene()
    crowd = Crowd(play, "p1", 5)
    for i in range(8):
        crowd.asks(1, moved(7, "10.99.0.2:6379"))
        refused(play, 60000 + i, "10.99.0.2")
    found = storm(store, play)
    assert (found.severity, found.verdict) == ("warning", "unreachable-target")
    assert "10.99.0.2:6379" in found.explanation and "10.99.0.2:6379" in found.subjects["addrs"]


def test_fires_and_says_that_a_host_name_was_named(store):
    play = quiet_scene()
    Crowd(play, "p1", 5).asks(8, moved(7, "node2.lab.invalid:6379"))
    found = storm(store, play)
    assert found.verdict == "stale-clients" and "host name" in found.explanation


# ---- near misses


def test_near_miss_ask_while_a_slot_moves(store):
    play = quiet_scene()
    Crowd(play, "p1", 10).asks(5, ask(7, "10.0.0.2:6379"))
    findings.none(findings.of(store(play.pcap())), "redirect-storm")
