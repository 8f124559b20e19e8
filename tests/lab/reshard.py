"""Slots that move from one primary to another, as redis-cli does it, step by step.

    move(cluster, "n1", "n2", range(0, 100))
    with opened(cluster, "n1", "n2", [7]):      # migrating and importing, and closed again after
        migrate(cluster, "n1", "n2", 7, count=10)
"""

import contextlib
import time

from .resp import Error

BATCH = 100                                     # keys of one MIGRATE
TIMEOUT = 5000                                  # ms, of each step of its I/O


def migrate(cluster, source, target, slot, batch=BATCH, timeout=TIMEOUT, rounds=None):
    """Moves the keys of a slot that is open; at most `rounds` batches. The replies of MIGRATE, errors
    among them; an error ends it."""
    replies = []
    source, target = cluster[source], cluster[target]
    while rounds is None or len(replies) < rounds:
        keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, batch)
        if not keys:
            break
        replies += source.pipeline(("MIGRATE", target.ip, target.port, "", 0, timeout, "KEYS", *keys),
                                   timeout=120)
        if isinstance(replies[-1], Error):
            break
    return replies


def keys_of(node, slot):
    return node.ask("CLUSTER", "GETKEYSINSLOT", slot, 1_000_000)


def on_both(cluster, source, target, slot):
    """The keys of a slot that are on both sides, once nothing more arrives."""
    before, now = None, keys_of(cluster[target], slot)
    while now != before:
        time.sleep(1.5)
        before, now = now, keys_of(cluster[target], slot)
    return sorted({*now} & {*keys_of(cluster[source], slot)})


def open_slot(cluster, source, target, slot):
    source, target = cluster[source], cluster[target]
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)


def give(cluster, source, target, slot):
    """The slot is the target's: it hears so first, then the source, then the other primaries."""
    owner = cluster[target].id
    others = [n for n in cluster.primaries if n.name not in (source, target) and not n.is_down]
    for node in (cluster[target], cluster[source], *others):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", owner)


def move(cluster, source, target, slots, **how):
    for slot in slots:
        open_slot(cluster, source, target, slot)
        replies = migrate(cluster, source, target, slot, **how)
        wrong = [reply for reply in replies if isinstance(reply, Error)]
        if wrong:
            raise wrong[0]
        give(cluster, source, target, slot)


@contextlib.contextmanager
def opened(cluster, source, target, slots):
    """The slots are open meanwhile; afterwards they are the source's alone again."""
    for slot in slots:
        open_slot(cluster, source, target, slot)
    yield
    for slot in slots:
        for name in (source, target):
            cluster[name].ask("CLUSTER", "SETSLOT", slot, "STABLE")
