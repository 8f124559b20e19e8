"""error-burst: a server that keeps answering one error; which, to whom, and how bad that is."""

import pytest

from lib import bustap, captures, findings, resp
from lib.crowd import Crowd, moved, quiet_scene

OOM = resp.error("OOM command not allowed when used memory > 'maxmemory'.")
SHARD = captures.take("kill_shard-valkey-9.1.2")


def burst(store, play, *args):
    return findings.only(findings.of(store(play.pcap()), *args), "error-burst")


def test_fires_as_often_as_the_servers_counted():
    """Each burst of CLUSTERDOWN has all that its server answered."""
    found = findings.all_of(findings.of(SHARD.path), "error-burst")
    servers = {s["addr"]: s["errors"] for s in bustap.analyze(SHARD.path)["clients"]["servers"]}
    assert {f.metrics["server"] for f in found} == {"10.77.0.12:6379", "10.77.0.13:6379"}
    for f in found:
        assert f.metrics["code"] == f.verdict == "CLUSTERDOWN" and f.severity == "notice"
        assert f.metrics["count"] == servers[f.metrics["server"]]["CLUSTERDOWN"]
        assert 10 <= f.metrics["peak_per_s"] <= 20


def test_fires_with_what_the_error_means(store):
    play = quiet_scene()
    Crowd(play, "p1", 3, ["CLIENT SETNAME web"]).asks(8, OOM)
    found = burst(store, play, "--only", "error-burst")     # with memory-pressure it is an effect
    assert (found.severity, found.verdict) == ("warning", "OOM")
    assert found.metrics["server"] == "10.0.0.1:6379" and found.metrics["count"] == 240
    assert 28 <= found.metrics["peak_per_s"] <= 30
    assert "3 connections of 10.9.0.1" in found.explanation and "maxmemory" in found.explanation
    assert any("maxmemory" in line for line in found.advice)


@pytest.mark.parametrize("code, severity", (("NOAUTH", "warning"), ("MISCONF", "warning"),
                                            ("TRYAGAIN", "notice"), ("LOADING", "notice"),
                                            ("WHATEVER", "notice")))
def test_fires_as_loud_as_the_error_is_bad(store, code, severity):
    play = quiet_scene()
    Crowd(play, "p1", 3).asks(8, resp.error(f"{code} some text"))
    found = burst(store, play)
    assert (found.severity, found.metrics["code"]) == (severity, code)


@pytest.mark.parametrize("error, says", (
    ("EXECABORT Transaction discarded because of previous errors.", "refused a command in them"),
    ("NOSCRIPT No matching script. Please use EVAL.", "SCRIPT FLUSH"),
    ("UNBLOCKED force unblock from blocking operation", "became a replica"),
    ("IOERR error or timeout reading to target instance", "MIGRATE did not reach its target"),
    ("BUSYKEY Target key name already exists.", "already there")))
def test_fires_without_blaming_clients_for_what_is_not_theirs(store, error, says):
    play = quiet_scene()
    Crowd(play, "p1", 3).asks(8, resp.error(error))
    found = burst(store, play, "--only", "error-burst")
    assert says in found.explanation and "what the server does not do" not in found.explanation


def test_near_miss_a_word_that_only_begins_likewise(store):
    play = quiet_scene()
    Crowd(play, "p1", 3).asks(8, resp.error("NOSCRIPTS some text"))
    found = burst(store, play, "--only", "error-burst")
    assert "SCRIPT FLUSH" not in found.explanation
    assert "what the server does not do" in found.explanation


def test_fires_with_whom_it_answered_also_where_one_gets_several_errors(store):
    """A connection counts once for each error, whatever else it is answered."""
    play = quiet_scene()
    crowd = Crowd(play, "p1", 3)
    for _ in range(80):
        play.run(0.1)
        for talk in crowd.talks:
            talk.trade("AUTH guess", resp.error("WRONGPASS no such user"))
            talk.trade("GET k", resp.error("NOAUTH Authentication required."))
    found = findings.all_of(findings.of(store(play.pcap())), "error-burst")
    assert {f.metrics["code"] for f in found} == {"WRONGPASS", "NOAUTH"}
    for f in found:
        assert f.metrics["count"] == 240 and "to 3 connections of 10.9.0.1." in f.explanation


def turned_away(play, seconds, text):
    """Thirty connections a second, of which the server says no more than that."""
    crowd = Crowd(play, "p1", 1)
    crowd.talks[0].trade("PING", resp.PONG)
    for _ in range(seconds * 10):
        play.run(0.1)
        for _ in range(3):
            crowd.connect().answer(resp.error(text)).close("server")


@pytest.mark.parametrize("text, code, verdict", (
    ("ERR max number of clients reached", "ERR", "max-clients"),
    ("ERR max number of clients + cluster connections reached", "ERR", "max-clients"),
    ("DENIED Redis is running in protected mode", "DENIED", "protected-mode")))
def test_fires_for_connections_that_are_turned_away(store, text, code, verdict):
    play = quiet_scene()
    turned_away(play, 8, text)
    found = burst(store, play)
    assert (found.severity, found.verdict, found.metrics["code"]) == ("warning", verdict, code)
    assert found.metrics["count"] == 240 and f"connections a second ({verdict})" in found.title


def test_near_miss_a_request_that_is_answered_likewise(store):
    """ERR as the reply to a request is no word about connections."""
    play = quiet_scene()
    Crowd(play, "p1", 3).asks(8, resp.error("ERR max number of clients is no number"))
    found = burst(store, play)
    assert (found.severity, found.verdict) == ("notice", "unknown")


def test_fires_from_where_the_burst_began(store):
    """One error every few seconds is what came before, and what comes after."""
    play = quiet_scene()
    crowd = Crowd(play, "p1", 3)

    def trickle(rounds):
        for _ in range(rounds):
            play.run(4)
            crowd.talks[0].trade("GET k", OOM)
    trickle(5)
    began = play.capture.now / 1e9
    crowd.asks(8, OOM)
    ended = play.capture.now / 1e9
    trickle(5)
    play.run(12)
    found = burst(store, play, "--only", "error-burst")
    assert abs(found.span[0] - began) < 1.1 and abs(found.span[1] - ended) < 1.1
    assert found.metrics["count"] == 250


def test_fires_for_each_server_and_each_episode(store):
    play = quiet_scene()
    first, second = Crowd(play, "p1", 3), Crowd(play, "p2", 3)
    first.asks(6, OOM)
    play.run(12)
    first.asks(6, OOM)
    second.asks(6, OOM)
    found = findings.all_of(findings.of(store(play.pcap())), "error-burst")
    assert sorted(f.metrics["server"] for f in found) == [
        "10.0.0.1:6379", "10.0.0.1:6379", "10.0.0.2:6379"]
    assert all(f.metrics["count"] == 180 for f in found)


def test_near_miss_just_below_the_threshold(store):
    play = quiet_scene()
    crowd = Crowd(play, "p1", 1)
    for _ in range(12):
        crowd.asks(0.9, OOM)                                        # nine a second
        play.run(0.1)
    path = store(play.pcap())
    findings.none(findings.of(path), "error-burst")
    findings.only(findings.of(path, "--set", "error-burst-per-s=8"), "error-burst")


def test_near_miss_many_errors_of_different_kinds(store):
    play = quiet_scene()
    crowd = Crowd(play, "p1", 2)
    for i in range(80):
        crowd.asks(0.1, resp.error(f"CODE{i % 4} some text"))       # five a second of each
    findings.none(findings.of(store(play.pcap())), "error-burst")


def test_near_miss_redirects_are_no_errors(store):
    play = quiet_scene()
    Crowd(play, "p1", 10).asks(8, moved(7, "10.0.0.2:6379"))
    findings.none(findings.of(store(play.pcap())), "error-burst")


def test_the_rows_are_bounded(store):
    """More words than are kept: the first are told, and how many errors were not looked at."""
    play = quiet_scene()
    first, further = Crowd(play, "p2", 3), Crowd(play, "p1", 1)
    first.asks(0.1, OOM)
    for i in range(300):
        further.asks(0.1, resp.error(f"W{i} text"))
    first.asks(8, OOM)
    found = burst(store, play)
    assert found.metrics["count"] == 240
    assert "45 errors of further servers and kinds are not looked at" in found.caveats


def test_a_word_that_a_terminal_would_obey(store):
    """A first word is whatever the server sends; every run of the program is checked for raw bytes."""
    play = quiet_scene()
    Crowd(play, "p1", 3, ["CLIENT SETNAME web"]).asks(8, b"-BAD\x1b[2J no\r\n")
    path = store(play.pcap())
    found = findings.only(findings.of(path), "error-burst")
    assert "\x1b" not in found.title
    bustap.run("analyze", path)
