"""memory-pressure: OOM replies, and what INFO says when somebody asks.

The INFO replies here are cut as servers' are, into segments of whatever size; what is harvested of
them is compared with what was put in.
"""

import pytest

from lib import findings, resp, scene

MB = 1_000_000
OOM = resp.error("OOM command not allowed when used memory > 'maxmemory'.")


def info(used=100 * MB, rss=110 * MB, limit=0, policy="noeviction", system=8_000 * MB, **more):
    """As servers answer INFO: sections, and lines of all kinds around those that matter."""
    lines = ["# Server", "redis_version:7.0.15", "executable:/usr/bin/" + "x" * 90, "",
             "# Memory", f"used_memory:{used}", f"used_memory_human:{used / MB:.2f}M",
             f"used_memory_rss:{rss}", "used_memory_peak:1", "used_memory_rss_human:1M",
             f"total_system_memory:{system}", f"maxmemory:{limit}", "maxmemory_human:0B",
             f"maxmemory_policy:{policy}", f"mem_fragmentation_ratio:{rss / used:.2f}",
             *(f"{name}:{value}" for name, value in more.items()),
             "", "# Stats", "total_connections_received:6", ""]
    return "\r\n".join(lines)


class Talk:
    """A client of a node in a cluster that runs."""

    def __init__(self, mss=16000, node="p1"):
        self.play = scene.Scene()
        self.node = self.play.nodes[node]
        self.link = self.play.capture.conversation(("10.0.9.9", 5000), (self.node.ip, 6379),
                                                   mss=mss).open()
        self.play.run(2)

    def trade(self, request, *replies):
        self.link.send("client", resp.request(request))
        self.link.send("server", b"".join(replies))
        return self

    def info(self, **said):
        return self.trade("INFO", resp.bulk(info(**said)))

    def found(self, store, *args):
        self.play.run(3)
        return findings.of(store(self.play.capture.pcap()), *args)


def pressure(talk, store):
    return findings.only(talk.found(store), "memory-pressure")


@pytest.mark.parametrize("node, severity, says", [
    ("p1", "warning", "writes are refused"), ("r1", "notice", "evict nothing of their own accord")])
def test_a_replica_goes_past_its_limit_without_harm(store, node, severity, says):
    talk = Talk(node=node).info(used=90 * MB, rss=95 * MB, limit=100 * MB)
    found = pressure(talk, store)
    assert found.severity == severity and says in found.explanation


def test_fires_on_writes_refused(store):
    talk = Talk()
    for number in range(20):
        talk.trade(f"SET k{number} v", OOM)
    found = pressure(talk, store)
    assert found.severity == "warning" and found.metrics["oom_replies"] == 20
    assert found.verdict == "writes-refused"
    assert found.metrics["node"] == talk.node.id and found.nodes == [talk.node.id]
    assert found.subjects["clients"] == ["10.0.9.9:5000"]
    assert "rss_share" not in found.metrics and any("INFO" in c for c in found.caveats)


def test_the_errors_are_one_incident_with_it(store):
    """A burst of OOM is what clients see of it, and no second alarm; of other errors it is not."""
    talk = Talk()
    for number in range(100):
        talk.trade(f"SET k{number} v", OOM)
        talk.trade("GET k", resp.error("NOAUTH Authentication required."))
        talk.play.run(0.1)
    found = talk.found(store, "--set", "error-burst-per-s=5")
    cause = findings.only(found, "memory-pressure")
    bursts = {f.verdict: f for f in findings.all_of(found, "error-burst")}
    assert (bursts["OOM"].caused_by, bursts["OOM"].severity) == (cause.id, "notice")
    assert bursts["OOM"].nodes == [talk.node.id] and bursts["OOM"].incident == cause.incident
    assert (bursts["NOAUTH"].caused_by, bursts["NOAUTH"].severity) == (None, "warning")


@pytest.mark.parametrize("mss", [16000, 1448, 100, 11, 3])
def test_fires_on_a_full_server_however_its_answer_is_cut(store, mss):
    talk = Talk(mss).info(used=800 * MB, rss=900 * MB, limit=1_000 * MB, mem_clients_normal=300 * MB,
                          mem_clients_slaves=5 * MB, mem_replication_backlog=1 * MB,
                          mem_cluster_links=17_408)
    found = pressure(talk, store)
    assert found.severity == "warning" and found.end is None and found.verdict == "near-limit"
    assert found.metrics["rss_share"] == pytest.approx(0.9)
    assert found.metrics["fragmentation_ratio"] == pytest.approx(1.12)
    assert (found.metrics["used_memory"], found.metrics["used_memory_rss"],
            found.metrics["maxmemory"]) == (800 * MB, 900 * MB, 1_000 * MB)
    assert (found.metrics["client_buffers"], found.metrics["replica_buffers"],
            found.metrics["link_buffers"]) == (300 * MB, 6 * MB, 17_408)
    assert "300.0 MB are buffers for clients" in found.explanation


def test_fires_on_a_full_machine(store):
    found = pressure(Talk().info(used=6_500 * MB, rss=6_800 * MB), store)
    assert found.severity == "warning" and found.metrics["rss_share"] == pytest.approx(0.85)
    assert any("set maxmemory" in line for line in found.advice)


def test_fires_on_fragmentation(store):
    found = pressure(Talk().info(used=400 * MB, rss=800 * MB), store)
    assert (found.severity, found.verdict) == ("notice", "fragmented")
    assert found.metrics["fragmentation_ratio"] == pytest.approx(2)
    assert "400.0 MB more" in found.explanation


def test_fires_and_ends_when_the_next_answer_is_better(store):
    talk = Talk().info(used=400 * MB, rss=800 * MB)
    talk.play.run(5)
    found = pressure(talk.info(used=400 * MB, rss=500 * MB), store)
    assert found.end is not None and found.metrics["fragmentation_ratio"] == pytest.approx(2)


def test_fires_earlier_while_keys_are_moved(store):
    talk = Talk().info(used=700 * MB, rss=760 * MB, limit=1_000 * MB)
    talk.trade("RESTORE-ASKING k 0 payload", resp.OK)
    found = pressure(talk.info(used=700 * MB, rss=770 * MB, limit=1_000 * MB), store)
    assert found.metrics["rss_share"] == pytest.approx(0.77)
    assert "keys were being moved" in found.explanation


def test_near_miss_the_same_without_a_migration(store):
    talk = Talk().info(used=700 * MB, rss=760 * MB, limit=1_000 * MB)
    talk.info(used=700 * MB, rss=770 * MB, limit=1_000 * MB)
    findings.none(talk.found(store), "memory-pressure")


def test_fires_with_resp3_and_in_a_pipeline(store):
    talk = Talk().trade("HELLO 3", resp.HELLO3)
    talk.link.send("client", b"".join(map(resp.request, ["GET a", "INFO memory", "GET b"])))
    talk.link.send("server", resp.bulk("x" * 30) + resp.verbatim(info(used=400 * MB, rss=800 * MB))
                   + resp.null())
    assert pressure(talk, store).metrics["used_memory_rss"] == 800 * MB


def test_near_miss_a_full_cache_is_no_warning(store):
    talk = Talk().info(used=950 * MB, rss=990 * MB, limit=1_000 * MB, policy="allkeys-lru")
    assert pressure(talk, store).severity == "notice"


def test_near_miss_an_empty_server(store):
    """A ratio of 8, of next to nothing."""
    findings.none(Talk().info(used=1_600_000, rss=12_800_000).found(store), "memory-pressure")


def test_near_miss_room_enough(store):
    talk = Talk().info(used=700 * MB, rss=790 * MB, limit=1_000 * MB)
    findings.none(talk.found(store), "memory-pressure")


def test_near_miss_a_value_that_looks_like_it(store):
    talk = Talk().info().trade("GET doc", resp.bulk(info(used=400 * MB, rss=800 * MB)))
    findings.none(talk.found(store), "memory-pressure")


def test_near_miss_a_line_whose_middle_is_lost(store):
    """The end of a line of which the rest is missing says nothing: here "maxmemory:1000" of
    "maxmemory:1000000000" behind a hole, and a used_memory of which the digits are cut."""
    text = resp.bulk(info(used=400 * MB, rss=500 * MB, limit=1_000 * MB))
    talk = Talk()
    for word in (b"used_memory:", b"maxmemory:"):
        at = text.index(word) + len(word)
        talk.link.send("client", resp.request("INFO"))
        talk.link.send("server", text[:at + 2])
        talk.link.skip("server", 4)
        talk.link.ack("client")
        talk.play.run(2)
        talk.link.send("server", text[at + 6:])
    findings.none(talk.found(store), "memory-pressure")


def test_fires_at_the_threshold_that_was_set(store):
    talk = Talk().info(used=400 * MB, rss=500 * MB)
    found = findings.only(talk.found(store, "--set", "memory-pressure-fragmentation-percent=120"),
                          "memory-pressure")
    assert found.metrics["fragmentation_ratio"] == pytest.approx(1.25)
