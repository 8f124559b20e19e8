"""Whatever a capture cut by a snaplen misses, what it tells is what the whole one tells, or less: who answered
whom, who was sent elsewhere, where a stream of commands stands and what is in it.

The frames are the same, so each event is compared with that of its frame; that slots are moved over a
connection may be noticed by a later one. What MIGRATE and its like are told is among the replies.
"""

import collections

import pytest

from lib import bustap, captures, resegment
from test_pairing import conversations

SNAPLENS = {128: 0.4, 256: 0.4}                          # and how many of the replies are told, at least

# What is compared; not known is never wrong. A stream is noticed, and its offset learnt, when there is proof
# enough: that is no fact about the packet.
FIELDS = {
    "reply": ("command", "type", "error", "bytes", "request_frame", "latency_us"),
    "redirect": ("kind", "slot", "target", "command"),
    "replicated": ("command", "args", "bytes", "offset"),
    "replication": ("what", "replid", "offset", "bytes", "port"),
}
NOTICED = {"stream", "offset"}


def told(raw, store):
    events = bustap.dump(store(raw), without=("bus-message",))
    return [e for e in events if e["event"] in FIELDS and e.get("what") not in NOTICED]


def agrees(event, whole):
    names = ("event", "src", "dst", *FIELDS[event["event"]])
    return all(event[n] is None or event[n] == whole[n] for n in names)


def by_frame(events):
    out = collections.defaultdict(list)
    for event in events:
        out[event["frame"]].append(event)
    return out


@pytest.mark.parametrize("take", captures.TAKES, ids=lambda take: take.name)
def test_cut_by_a_snaplen(take, store):
    raw = resegment.capture(conversations(take)[0])
    whole = told(raw, store)
    frames = by_frame(whole)
    for snaplen, share in SNAPLENS.items():
        found = told(resegment.snap(raw, snaplen), store)
        wrong = [e for e in found if not any(agrees(e, w) for w in (
            whole if e.get("what") == "migration" else frames[e["frame"]]))]
        assert not wrong, f"{len(wrong)} of {len(found)} differ: {wrong[0]}\n{take.name}, snaplen {snaplen}"
        replies, all_ = (len(bustap.named(events, "reply")) for events in (found, whole))
        assert replies >= share * all_, f"only {replies} of {all_} replies are told, snaplen {snaplen}"
