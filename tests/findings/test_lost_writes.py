"""lost-writes: acknowledged, and the next primary never had them."""

import pytest

from lib import captures, findings, resp, scene, wire, writes

DIARIES = [t for t in captures.TAKES if t.truth.get("lost_writes")]
BRIDGES = [t for t in DIARIES if not t.vantage]


def length(*words):
    return len(resp.command(*words))


def listed(found):
    return sorted(w["key"] for f in findings.all_of(found, "lost-writes")
                  for w in f.metrics.get("writes", ()))


# ------------------------------------------------------------------------------ real clusters


@pytest.mark.parametrize("take", BRIDGES, ids=lambda t: t.name)
def test_fires_on_the_diarys_lost_writes_and_no_others(take):
    lost = sorted(w["key"] for w in take.truth["lost_writes"]["lost"])
    found = findings.of(take.path, "--keys", "full")
    assert listed(found) == lost
    for one in findings.all_of(found, "lost-writes"):
        assert one.severity == "critical" and one.confidence in ("certain", "likely")
        assert one.metrics["count"] == len(one.metrics["writes"])
        if one.metrics.get("proof") != "psync-offset":
            continue
        rest = one.metrics["bytes"] - one.metrics["bytes_of_writes"]
        assert rest >= 0 and rest % length("PING") == 0


@pytest.mark.parametrize("take", DIARIES, ids=lambda t: t.name)
def test_no_vantage_lists_a_write_that_is_not_lost(take):
    lost = {w["key"] for w in take.truth["lost_writes"]["lost"]}
    assert not set(listed(findings.of(take.path, "--keys", "full"))) - lost


def test_fires_from_one_host_with_less_to_list():
    """The old primary's own port shows what it wrote, not how much its replica had: what it can
    prove is in the last bytes, which add up."""
    take = captures.take("partition_minority-redis-7.0.15", "n1")
    found = findings.only(findings.of(take.path), "lost-writes")
    assert 0 < found.metrics["count"] < len(take.truth["lost_writes"]["lost"])
    assert found.metrics["undecided"] > 0
    assert any("cannot be told" in c for c in found.caveats)


def test_keys_are_shown_only_if_asked_for():
    path = captures.take("partition_minority-redis-7.0.15").path
    hidden = findings.only(findings.of(path), "lost-writes")
    assert "writes" not in hidden.metrics and "w:minority" not in str(hidden.__dict__)
    named = findings.only(findings.of(path, "--keys", "pseudonym"), "lost-writes")
    assert all(w["key"].startswith("k:") for w in named.metrics["writes"])
    shown = findings.only(findings.of(path, "--keys", "full"), "lost-writes")
    assert set(shown.metrics["writes"][0]) == {"time", "key", "slot", "client", "server", "frame"}


# ------------------------------------------------------------------------------ made-up ones


class Story:
    """p1 takes writes, some of which r1 gets; p1 falls silent and r1 is elected."""

    def __init__(self, **more):
        self.play = scene.Scene()
        self.link = writes.Replication(self.play, "p1", "r1", **more)
        self.client = writes.Client(self.play, "p1")
        self.play.run(2)
        self.link.stream("SELECT", "0")
        for number in range(3):
            self.client.set(f"{{b}}kept{number}", "v", self.link)
        self.link.ack()

    def fail_over(self):
        self.play.run(1)
        self.play.stall("p1")
        self.play.run(5)
        self.play.set("r1", offset=self.link.got)
        self.play.elect("r1")
        self.play.run(1)

    def give_in(self, **more):
        """p1 comes back and asks for what follows its own stream."""
        self.play.wake("p1")
        writes.resync(self.play, "p1", "r1", self.link.sent + 1, **more)
        self.play.run(1)

    def restart_with(self, copy):
        """p1 is killed and started again; r1 gets this copy of its new data set."""
        self.play.run(1)
        self.play.kill("p1")
        self.play.run(1)
        self.play.back("p1")
        talk = resp.Dialogue(self.play.capture, (self.play.nodes["r1"].ip, 55002),
                             writes.address(self.play, "p1"))
        talk.trade(resp.command("PSYNC", writes.OWN_ID, str(self.link.got + 1)),
                   resp.simple("FULLRESYNC " + "d" * 40 + " 0"), copy)
        self.play.run(1)

    def findings(self, store, *args):
        return findings.of(store(self.play.pcap()), "--keys", "full", *args)

    def only(self, store):
        return findings.only(self.findings(store), "lost-writes")


@pytest.mark.parametrize("channels", (False, True), ids=("one-link", "two-channels"))
def test_fires_on_writes_that_the_replica_had_not_got(store, channels):
    story = Story(channels=channels)
    for number in range(4):
        story.client.set(f"{{b}}lost{number}", "v", lost=story.link)
    story.fail_over()
    story.give_in()
    found = story.only(store)
    assert listed([found]) == [f"{{b}}lost{n}" for n in range(4)]
    assert found.metrics["proof"] == "psync-offset"
    assert found.metrics["bytes"] == 4 * length("SET", "{b}lost0", "v")
    assert found.metrics["loser"] == story.play.nodes["p1"].id
    assert found.metrics["winner"] == story.play.nodes["r1"].id
    assert (found.severity, found.confidence) == ("critical", "certain")


def test_fires_on_the_ghost_write_of_a_resumed_primary(store):
    """It answers before it hears that it has been replaced."""
    story = Story()
    story.fail_over()
    story.client.set("{b}ghost", "v", lost=story.link)
    story.give_in()
    found = story.only(store)
    assert listed([found]) == ["{b}ghost"]
    assert found.metrics["bytes"] == length("SET", "{b}ghost", "v")


def test_fires_without_offsets_on_what_came_after_the_claim(store):
    """The old primary had been restarted: its data set has another id, its bytes prove nothing."""
    story = Story()
    story.fail_over()
    story.client.set("{b}ghost", "v")
    story.give_in(replid="c" * 40)
    found = story.only(store)
    assert listed([found]) == ["{b}ghost"]
    assert found.metrics["proof"] == "claim-order"


def test_fires_for_a_primary_that_never_comes_back(store):
    """Its stream was seen up to what the winner had, and these are not in it."""
    story = Story()
    story.client.set("{b}lost", "v", lost=story.link)
    story.fail_over()
    found = story.only(store)
    assert listed([found]) == ["{b}lost"]
    assert found.confidence == "likely"
    assert any("was not seen to take" in c for c in found.caveats)


def test_fires_on_a_transaction(store):
    story = Story()
    client, link = story.client, story.link
    client.write("MULTI")
    client.write("SET", "good", "v", reply=resp.simple("QUEUED"))
    client.write("INCR", "bad", reply=resp.simple("QUEUED"))
    client.write("EXEC", reply=resp.array(resp.OK, resp.error("WRONGTYPE no number")))
    for words in (("MULTI",), ("SET", "good", "v"), ("EXEC",)):
        link.sent += length(*words)
    story.fail_over()
    story.give_in()
    assert listed([story.only(store)]) == ["good"]


def test_fires_on_a_primary_that_comes_back_empty(store):
    """Killed and started again before anybody took over: its replica copies the empty data set."""
    story = Story()
    story.restart_with(b"$172\r\n" + bytes(172))
    found = story.only(store)
    assert listed([found]) == ["{b}kept0", "{b}kept1", "{b}kept2"]
    assert (found.severity, found.confidence) == ("critical", "likely")
    assert "winner" not in found.metrics and "proof" not in found.metrics
    assert found.metrics["loser"] == story.play.nodes["p1"].id


def test_near_miss_a_primary_that_comes_back_with_its_data(store):
    story = Story()
    story.restart_with(b"$5000\r\n" + bytes(5000))
    findings.none(story.findings(store), "lost-writes")


def heir_is_lost(story, offset, copy, gives_in=True):
    """r1 takes over and writes; it is started again, and p1, its replica by now, gets this copy of a
    stream that begins at this offset."""
    story.fail_over()
    later = writes.Client(story.play, "r1", port=50002)
    later.set("{b}later", "v")
    if gives_in:
        story.give_in()
    story.play.kill("r1")
    story.play.run(1)
    story.play.back("r1")
    if not gives_in:
        story.play.wake("p1")
        story.play.demote("p1", "r1")
    talk = resp.Dialogue(story.play.capture, (story.play.nodes["p1"].ip, 56002),
                         writes.address(story.play, "r1"))
    talk.trade(resp.command("PSYNC", writes.OWN_ID, str(story.link.sent + 1)),
               resp.simple("FULLRESYNC " + "d" * 40 + f" {offset}"), copy)
    story.play.run(1)


@pytest.mark.parametrize("gives_in", (True, False))
def test_fires_on_what_an_heir_had_got_and_lost(store, gives_in):
    """p1 still had it all, but it is the replica now, and copies the emptiness."""
    story = Story()
    heir_is_lost(story, 0, b"$172\r\n" + bytes(172), gives_in)
    found = [f for f in story.findings(store) if f.type == "lost-writes"]
    old, own = sorted(found, key=lambda f: -f.metrics["count"])
    assert listed([old]) == ["{b}kept0", "{b}kept1", "{b}kept2"] and listed([own]) == ["{b}later"]
    p1, r1 = (story.play.nodes[name].id for name in ("p1", "r1"))
    assert (old.metrics["loser"], old.metrics["winner"]) == (p1, r1)
    assert own.metrics["loser"] == r1 and "winner" not in own.metrics
    assert {f.severity for f in found} == {"critical"} and "proof" not in old.metrics


@pytest.mark.parametrize("offset, copy", ((0, b"$5000\r\n" + bytes(5000)),
                                          (900, b"$172\r\n" + bytes(172))))
def test_near_miss_an_heir_that_has_its_data(store, offset, copy):
    """They were on its disk; or its stream goes on: it has deleted its keys, as it was told to."""
    story = Story()
    heir_is_lost(story, offset, copy)
    findings.none(story.findings(store), "lost-writes")


def test_near_miss_the_client_had_given_up(store):
    """The ghost's answer comes to a client that has closed its connection: it never took it for
    written."""
    story = Story()
    story.fail_over()
    story.client.talk.ask("SET {b}ghost v")
    story.client.talk.link.segment("client", flags=wire.FIN | wire.ACK)
    story.client.talk.link.next["client"] += 1
    story.client.talk.answer(resp.OK)
    story.link.sent += length("SET", "{b}ghost", "v")
    story.give_in()
    assert not listed(story.findings(store))


@pytest.mark.parametrize("words, reply", [
    (("SET", "x", "v"), resp.error("CLUSTERDOWN The cluster is down")),
    (("SET", "x", "v"), resp.error("MOVED 1 10.0.0.2:6379")),
    (("DEL", "x"), 0), (("SADD", "x", "m"), 0), (("LPOP", "x"), None), (("GET", "x"), "v"),
    (("SETNX", "x", "v"), 0), (("LTRIM", "x", "0", "-1"), resp.OK),
    (("EVAL", "return 1", "1", "x"), 1)])
def test_near_miss_what_wrote_nothing(store, words, reply):
    """Refused, or it may have found nothing to do: nobody misses it."""
    story = Story()
    story.client.set("{b}lost", "v", lost=story.link)
    story.client.write(*words, reply=resp.value(reply))
    story.fail_over()
    story.give_in()
    assert listed([story.only(store)]) == ["{b}lost"]


@pytest.mark.parametrize("asked, sent, reply", [
    (("SET", "x", "v", "EX", "9"), ("SET", "x", "v", "PXAT", "1795394778000"), resp.OK),
    (("SETEX", "x", "9", "v"), ("SET", "x", "v", "PXAT", "1795394778000"), resp.OK),
    (("INCRBYFLOAT", "x", "1.5"), ("SET", "x", "1.5", "KEEPTTL"), resp.bulk("1.5")),
    (("SPOP", "x"), ("SREM", "x", "m"), resp.bulk("m")),
    (("EXPIRE", "x", "9"), ("PEXPIREAT", "x", "1795394778000"), 1),
    (("GETDEL", "x"), ("DEL", "x"), resp.bulk("v")),
    (("HSET", "x", "f", "v"), ("HSET", "x", "f", "v"), 0)])
def test_near_miss_what_is_replicated_in_another_form(store, asked, sent, reply):
    story = Story()
    story.client.write(*asked, reply=resp.value(reply))
    story.link.stream(*sent)
    story.client.set("{b}lost", "v", lost=story.link)
    story.fail_over()
    story.give_in()
    assert listed([story.only(store)]) == ["{b}lost"]


def test_near_miss_all_writes_were_replicated(store):
    story = Story()
    story.fail_over()
    story.give_in(answer=resp.simple(f"CONTINUE {writes.NEW_ID}"))
    findings.none(story.findings(store), "lost-writes")


def test_near_miss_a_copy_that_was_not_needed(store):
    """A full copy alone proves nothing: the backlog may have been too short."""
    story = Story()
    story.fail_over()
    story.give_in()
    findings.none(story.findings(store), "lost-writes")


def test_near_miss_the_replica_gets_it_before_the_client_hears(store):
    story = Story()
    story.client.talk.ask("SET early v")
    story.link.stream("SET", "early", "v")
    story.client.talk.answer(resp.OK)
    story.fail_over()
    story.give_in()
    findings.none(story.findings(store), "lost-writes")


def test_fires_if_a_client_goes_on_asking_before_it_takes_the_others_data(store):
    """Redis 6.0 asks for it up to a second after it has become a replica."""
    story = Story()
    story.client.set("{b}lost", "v", lost=story.link)
    story.fail_over()
    story.play.wake("p1")
    story.play.demote("p1", "r1")
    story.client.write("SET", "{b}late", "v", reply=resp.error("MOVED 3300 10.0.0.4:6379"))
    story.give_in()
    assert listed([story.only(store)]) == ["{b}lost"]


def test_near_miss_only_pings_are_lost(store):
    story = Story()
    story.link.sent += length("PING")
    story.fail_over()
    story.give_in()
    findings.none(story.findings(store), "lost-writes")


def test_near_miss_a_manual_failover(store):
    """The primary holds its writes back until the replica has all of them."""
    story = Story()
    story.play.run(1)
    story.play.set("r1", offset=story.link.got)
    story.play.elect("r1", mflags=2)
    story.give_in(answer=resp.simple(f"CONTINUE {writes.NEW_ID}"))
    findings.none(story.findings(store), "lost-writes")


def test_near_miss_a_stream_that_was_not_captured(store):
    """Whether the replica had them cannot be told, so nothing is said of them."""
    story = Story()
    for number in range(3):
        story.client.set(f"{{b}}open{number}", "v")
        story.link.talk.lose("server", resp.command("SET", f"{{b}}open{number}", "v"))
        story.link.sent += length("SET", f"{{b}}open{number}", "v")
    story.link.got = story.link.sent
    story.fail_over()
    story.give_in(answer=resp.simple(f"CONTINUE {writes.NEW_ID}"))
    findings.none(story.findings(store), "lost-writes")


def test_the_list_has_a_cap(store):
    """CAP_LISTED_WRITES are listed, all are counted."""
    cap, more = 16384, 5
    story = Story()
    for begin in range(0, cap + more, 1000):
        numbers = range(begin, min(begin + 1000, cap + more))
        requests = [resp.command("SET", f"{{b}}{n:05}", "v") for n in numbers]
        story.client.talk.ask(*requests).answer(*[resp.OK] * len(requests))
        story.link.sent += sum(map(len, requests))
    story.fail_over()
    story.give_in()
    found = story.only(store)
    assert found.metrics["count"] == cap + more
    assert listed([found]) == [f"{{b}}{n:05}" for n in range(cap)]


def test_near_miss_the_loser_is_primary_again(store):
    """How it gave in was not captured; what it takes after it has been elected anew is its own."""
    story = Story()
    story.fail_over()
    story.play.wake("p1")
    story.play.demote("p1", "r1")
    story.play.run(1)
    story.play.elect("p1")
    story.play.demote("r1", "p1")
    for number in range(3):
        story.client.set(f"{{b}}new{number}", "v")
        story.play.run(1)
    findings.none(story.findings(store), "lost-writes")
