"""What must be found of each scenario, and what may be besides; nothing else at warning or above.

    wrong = expected.differences(take)          # of a capture with its truth; empty: all is well

`must` holds findings, of whatever severity, that a capture of the bridge shows, on every server;
`may` what depends on the moment (who is asked first, what a client was about to write) or on the
server. Either is a Must, or the name of a type, whatever it says. A single node's capture may show
less, and what stands under `alone`, which must not be certain then. Nodes go by their names in the
lab. Whether what the findings say is so (times, epochs, votes, sides, lost writes) needs no rows:
facts.py holds it against the servers' logs.
"""

import collections

from lib import findings

from . import facts

Must = collections.namedtuple("Must", "type verdict nodes", defaults=(None, ()))
Row = collections.namedtuple("Row", "must may alone", defaults=((), (), ()))

QUIET = Row()

# A primary is gone until its replica has taken over. Whoever asks for its slots meanwhile is told
# CLUSTERDOWN, if the failover is not quicker; what it had acknowledged and not yet sent is lost.
DIED = (Must("node-failed", "process-died", ("n1",)), Must("failover", "primary-failed", ("n1", "n4")))
WHILE_DOWN = ("cluster-down", "lost-writes", "slot-uncovered")

# Nobody takes over: the shard stays without an owner until it is started again.
UNSERVED = (Must("node-failed", "process-died", ("n1",)), Must("slot-uncovered", None, ("n1",)),
            Must("cluster-down"))

CUT_OFF = (Must("partition", "network"), Must("node-failed", "host-unreachable", ("n1",)),
           Must("failover", "primary-failed", ("n1",)))

LOSSY = ("gossip-loss", "node-suspected", "link-flap")

EXPECTED = {
    # Replicas have no clients: whether they stood still, too, nobody can tell.
    "all_stall": Row(tuple(Must("process-stall", "process-stalled", (f"n{i}",)) for i in (1, 2, 3)),
                     ("node-suspected", "node-failed")),
    "addresses_inside": Row((Must("redirect-storm", "unreachable-target"),)),
    "ask_ignored": Row((Must("redirect-loop", "ask-ignored"), Must("redirect-storm", "migration"),
                        Must("slot-stuck", "migration-stopped", ("n1", "n2")))),
    "atomic_migration": Row((Must("slot-migration", None, ("n1", "n2")),)),
    "bus_port_blocked": Row((Must("bus-unreachable", "bus-port-blocked", ("n1",)),)),
    "bus_port_refused": Row((Must("bus-unreachable", "bus-port-blocked", ("n1",)),)),
    "cannot_save": Row((Must("error-burst", "MISCONF", ("n1",)),)),
    "clock_ahead": Row((Must("clock-skew", None, ("n2",)),)),
    "coverage_off": Row((Must("node-failed", "process-died"), Must("slot-uncovered"),
                         Must("lost-writes", None, ("n3",))),
                        ("failover-failed", "cluster-down")),
    "election_without_quorum": Row((Must("node-suspected", "process-died"), Must("cluster-down"),
                                    Must("failover-failed", "no-quorum")), WHILE_DOWN),
    "cut_twice": Row((*CUT_OFF, Must("partition", "network")), (*WHILE_DOWN, "partition",
                                                                "node-failed", "failover")),
    "empty_targets": Row((Must("redirect-storm", "self-redirect"),), ("redirect-loop",)),
    "epoch_collision": Row((Must("partition", "network"), Must("split-brain", None, ("n1", "n5")),
                            Must("split-brain", None, ("n3", "n7")),
                            Must("failover", "administrative", ("n1", "n5")),
                            Must("failover", "administrative", ("n3", "n7"))),
                           ("epoch-collision", "cluster-down"), ("gossip-loss",)),
    "every_client": QUIET,
    "failover_crash": Row((Must("node-failed", "process-died", ("n1",)),
                           Must("failover", "primary-failed", ("n1",)),
                           Must("failover", "administrative", ("n3", "n4"))), WHILE_DOWN),
    "failover_force": QUIET,
    "failover_manual": QUIET,
    # Writes go on arriving at the old primary until it hears of the new one.
    "failover_takeover": Row((Must("failover", "administrative", ("n1", "n4")),),
                             ("lost-writes", "split-brain")),
    "failovers_in_turn": Row((Must("failover", "administrative", ("n1", "n4")),),
                             ("lost-writes", "split-brain")),
    "forced_failover": Row((), ("lost-writes",)),
    "forget_and_meet": QUIET,
    "forty_nodes": Row(tuple(Must("node-failed", "process-died", (f"n{i}",)) for i in range(1, 6)) +
                       tuple(Must("failover", "primary-failed", (f"n{i}", f"n{i + 20}"))
                             for i in range(1, 6)), (*WHILE_DOWN, "failover-failed")),
    "full_link": Row((Must("migration-saturation", "link-full", ("n1", "n2")),
                      Must("slot-migration", None, ("n1", "n2"))), ("migration-failed",)),
    "full_link_later": Row((Must("migration-saturation", "link-full", ("n1", "n2")),
                            Must("slot-migration", None, ("n1", "n2"))), ("migration-failed",)),
    "garbage": Row((), ("link-flap",)),
    "half_and_half": Row((Must("partition", "network"), Must("cluster-down"))),
    "handover_behind": Row((Must("failover-failed", "replica-behind", ("n1", "n4")),
                            Must("replication-lag", "slow-path", ("n4", "n1"))), LOSSY),
    "handover_late_votes": Row((Must("failover-failed", "votes-late", ("n1", "n4")),
                                Must("process-stall", "process-stalled", ("n2",)),
                                Must("process-stall", "process-stalled", ("n3",)))),
    "handover_unanswered": Row((Must("failover-failed", "no-answer", ("n1", "n4")),
                                Must("process-stall", "process-stalled", ("n1",)))),
    "healthy": QUIET,
    "heir_comes_back_empty": Row((Must("node-failed", "process-stalled", ("n1",)),
                                  Must("failover", "primary-failed", ("n1", "n4")),
                                  Must("lost-writes", None, ("n1", "n4")),
                                  Must("lost-writes", None, ("n4",))),
                                 (*WHILE_DOWN, "process-stall", "error-burst")),
    "heir_dies": Row((Must("node-failed", "process-died", ("n1",)), Must("failover", None, ("n1",)),
                      Must("node-failed", "process-died"), Must("failover", "primary-failed")),
                     WHILE_DOWN),
    "healthy_heavy": QUIET,
    "healthy_long": QUIET,
    "ipv6": QUIET,
    "kill_primary": Row(DIED, WHILE_DOWN),
    "kill_replica": Row((Must("node-failed", "process-died", ("n4",)),)),
    "kill_shard": Row((*UNSERVED, Must("node-failed", "process-died", ("n4",)),
                       Must("failover-failed", "no-eligible-replica", ("n1",))), ("lost-writes",)),
    "kill_two_primaries": Row((*(Must("node-failed", "process-died", (n,)) for n in ("n1", "n2")),
                               Must("failover", "primary-failed", ("n1", "n6")),
                               Must("failover", "primary-failed", ("n2", "n7"))), WHILE_DOWN),
    "lagging_replica": QUIET,
    "long_script": Row((Must("error-burst", "BUSY", ("n1",)), Must("slow-commands", None, ("n1",)))),
    "long_stall": Row((Must("node-failed", "process-stalled", ("n1",)),
                       Must("process-stall", "process-stalled", ("n1",)),
                       Must("failover", "primary-failed", ("n1", "n4"))), WHILE_DOWN),
    "manual_failover": QUIET,
    "meet_too_early": QUIET,
    "migrate_refused": Row((Must("migration-failed", "login-refused", ("n1", "n2")),
                            Must("memory-pressure", "writes-refused", ("n2",))),
                           ("slot-stuck",)),
    "nameless_targets": Row((Must("redirect-storm", "unreachable-target"),)),
    "names_and_ports": QUIET,
    "names_unknown": Row((Must("redirect-storm", "unreachable-target"),)),
    "no_quorum": Row((Must("node-suspected", "process-died", ("n1",)),
                      Must("node-suspected", "process-died", ("n2",)), Must("cluster-down")),
                     ("lost-writes", "slot-uncovered")),
    # Those that notice the death before the rebirth hold a failover, the others forget the old one.
    "node_reborn": Row((Must("node-identity-changed", "administrative", ("n1",)),),
                       (*WHILE_DOWN, "node-failed", "failover")),
    # To n1, which hears nobody, it looks as if all others were cut off.
    "one_way_loss": Row((Must("node-failed", "one-way-loss", ("n1",)),
                         Must("failover", "primary-failed", ("n1", "n4"))), WHILE_DOWN,
                        ("partition",)),
    "out_of_memory": Row((Must("memory-pressure", "writes-refused", ("n1",)), Must("error-burst"))),
    "partition_minority": Row(CUT_OFF, WHILE_DOWN),
    "partition_primary": Row(CUT_OFF, WHILE_DOWN),
    "pair_apart_briefly": Row((Must("gossip-loss", "host-unreachable", ("n1", "n2")),)),
    "publish_flood": Row((Must("bus-flood", "publish"),)),
    "random_loss_5": QUIET,
    "random_loss_15": Row((), LOSSY),
    "random_loss_30": Row((Must("gossip-loss", "lossy-path"),), (*LOSSY, *WHILE_DOWN, "node-failed",
                                                                 "failover", "replication-lag")),
    "replica_may_not": Row((*UNSERVED, Must("failover-failed", None, ("n1", "n4"))),
                           ("lost-writes",)),
    "replica_too_old": Row((*UNSERVED, Must("failover-failed", "data-too-old", ("n1", "n4")),
                            Must("replication-lag", "link-down", ("n1", "n4"))),
                           ("lost-writes",)),
    "reads_at_replica": Row((Must("redirect-storm", "stale-clients"),)),
    "reshard": Row((Must("slot-migration", None, ("n1", "n2")),)),
    "replica_behind": Row((Must("replication-lag", "slow-path", ("n4", "n1")),), LOSSY),
    # Valkey goes on to miss the node of the old name, and marks it failed.
    "reset_hard": Row((Must("node-identity-changed", "administrative", ("n6",)),),
                      (Must("node-failed", "identity-changed", ("n6",)),)),
    # The first link is cut by hand, so that n4 has to copy everything.
    "resync_in_copy": Row((Must("full-resync-loop", "output-buffer-limit", ("n4", "n1")),),
                          ("replication-lag", "process-stall", *LOSSY)),
    "resync_killed": Row((Must("full-resync-loop", "backlog-too-small", ("n4", "n1")),)),
    "resync_cut": Row((Must("full-resync-loop", "backlog-too-small", ("n4", "n1")),)),
    "resync_timeout": Row((Must("full-resync-loop", "timeout", ("n4", "n1")),
                           Must("process-stall", None, ("n4",))),
                          ("replication-lag", "node-suspected", "gossip-loss")),
    "resync_loop": Row((Must("full-resync-loop", "output-buffer-limit", ("n4", "n1")),),
                       ("replication-lag",)),
    "rolling_restart": QUIET,
    "short_stall": QUIET,
    "slots_left_open": Row((Must("slot-stuck", "migration-stopped", ("n1", "n2")),
                            Must("slot-stuck", "migration-stopped", ("n2", "n3"))),
                           ("redirect-storm",)),
    "slot_left_open": Row((Must("slot-stuck", "migration-stopped", ("n1", "n2")),)),
    # Whether MIGRATE's timeout is hit depends on what else waits for the link.
    "slow_migration": Row((Must("slot-migration", None, ("n1", "n2")),),
                          ("migration-failed", "migration-saturation")),
    "slow_commands": Row((Must("slow-commands", "slow-command"),)),
    "stale_clients": Row((Must("redirect-storm", "stale-clients"),)),
    "takeover": Row((Must("failover", "administrative", ("n1", "n4")),),
                    ("lost-writes", "split-brain")),
    "takeover_in_partition": Row((Must("partition", "network"),
                                  Must("split-brain", None, ("n1", "n4")),
                                  Must("failover", "administrative", ("n1", "n4"))),
                                 (*WHILE_DOWN, "node-failed", "failover", "failover-failed")),
    "three_sides": Row((Must("partition", "network"),), (*WHILE_DOWN, "node-failed", "failover",
                                                         "failover-failed")),
    "tls_bus": QUIET,
    "told_to_end": Row((Must("node-failed", "administrative", ("n1",)),
                        Must("failover", "primary-failed", ("n1", "n4"))), WHILE_DOWN),
    "told_to_sleep": Row((Must("node-failed", "administrative", ("n1",)),
                          Must("process-stall", "administrative", ("n1",)),
                          Must("slow-commands", "slow-command", ("n1",)),
                          Must("failover", "primary-failed", ("n1", "n4"))), WHILE_DOWN),
    "too_many_clients": Row((Must("error-burst", "max-clients", ("n2",)),), ("connection-storm",)),
    "unseen_halves": Row((Must("partition", "network"), Must("cluster-down"))),
    "wrong_password": Row((Must("error-burst", "NOAUTH", ("n2",)),
                           Must("error-burst", "WRONGPASS", ("n2",)))),
    "wrong_address": Row((Must("address-disagreement", "announced-address", ("n6",)),)),
}



def scenario_of(take):
    return take.run.split("-")[0]


def _names(take):
    """Names by id, also of ids that a node had before it was born again."""
    return {id_: node["name"] for node in take.truth["topology"]["nodes"]
            for id_ in (node["id"], *node.get("ids", ())) if id_}


def _fits(want, one, names, alone=False):
    """`want` is a Must, or the name of a type. A single host (`alone`) may not know the cause, or
    take the path to itself for the whole network, if it does not say so for certain."""
    if isinstance(want, str):
        return one.type == want
    nodes = {names.get(node) for node in one.nodes}
    return one.type == want.type and set(want.nodes) <= nodes and \
        (want.verdict in (None, one.verdict) or
         alone and (one.verdict == "unknown" or _is_careful(one)))


def _is_careful(one):
    return one.confidence != "certain" and one.caveats


def _is_local(row, one):
    """Of the paths to the one host it can be certain: they did lose packets."""
    return one.type in row.alone and (one.type == "gossip-loss" or _is_careful(one))


def _text(one, names):
    nodes = ", ".join(names.get(node) or "?" for node in one.nodes[:8])
    return f"{one.severity} {one.type} ({one.verdict}) {nodes}: {one.title}"


def differences(take):
    """What was found and should not be, what was not and should, and what it says that is not so;
    each as a line."""
    row, names = EXPECTED[scenario_of(take)], _names(take)
    found, alone = findings.of(take.path, "--keys", "full"), bool(take.vantage)
    wrong = ["not expected: " + _text(one, names) for one in found if one.severity in findings.LOUD
             and not any(_fits(want, one, names, alone) for want in (*row.must, *row.may))
             and not (alone and _is_local(row, one))]
    if not alone:
        wrong += [f"missing: {want.type} ({want.verdict}) {', '.join(want.nodes)}"
                  for want in row.must if not any(_fits(want, one, names) for one in found)]
    return wrong + facts.differences(take, found)
