"""migration-saturation: a link that a migration fills, its capacity learnt from the traffic; not one
that is fast enough, nor one that others fill."""

import pytest

from lib import captures, findings
from lib.migrating import OK, SOURCE_TEXT, TARGET_TEXT, Migrating, resp

CALM = [captures.take(run) for run in ("reshard-redis-7.0.15", "slow_migration-redis-7.0.15",
                                       "atomic_migration-valkey-9.1.2", "slot_left_open-redis-7.0.15")]


class Loaded(Migrating):
    """A migration over a link of so many bytes a second: the source sends as fast as it may, and what
    it sends is acknowledged when it has come through, `queue` seconds later."""

    segment, key_bytes = 16_000, 200_000
    closing = False                     # the target's window closes and opens with each segment

    def __init__(self, rate, queue, idle=True):
        super().__init__()
        self.limit(rate, queue)
        self.open_slot(7)
        self.reconnect()
        if idle:                                        # so that is quick
            self.keys.trade("SELECT 0", OK)
        self.clients = {end: self.dialogue(("10.2.0.1", 45000 + end[1] + n), end, "clients")
                        for n, end in enumerate((("10.0.0.1", 6379), self.target))}

    def limit(self, rate, queue):
        self.gap, self.queue = self.segment / rate, queue

    def served(self, seconds, latency):
        """Clients ask both for so long, and wait for the answers."""
        for _ in range(int(seconds / 0.1)):
            for client in self.clients.values():
                client.ask("GET k")
                self.wait(latency)
                client.answer(resp.null())
            self.wait(max(0.0, 0.1 - 2 * latency))

    def key(self, latency):
        """One key: its segments, with the acknowledgements of those before; a client waits."""
        link, data, unacked = self.keys.link, self.request("a{7}", self.key_bytes), []
        client = self.clients[("10.0.0.1", 6379)]
        client.ask("GET k")
        self.migrate("a{7}")
        for at in range(0, len(data), self.segment):
            piece = data[at:at + self.segment]
            link.segment("client", piece)
            link.next["client"] += len(piece)
            unacked.append((self.capture.now, link.next["client"]))
            self.acknowledge(unacked, self.capture.now - self.queue * 1e9)
            self.wait(max(0.0, self.gap - 0.001))
        self.restored(OK)
        self.migrated(OK)
        self.wait(latency)
        client.answer(resp.null())

    def acknowledge(self, unacked, until):
        link = self.keys.link
        while unacked and unacked[0][0] <= until:
            self.capture.now -= self.capture.step
            if self.closing:
                self.capture.now -= self.capture.step
                link.segment("server", ack=unacked[0][1], window=0)
            link.segment("server", ack=unacked.pop(0)[1])

    def keys_for(self, seconds, latency=0.0):
        end = self.capture.now + seconds * 1e9
        while self.capture.now < end:
            self.key(latency)


class Long(Loaded):
    """The same with little keys in little segments."""

    segment, key_bytes = 200, 2000


def loaded(seconds, rate=2_000_000, queue=0.05, slow=0.0, kind=Loaded, **more):
    play = kind(rate, queue, **more)
    play.served(3, 0.002)
    play.keys_for(seconds, slow)
    play.served(3, 0.002)
    return play


def changing(*paces, pause=0.0):
    """One migration; so long at each pace, over a link with such a queue."""
    play = Loaded(1, 0)
    play.served(3, 0.002)
    for seconds, rate, queue in paces:
        play.limit(rate, queue)
        play.keys_for(seconds)
        play.wait(pause)
    play.served(3, 0.002)
    return play


def filled(path):
    return findings.only(findings.of(path), "migration-saturation")


def test_fires_with_the_capacity_of_the_link(store):
    found = filled(store(loaded(6).pcap()))
    assert found.metrics["link_bytes_per_s"] == pytest.approx(2_000_000, rel=0.1)
    assert 0.8 < found.metrics["bytes_per_s"] / found.metrics["link_bytes_per_s"] <= 1.05
    assert (found.metrics["source"], found.metrics["target"]) == (SOURCE_TEXT, TARGET_TEXT)
    assert found.metrics["plateau_ms"] > 4000 and found.metrics["ack_mean_us"] > 30_000
    assert found.metrics["client_p99_before_us"] < 10_000


def test_fires_as_a_warning_if_clients_wait(store):
    """Each key takes a tenth of a second, in which the source serves nobody."""
    found = filled(store(loaded(6).pcap()))
    assert found.severity == "warning" and found.metrics["client_p99_during_us"] > 90_000
    assert found.metrics["client_p99_after_us"] < 10_000


FREE, FULL = (4, 10_000_000, 0.0), (6, 1_000_000, 0.05)


@pytest.mark.parametrize("pause", [0, 2, 10], ids=lambda pause: f"{pause} s between")
@pytest.mark.parametrize("paces", [(FREE, FULL), (FULL, FREE), (FREE, FULL, FREE)],
                         ids=["limited later", "limited first", "limited for a while"])
def test_fires_for_the_time_in_which_the_link_was_limited(store, paces, pause):
    """Before that it has carried more."""
    found = filled(store(changing(*paces, pause=pause).pcap()))
    assert found.metrics["link_bytes_per_s"] == pytest.approx(1_000_000, rel=0.1)
    assert 0.8 < found.metrics["bytes_per_s"] / found.metrics["link_bytes_per_s"] <= 1.05
    assert 5000 < found.metrics["plateau_ms"] < 7000 and found.metrics["ack_mean_us"] > 30_000
    assert found.metrics["client_p99_before_us"] < 10_000


@pytest.mark.parametrize("offset", [0, 40, 80, 120, 160], ids=lambda offset: f"{offset} ms")
def test_fires_whatever_held_it_back_before(store, offset):
    """As long as the link was free it was the target that did not keep up. A sample takes 200 ms: one
    may have something of both."""
    play = Loaded(10_000_000, 0.0)
    play.served(3, 0.002)
    play.closing = True
    play.keys_for(4 + offset / 1000)
    play.closing = False
    play.limit(1_000_000, 0.05)
    play.keys_for(6)
    found = filled(store(play.pcap()))
    assert found.metrics["link_bytes_per_s"] == pytest.approx(1_000_000, rel=0.1)
    assert found.metrics["zero_windows"] == 0


def test_near_miss_a_target_that_does_not_keep_up(store):
    play = Loaded(1_000_000, 0.05)
    play.served(3, 0.002)
    play.closing = True
    play.keys_for(6)
    findings.none(findings.of(store(play.pcap())), "migration-saturation")


def test_near_miss_another_pace(store):
    """It becomes slower, and nothing waits."""
    play = changing(FREE, (6, 1_000_000, 0.0))
    findings.none(findings.of(store(play.pcap())), "migration-saturation")


def test_near_miss_moments_apart(store):
    """A second is no plateau, however often it comes."""
    play = changing(*[(1, 10_000_000, 0.0), (1.2, 1_000_000, 0.05)] * 4)
    findings.none(findings.of(store(play.pcap())), "migration-saturation")


def test_a_long_one_is_bounded(store):
    """CAP_LOAD_SAMPLES: the oldest go."""
    found = filled(store(loaded(900, rate=2000, queue=0.5, kind=Long).pcap()))
    assert found.metrics["link_bytes_per_s"] == pytest.approx(2000, rel=0.2)
    assert any("samples of the traffic are not kept" in caveat for caveat in found.caveats)


def test_near_miss_a_link_that_is_acknowledged_at_once(store):
    """The same pace, but nothing waits: it is the source that is slow."""
    findings.none(findings.of(store(loaded(6, queue=0).pcap())), "migration-saturation")


def test_near_miss_a_long_way(store):
    """Acknowledgements take as long from the first one on: that is distance, not a queue."""
    play = loaded(6, idle=False)
    findings.none(findings.of(store(play.pcap())), "migration-saturation")


def test_near_miss_for_a_moment(store):
    findings.none(findings.of(store(loaded(1.2).pcap())), "migration-saturation")


@pytest.mark.parametrize("take", CALM, ids=lambda take: take.run)
def test_near_miss_of_real_clusters(take):
    findings.none(findings.of(take.path), "migration-saturation")
