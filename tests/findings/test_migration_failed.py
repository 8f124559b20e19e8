"""migration-failed: MIGRATE that gave up, and keys that are on both sides; not one that went well."""

import pytest

from lib import bustap, captures, findings, wire
from lib.migrating import (BUSY, NO_CONNECTION, OK, SOURCE, SOURCE_TEXT, TARGET, TARGET_TEXT,
                           TIMEOUT, Migrating, refused, resp)

SLOW = captures.take("slow_migration-redis-7.0.15")
WELL = [captures.take(run) for run in ("reshard-redis-7.0.15", "atomic_migration-valkey-9.1.2",
                                       "ask_ignored-valkey-8.1.1", "every_client-valkey-8.1.1")]
A, B, C = "a{7}", "b{7}", "c{7}"


def failed(path, *args):
    return findings.only(findings.of(path, "--keys", "full", *args), "migration-failed")


def test_fires_for_a_timeout_and_the_keys_that_were_copied_and_not_deleted():
    """MIGRATE timed out; its second try found there what the first one had brought. The lab had asked
    both servers for their keys in between."""
    found = failed(SLOW.path)
    servers = bustap.analyze(SLOW.path)["clients"]["servers"]
    refusals = sum(s["errors"].get("BUSYKEY", 0) for s in servers)
    nodes = {n["id"]: n["name"] for n in SLOW.truth["topology"]["nodes"]}
    assert found.severity == "warning" and found.verdict == "timeout"
    assert found.metrics["errors"] == {"IOERR": 1, "BUSYKEY": refusals}
    assert found.metrics["keys_on_both"] == refusals == 10 == len(found.metrics["keys"])
    assert found.metrics["keys_on_both_at_end"] == 0, "the lab has deleted them at the target"
    assert "none of them was any more" in found.explanation
    assert "nothing is left to do" in found.advice[0]
    (on_both,) = [mark["on_both"] for mark in SLOW.truth["marks"] if "on_both" in mark]
    assert sorted(found.metrics["keys"]) == on_both, "as the servers said"
    assert found.metrics["keys_at_risk"] >= found.metrics["keys_on_both"]
    assert nodes[found.metrics["source"]] == "n1" and nodes[found.metrics["target"]] == "n2"
    assert found.subjects["slots"] == "7"


def timed_out(replies=(), late=(), ack=True, keys=(A, B, C), sent=3, unread=(), wait=0.02):
    """Of a call with these keys so many are sent; some are answered before the source gives up, some
    after, and some (unread) when it just does."""
    play = Migrating()
    play.open_slot(7)
    play.migrate(*keys)
    play.restore(*keys[:sent], ack=ack)
    if replies:
        play.restored(*replies)
    play.wait(wait)
    if unread:
        play.restored(*unread)
    play.migrated(TIMEOUT)
    if late:
        play.restored(*late)
    play.keys.link.reset()
    return play


@pytest.mark.parametrize("play, both, at_risk", [
    (timed_out(late=[OK, OK, OK]), [A, B, C], 3),
    (timed_out(), [A, B, C], 3),                               # the target has them, and says nothing
    (timed_out(ack=False), [], 3),                             # perhaps they never arrived
    (timed_out(replies=[OK, OK]), [C], 1),                     # two were deleted in time
    (timed_out(replies=[OK, BUSY], late=[OK]), [B, C], 2),
    (timed_out(replies=[OK], unread=[OK, OK]), [B, C], 2),
    (timed_out(replies=[OK], sent=2), [A, B], 2),              # it was still sending: none is deleted
    (timed_out(replies=[OK, resp.error("OOM command not allowed"), OK]), [], 0),
], ids=["late", "delivered", "not-delivered", "in-time", "busy", "unread", "half-sent", "refused"])
def test_fires_with_the_keys_that_are_on_both_sides(store, play, both, at_risk):
    found = failed(store(play.pcap()))
    assert sorted(found.metrics["keys"]) == both and found.metrics["keys_on_both"] == len(both)
    assert found.metrics["keys_at_risk"] == at_risk and found.metrics["errors"]["IOERR"] == 1
    assert found.metrics["keys_on_both_at_end"] == len(both)
    assert (found.metrics["source"], found.metrics["target"]) == (SOURCE_TEXT, TARGET_TEXT)
    assert found.severity == ("warning" if at_risk else "notice")
    assert found.advice or not at_risk


def test_fires_for_the_login_that_is_refused_while_the_keys_are_taken(store):
    """The trap of AUTH: the source deletes none of them."""
    play = Migrating()
    play.migrate(A, B)
    play.restore(A, B)
    play.restored(OK, OK)
    play.migrated(refused("WRONGPASS invalid username-password pair"))
    found = failed(store(play.pcap()))
    assert found.verdict == "login-refused" and found.metrics["errors"] == {"WRONGPASS": 1}
    assert sorted(found.metrics["keys"]) == [A, B] and found.severity == "warning"


def test_fires_for_keys_that_another_try_brings_again(store):
    """What arrived after the timeout is refused at the second try, and deleted before the third."""
    play = timed_out()
    play.reconnect()
    play.migrate(A, B, C)
    play.restore(A, B, C)
    play.restored(BUSY, BUSY, OK)
    play.migrated(refused("BUSYKEY Target key name already exists."))
    found = failed(store(play.pcap()))
    assert sorted(found.metrics["keys"]) == [A, B], "c was not there, or the target had refused it"
    assert found.metrics["errors"] == {"IOERR": 1, "BUSYKEY": 2}
    play.move(A, B)
    found = failed(store(play.pcap()))
    assert found.metrics["keys_on_both"] == 2 and found.metrics["keys_on_both_at_end"] == 0
    moved = findings.only(findings.of(store(play.pcap())), "slot-migration")
    assert moved.metrics["keys"] == 3


def test_keys_that_replace_has_moved_are_on_one_side_only(store):
    """As the advice has it: MIGRATE with REPLACE, with the right password."""
    play = Migrating()
    play.migrate(A, B)
    play.restore(A, B)
    play.restored(OK, OK)
    play.migrated(refused("WRONGPASS invalid username-password pair"))
    play.migrate(A, options=["REPLACE"])
    play.restore(A, options=["REPLACE"])
    play.restored(OK)
    play.migrated(OK)
    found = failed(store(play.pcap()))
    assert found.metrics["keys_on_both"] == 2 and found.metrics["keys_on_both_at_end"] == 1
    assert any("with the password" in line for line in found.advice)
    play.migrate(B, options=["COPY", "REPLACE"])                    # a copy leaves it at the source
    play.restore(B, options=["REPLACE"])
    play.restored(OK)
    play.migrated(OK)
    assert failed(store(play.pcap())).metrics["keys_on_both_at_end"] == 1


def test_fires_for_a_target_that_goes_away(store):
    """Then the source has read all that was answered before."""
    play = Migrating()
    play.migrate(A, B, C)
    play.restore(A, B, C)
    play.restored(OK, OK)
    play.keys.close("server")
    play.migrated(TIMEOUT)
    assert failed(store(play.pcap())).metrics["keys"] == [C]


def test_what_was_still_on_its_way_arrives_late(store):
    """The source gives up with much in its socket, and tries again on another connection."""
    play = timed_out(sent=1)
    old = play.keys
    play.reconnect()
    play.migrate(A)
    play.restore(A)
    old.link.send("client", play.request(B))
    play.restored(BUSY)
    play.migrated(refused("BUSYKEY Target key name already exists."))
    found = failed(store(play.pcap()))
    assert sorted(found.metrics["keys"]) == [A, B]


def test_without_the_keys_own_requests_the_call_is_all_that_is_known(store):
    play = Migrating(hidden="keys")
    play.migrate(A, B)
    play.migrated(TIMEOUT)
    found = failed(store(play.pcap()))
    assert found.metrics["keys_at_risk"] == 2 and "keys_on_both" not in found.metrics
    assert any("not captured" in caveat for caveat in found.caveats)


def test_without_the_call_refusals_say_that_a_key_is_there(store):
    play = Migrating(hidden="calls")
    play.restore(A, B)
    play.restored(BUSY, OK)
    found = failed(store(play.pcap()))
    assert found.metrics["keys"] == [A] and found.metrics["errors"] == {"BUSYKEY": 1}


def refusing(why, keys=(A, B, C)):
    """The target refuses all of them."""
    play = Migrating()
    play.open_slot(7)
    play.migrate(*keys)
    play.restore(*keys)
    play.restored(*[resp.error(why)] * len(keys))
    play.migrated(refused(why))
    return play


@pytest.mark.parametrize("why, says", [
    ("NOAUTH Authentication required.", "it wants a password"),
    ("OOM command not allowed when used memory > 'maxmemory'.", "at maxmemory"),
    ("MOVED 7 10.0.0.1:6379", "not told to import it"),
    ("ERR DUMP payload version or checksum are wrong", "of a newer version"),
])
def test_fires_softly_for_keys_that_the_target_refuses(store, why, says):
    found = failed(store(refusing(why).pcap()))
    word = why.split()[0]
    assert (found.severity, found.verdict) == ("notice", "refused")
    assert f"({word}); no key is on both" in found.title
    assert f"3 times the target refused keys with {word}: " in found.explanation
    assert says in found.explanation and len(found.advice) == 1


def test_says_all_that_was_in_the_way(store):
    """First no password; then a key is there that no MIGRATE has brought."""
    play = refusing("NOAUTH Authentication required.")
    play.migrate(A, B, C)
    play.restore(A, B, C)
    play.restored(BUSY, OK, OK)
    play.migrated(refused("BUSYKEY Target key name already exists."))
    found = failed(store(play.pcap()))
    assert "(NOAUTH, BUSYKEY); 1 key was on both" in found.title and found.severity == "warning"
    assert "with NOAUTH: it wants a password" in found.explanation
    assert "1 time the target had a key already (BUSYKEY)" in found.explanation
    assert any("a look at both values" in line for line in found.advice)
    assert found.metrics["errors"] == {"NOAUTH": 3, "BUSYKEY": 1} and found.metrics["keys"] == [A]


def test_a_target_that_refuses_connections_has_none_of_the_keys(store):
    """The source says that it could not write; what it had brought before is told all the same."""
    play = timed_out()
    play.migrate("d{7}", "e{7}")
    play.capture.conversation((SOURCE[0], 41001), TARGET).refused()
    play.migrated(resp.error("IOERR error or timeout writing to target instance"))
    found = failed(store(play.pcap()))
    assert sorted(found.metrics["keys"]) == [A, B, C] and found.metrics["keys_at_risk"] == 3
    assert "1 time the source had no connection" in found.explanation
    assert "gave up waiting (IOERR: 1)" in found.explanation and not found.caveats


def test_keys_that_are_sent_to_a_process_that_has_ended_are_not_there(store):
    """MIGRATE keeps its connection for ten seconds; meanwhile the target has ended it."""
    play = Migrating()
    play.move(A)
    play.keys.link.segment("server", flags=wire.FIN | wire.ACK)
    play.migrate(B, C)
    play.restore(B, C, ack=False)
    play.migrated(resp.error("IOERR error or timeout writing to target instance"))
    found = failed(store(play.pcap()))
    assert (found.metrics["keys_at_risk"], found.verdict) == (0, "not-reached")
    assert "no key is on both" in found.title and found.severity == "notice"


def test_fires_softly_when_nothing_was_sent(store):
    play = Migrating()
    play.migrate(A, B)
    play.migrated(NO_CONNECTION)
    found = failed(store(play.pcap()))
    assert found.severity == "notice" and found.metrics["keys_at_risk"] == 0


def test_keys_are_shown_as_asked(store):
    path = store(timed_out().pcap())
    assert "keys" not in findings.only(findings.of(path), "migration-failed").metrics
    shown = findings.only(findings.of(path, "--keys", "pseudonym"), "migration-failed").metrics["keys"]
    assert len(shown) == 3 and not set(shown) & {A, B, C}


@pytest.mark.parametrize("take", WELL, ids=lambda take: take.run)
def test_near_miss_migrations_that_went_well(take):
    findings.none(findings.of(take.path), "migration-failed")


@pytest.mark.parametrize("reply", ["MOVED 7 10.0.0.2:6379", "ASK 7 10.0.0.2:6379", "ERR syntax error",
                                   "TRYAGAIN Multiple keys request during rehashing of slot"])
def test_near_miss_what_the_source_does_not_begin(store, reply):
    play = Migrating()
    play.migrate(A)
    play.migrated(resp.error(reply))
    findings.none(findings.of(store(play.pcap())), "migration-failed")


def test_near_miss_copies_are_meant_to_be_on_both_sides(store):
    play = Migrating()
    play.migrate(A, options=["COPY"])
    play.restore(A)
    play.migrated(TIMEOUT)
    findings.none(findings.of(store(play.pcap())), "migration-failed")


def test_near_miss_nothing_to_move(store):
    play = Migrating()
    play.migrate(A)
    play.migrated(resp.simple("NOKEY"))
    findings.none(findings.of(store(play.pcap())), "migration-failed")


def test_requests_past_the_caps_are_counted(store):
    """CAP_MOVES: requests that wait, of all connections; CAP_MOVE_KEYS: the memory for their keys."""
    play = Migrating(hidden="calls")
    for start in range(0, 65_600, 400):
        if start % 32_800 == 0:
            play.reconnect()
        play.restore(*(f"k{n}" for n in range(start, start + 400)), size=1)
    report = bustap.analyze(store(play.pcap()))
    assert report["cluster"]["moves_over_cap"] == 65_600 - 65_536
    (moved,) = [f for f in report["findings"] if f["type"] == "slot-migration"]
    assert any("64 keys more, past the cap" in caveat for caveat in moved["caveats"])
    play = Migrating()
    names = [f"{n:05}" + "k" * 480 for n in range(20_000)]
    play.migrate(*names[:1])
    for start in range(0, len(names), 20):
        play.restore(*names[start:start + 20], size=1)
    play.migrated(TIMEOUT)
    found = failed(store(play.pcap()))
    assert found.metrics["keys_at_risk"] == 20_000
    assert found.metrics["keys_on_both"] == 20_000 and len(found.metrics["keys"]) <= 1000
