"""lost-writes of a primary without replicas: it dies, comes back with less, and a client reads a
key that had been acknowledged and is not there. Nothing else on the wire tells."""

import pytest

from lib import findings, resp, scene, writes

CLIENT, READER = 50001, 50002


class Story:
    """p1 has no replica. It acknowledges `a` and `b`, dies, and is started again."""

    def __init__(self):
        self.play = scene.Scene(replicas=0)
        self.play.run(2)
        self.writer = writes.Client(self.play, "p1", CLIENT)
        self.writer.set("{b}a", "1")
        self.writer.set("{b}b", "2")

    def dies(self):
        self.play.kill("p1")
        self.play.run(3)
        self.play.back("p1")
        self.play.run(3)
        self.reader = writes.Client(self.play, "p1", READER)
        return self

    def reads(self, key, value):
        self.reader.write("GET", key, reply=resp.value(value))
        return self

    def found(self, store):
        self.play.run(2)
        return findings.of(store(self.play.pcap()), "--keys", "full")

    def none(self, store):
        findings.none(self.found(store), "lost-writes")

    def listed(self, store):
        return [w["key"] for w in self.one(store).metrics["writes"]]

    def one(self, store):
        return findings.only(self.found(store), "lost-writes")


def test_fires_on_a_key_that_is_gone(store):
    """With the oldest write all younger ones are gone, whether they were read again or not."""
    story = Story().dies().reads("{b}a", None)
    found = story.one(store)
    assert [w["key"] for w in found.metrics["writes"]] == ["{b}a", "{b}b"]
    assert (found.severity, found.confidence) == ("critical", "likely")
    assert found.metrics["shown_by"] == "read-again" and found.metrics["count"] == 2
    assert "proof" not in found.metrics         # there are two, and this is neither
    assert found.nodes == [story.play.nodes["p1"].id]


def test_fires_on_what_came_after_the_last_snapshot(store):
    """`a` was on its disk."""
    assert Story().dies().reads("{b}a", "1").reads("{b}b", None).listed(store) == ["{b}b"]


def test_what_is_not_known_is_counted(store):
    """Of `a`, which nobody read again, it cannot be told."""
    found = Story().dies().reads("{b}b", None).one(store)
    assert [w["key"] for w in found.metrics["writes"]] == ["{b}b"]
    assert found.metrics["undecided"] == 1


def test_it_is_one_incident_with_the_failure(store):
    story = Story()
    story.play.kill("p1")
    story.play.run(7)
    story.play.back("p1")
    story.play.run(3)
    story.reader = writes.Client(story.play, "p1", READER)
    found = story.reads("{b}a", None).found(store)
    assert findings.only(found, "lost-writes").caused_by == findings.only(found, "node-failed").id


def test_near_miss_its_data_are_there(store):
    Story().dies().reads("{b}a", "1").reads("{b}b", "2").none(store)


def test_near_miss_a_key_that_nobody_wrote(store):
    Story().dies().reads("{b}c", None).none(store)


@pytest.mark.parametrize("words, reply", [(("DEL", "{b}a"), resp.value(1)),
                                          (("SET", "{b}a", "3", "PX", "5"), resp.OK)])
@pytest.mark.parametrize("before", (True, False))
def test_near_miss_a_key_that_was_deleted_or_has_expired(store, words, reply, before):
    story = Story()
    if before:
        story.writer.write(*words, reply=reply)
    story.dies()
    if not before:
        story.reader.write(*words, reply=reply)
    story.reads("{b}a", None).none(store)


def test_near_miss_an_older_key_that_went_otherwise(store):
    """`b` is there, and `a` is not: it was evicted, or deleted where nobody saw it."""
    Story().dies().reads("{b}b", "2").reads("{b}a", None).none(store)


def test_near_miss_a_process_that_lives(store):
    """Nobody gets in at its bus port; who had a connection to it still writes."""
    story = Story()
    story.play.block("p1", refuse=True)
    story.play.run(4)
    story.writer.set("{b}c", "3")
    story.reader = writes.Client(story.play, "p1", READER)
    story.reads("{b}a", None).none(store)


def test_near_miss_two_reads_of_one_packet(store):
    """Which reply is whose cannot be told by the packet."""
    story = Story().dies()
    story.reader.talk.ask(resp.command("GET", "{b}c"), resp.command("GET", "{b}a"))
    story.reader.talk.answer(resp.value(None), resp.value("1"))
    story.none(store)


def test_near_miss_a_write_that_was_not_acknowledged(store):
    story = Story()
    story.writer.write("SET", "{b}c", "3", reply=resp.error("OOM command not allowed"))
    story.dies().reads("{b}a", "1").reads("{b}c", None).none(store)
