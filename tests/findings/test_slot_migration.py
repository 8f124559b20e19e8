"""slot-migration: which slots moved between two primaries, with how many keys and bytes, and how it
ended; no failover is one."""

import pytest

from lib import bustap, captures, findings, scene, wire
from lib.migrating import OK, SOURCE, SOURCE_TEXT, TARGET, TARGET_TEXT, Migrating, resp

RESHARD = captures.take("reshard-redis-7.0.15")
LEFT_OPEN = captures.take("slot_left_open-redis-7.0.15")
ATOMIC = captures.take("atomic_migration-valkey-9.1.2")
FAILOVERS = [captures.take(run) for run in
             ("kill_primary-redis-8.0.2", "manual_failover-redis-7.0.15", "takeover-valkey-9.1.2",
              "forced_failover-redis-6.0.16", "partition_primary-valkey-9.1.2", "healthy-redis-7.0.15")]
KEYS = "a{7}", "b{7}"
SLOT = resp.slot("{7}")


def id_of(take, name):
    return next(n["id"] for n in take.truth["topology"]["nodes"] if n["name"] == name)


def calls(take, name, command):
    """How often the node was asked that, says its INFO commandstats."""
    node = next(n for n in take.truth["topology"]["nodes"] if n["name"] == name)
    return take.snapshot(node)["commandstats"].get(command, {"calls": 0})["calls"]


def moved(path, *args):
    return findings.only(findings.of(path, *args), "slot-migration")


def test_fires_with_the_keys_that_the_target_counted():
    found = moved(RESHARD.path)
    assert found.severity == "info" and found.metrics["kind"] == "migrate"
    assert (found.metrics["source"], found.metrics["target"]) == (id_of(RESHARD, "n1"),
                                                                  id_of(RESHARD, "n2"))
    assert found.metrics["slots"] == "0-519,540" and found.metrics["slot_count"] == 521
    assert found.metrics["keys"] == calls(RESHARD, "n2", "restore-asking") > 1000
    assert found.metrics["migrate_calls"] == calls(RESHARD, "n1", "migrate")
    assert found.metrics["outcome"] == "completed" and found.metrics["blocked_ms"] > 0


def test_fires_for_one_that_was_not_ended():
    found = moved(LEFT_OPEN.path)
    assert found.metrics["outcome"] == "unfinished" and found.metrics["slots"] == "7"
    assert found.metrics["keys"] == calls(LEFT_OPEN, "n2", "restore-asking") == 50


def test_tells_of_keys_at_a_target_that_owns_no_slot_of_theirs():
    """SETSLOT STABLE at both, as that scenario ends."""
    found = moved(LEFT_OPEN.path)
    assert (found.severity, found.verdict) == ("notice", "keys-stranded")
    assert found.metrics["keys_stranded"] == 50 and found.title.endswith("nobody finds them there")


@pytest.mark.parametrize("back", [False, True])
def test_near_miss_keys_that_have_come_back(store, back):
    """As redis-cli --cluster fix may do it."""
    play = Migrating()
    play.open_slot(SLOT)
    play.move(*KEYS)
    play.close_slot(SLOT)
    if back:
        talk = resp.Dialogue(play.capture, (TARGET[0], 45000), SOURCE)
        talk.trade(["RESTORE-ASKING", KEYS[0], "0", "x"], OK)
    found = findings.all_of(findings.of(store(play.pcap())), "slot-migration")
    assert (found[0].verdict == "keys-stranded") == (not back)


def test_fires_for_an_atomic_one():
    """The lab has put 200 keys into each of two slots."""
    found = moved(ATOMIC.path)
    assert found.metrics["kind"] == "atomic" and found.metrics["slots"] == "0-99"
    assert found.metrics["keys"] == 400 and 400_000 < found.metrics["bytes"] < 450_000
    assert found.metrics["outcome"] == "completed" and found.subjects["clients"]


def test_fires_with_the_bytes_of_the_keys_requests(store):
    play = Migrating()
    play.open_slot(SLOT)
    play.move(*KEYS, size=1000)
    play.give(SLOT)
    found = moved(store(play.pcap()))
    assert found.metrics["keys"] == 2
    assert found.metrics["bytes"] == sum(len(play.request(key, 1000)) for key in KEYS)
    assert (found.metrics["source"], found.metrics["target"]) == (SOURCE_TEXT, TARGET_TEXT)
    assert found.metrics["outcome"] == "completed" and found.metrics["slots"] == str(SLOT)
    assert found.metrics["blocked_ms"] == 9, "nine packets of a millisecond from request to reply"


@pytest.mark.parametrize("hidden, bytes_known", [("keys", False), ("calls", True)])
def test_fires_for_what_one_host_sees(store, hidden, bytes_known):
    """The operator's side, or the way between the servers."""
    play = Migrating(hidden=hidden)
    play.open_slot(SLOT)
    play.move(*KEYS)
    play.give(SLOT)
    play.wait(5)
    resp.Dialogue(play.capture).trade("PING", resp.simple("PONG"))
    found = moved(store(play.pcap()))
    assert found.metrics["keys"] == 2 and ("bytes" in found.metrics) == bytes_known
    assert found.caveats and ("outcome" in found.metrics) != bytes_known


def test_fires_for_slots_without_keys(store):
    play = scene.Scene()
    play.run(2)
    p1, p2 = play.nodes["p1"], play.nodes["p2"]
    given, rest = wire.bitmap((0, 9)), wire.bitmap((10, 5460))
    both = bytes(a | b for a, b in zip(given, p2.fields["slots"]))
    play.set("p2", slots=both, config_epoch=9)
    play.set("p1", slots=rest)
    play.run(3)
    found = moved(store(play.pcap()))
    assert found.metrics["slots"] == "0-9" and found.metrics["keys"] == 0
    assert found.nodes == [p1.id, p2.id]


def torn(store, given_after):
    """p1 is told to give slot 0 to p2, and refuses; then p2 has it all the same."""
    play = scene.Scene()
    play.run(2)
    p1, p2 = play.nodes["p1"], play.nodes["p2"]
    talk = resp.Dialogue(play.capture, ("10.9.0.1", 40000), (p1.ip, 6379))
    words = ["CLUSTER", "SETSLOT", "0", "NODE", p2.id]
    talk.trade(words, resp.error("ERR Can't assign hashslot 0 to a different node while I still hold "
                                 "keys for this hash slot."))
    if given_after:
        talk.trade(words, OK)
    play.set("p2", slots=bytes(a | b for a, b in zip(wire.bitmap((0, 0)), p2.fields["slots"])),
             config_epoch=9)
    play.set("p1", slots=wire.bitmap((1, 5460)))
    play.run(3)
    return moved(store(play.pcap()))


def test_warns_of_a_slot_that_is_torn_from_a_source_with_its_keys(store):
    found = torn(store, given_after=False)
    assert (found.severity, found.verdict) == ("warning", "keys-lost")
    assert found.metrics["slots_with_lost_keys"] == 1 and "these are lost" in found.explanation


def test_near_miss_a_slot_that_is_given_in_the_end(store):
    found = torn(store, given_after=True)
    assert (found.severity, found.verdict) == ("info", "administrative")


def test_fires_once_for_each_without_a_long_pause(store):
    play = Migrating()
    for wait in (20, 40, 1):
        play.move(*KEYS)
        play.wait(wait)
    found = findings.all_of(findings.of(store(play.pcap())), "slot-migration")
    assert [f.metrics["keys"] for f in found] == [4, 2]


# ---- atomic ones, by hand


def pushing():
    """Valkey's source, connected to the target."""
    link = resp.Dialogue(client=("10.0.0.1", 40001), server=("10.0.0.2", 6379))
    link.trade(f"CLUSTER SYNCSLOTS ESTABLISH SOURCE {'1' * 40} NAME {'e' * 40} SLOTSRANGE 5 9", OK)
    link.ask("SELECT 0", "SET a{7} 1", "PEXPIREAT a{7} 1900000000000", "RPUSH b{7} 1 2",
             "RPUSH b{7} 3", "CLUSTER SYNCSLOTS SNAPSHOT-EOF", "SET a{7} 2")
    return link


def test_fires_for_valkeys(store):
    link = pushing()
    link.answer(resp.request("CLUSTER SYNCSLOTS REQUEST-PAUSE"))
    link.ask("CLUSTER SYNCSLOTS PAUSED").wait(0.05)
    link.answer(resp.request("CLUSTER SYNCSLOTS REQUEST-FAILOVER"))
    link.ask("CLUSTER SYNCSLOTS FAILOVER-GRANTED").close()
    found = moved(store(link.capture.pcap()))
    assert found.metrics["keys"] == 2 and found.metrics["writes"] == 1
    assert found.metrics["slots"] == "5-9" and found.metrics["outcome"] == "completed"
    assert 50 <= found.metrics["paused_ms"] < 60


def test_fires_for_valkeys_that_broke_off(store):
    link = pushing()
    link.close()
    link.wait(5).another().trade("PING", resp.simple("PONG"))
    found = findings.of(store(link.capture.pcap()))
    assert findings.only(found, "slot-migration").metrics["outcome"] == "failed"
    failed = findings.only(found, "migration-failed")
    assert failed.severity == "notice" and failed.verdict == "broken-off"
    assert failed.metrics["errors"] == {"closed": 1} and failed.metrics["keys_on_both"] == 0


def test_what_came_with_an_attempt_that_broke_off_is_not_counted(store):
    """It is cancelled when much has come, and tried again."""
    first = pushing()
    first.close()
    again = resp.Dialogue(first.capture, ("10.0.0.1", 40002), ("10.0.0.2", 6379))
    again.trade(f"CLUSTER SYNCSLOTS ESTABLISH SOURCE {'1' * 40} NAME {'f' * 40} SLOTSRANGE 5 9", OK)
    again.ask("SELECT 0", "SET c{7} 1", "CLUSTER SYNCSLOTS SNAPSHOT-EOF", "CLUSTER SYNCSLOTS PAUSED",
              "CLUSTER SYNCSLOTS FAILOVER-GRANTED").close()
    found = moved(store(first.capture.pcap()))
    assert found.metrics["outcome"] == "completed" and found.metrics["attempts"] == 2
    assert found.metrics["keys"] == 1 and found.metrics["thrown_keys"] == 2
    assert "2 keys of" in found.explanation


def test_fires_for_redis_with_two_connections(store):
    """Its target asks, on one connection for the writes and on one for the keys."""
    main = resp.Dialogue(client=("10.0.0.2", 40001), server=("10.0.0.1", 6379))
    rdb = resp.Dialogue(main.capture, client=("10.0.0.2", 40002), server=("10.0.0.1", 6379))
    task = "f" * 40
    main.trade(f"CLUSTER SYNCSLOTS SYNC {task} 5 9", resp.simple("RDBCHANNELSYNCSLOTS"))
    rdb.trade(f"CLUSTER SYNCSLOTS RDBCHANNEL {task}", resp.simple("SLOTSSNAPSHOT"))
    rdb.answer(*map(resp.request, ("SELECT 0", "CLUSTER SYNCSLOTS CONF SLOT-INFO 7:2:0",
                                   "RESTORE a{7} 0 xxx ABSTTL", "RESTORE b{7} 0 yyy ABSTTL")))
    main.answer(resp.request("SET a{7} 2"))
    rdb.answer(resp.request("CLUSTER SYNCSLOTS SNAPSHOT-EOF")).close("server")
    main.answer(resp.request("CLUSTER SYNCSLOTS STREAM-EOF"))
    found = moved(store(main.capture.pcap()))
    assert found.metrics["keys"] == 2 and found.metrics["writes"] == 1
    assert found.metrics["slots"] == "5-9" and found.metrics["outcome"] == "completed"
    assert found.metrics["source"] == SOURCE_TEXT and found.metrics["target"] == "10.0.0.2"


# ---- what is none


@pytest.mark.parametrize("take", FAILOVERS, ids=lambda take: take.run)
def test_near_miss_slots_that_were_taken(take):
    findings.none(findings.of(take.path), "slot-migration")


def test_near_miss_a_slot_that_was_opened_and_closed(store):
    play = Migrating()
    play.open_slot(SLOT)
    play.close_slot(SLOT)
    findings.none(findings.of(store(play.pcap())), "slot-migration")


def test_every_capture_counts_as_its_target_did():
    """Wherever one is found, RESTOREs of the target add up to its book."""
    for take in captures.TAKES:
        if take.vantage or "reshard" not in take.run:
            continue
        keys = sum(f.metrics["keys"] for f in findings.of(take.path) if f.type == "slot-migration")
        assert keys == calls(take, "n2", "restore-asking"), take.run
        assert bustap.analyze(take.path)["cluster"]["migrations_over_cap"] == 0


def test_migrations_past_the_cap_are_counted(store):
    """CAP_MIGRATIONS: those of further pairs."""
    play = Migrating()
    for number in range(260):
        play.target = (f"10.0.{number // 250 + 1}.{number % 250 + 1}", 6379)
        play.reconnect()
        play.migrate(KEYS[0])
        play.restore(KEYS[0])
        play.restored(OK)
        play.migrated(OK)
    report = bustap.analyze(store(play.pcap()))
    assert sum(f["type"] == "slot-migration" for f in report["findings"]) == 256
    assert report["cluster"]["migrations_over_cap"] >= 4
