"""The contract with programs that read `analyze --json`: each finding has the metrics of its type, or
a caveat that says why one is missing; words that are known; proof; times that do not run back, and
last as long as is said.
findings.of() asks it of all that any test finds, bustap.analyze() what holds of each report.
"""

import datetime
import re

METRICS = {
    "capture-loss": "gaps gap_bytes kernel_drops truncated_packets",
    "node-suspected": "node reporters duration_ms",
    "node-failed": "node reporters announced_by quorum_needed quorum_seen detection_ms",
    "gossip-loss": "from to pings pongs lost longest_silence_ms",
    "bus-unreachable": "node client_port_alive attempts",
    "process-stall": "node duration_ms last_command",
    "link-flap": "from to reconnects",
    "partition": "sides majority_side",
    "failover": "old_primary new_primary kind epoch votes votes_needed unavailable_ms slots",
    "failover-failed": "candidate epoch votes votes_needed reason",
    "split-brain": "slots claimants writes_acknowledged",
    "lost-writes": "loser winner count bytes proof slots",
    "epoch-collision": "nodes epoch",
    "cluster-down": "nodes replies duration_ms",
    "slot-uncovered": "slots duration_ms",
    "redirect-storm": "moved ask peak_per_s clients servers slots cause",
    "redirect-loop": "slot chain client",
    "slot-migration": "slots source target keys bytes duration_ms kind outcome",
    "migration-saturation": "source target bytes_per_s link_bytes_per_s bus_rtt_before_us "
                            "bus_rtt_during_us client_p99_before_us client_p99_during_us",
    "migration-failed": "source target errors keys_at_risk keys_on_both",
    "slot-stuck": "slot source target asks duration_ms",
    "big-key": "bytes command server blocked_ms",
    "replication-lag": "replica primary lag_bytes lag_ms",
    "full-resync-loop": "replica primary count bytes cause",
    "bus-flood": "node messages_per_s bytes_per_s by_type",
    "node-identity-changed": "addr old_id new_id",
    "address-disagreement": "node addrs first_said_by",
    "clock-skew": "node skew_s",
    "error-burst": "server code count peak_per_s",
    "slow-commands": "server command count p99_us max_us",
    "refresh-storm": "server per_s clients",
    "connection-storm": "server per_s refused",
    "memory-pressure": "node fragmentation_ratio rss_share oom_replies",
    "opaque-traffic": "flows bytes",
}
# The words of which the contract has no more than these.
WORDS = {
    ("failover", "kind"): "automatic manual forced takeover",
    ("lost-writes", "proof"): "psync-offset claim-order",
    ("redirect-storm", "cause"): "stale-clients migration topology-change self-redirect "
                                 "disagreement unreachable-target",
    ("slot-migration", "kind"): "migrate atomic",
}
# A sum over the whole capture: no packet stands for it.
WITHOUT_PROOF = {"capture-loss", "opaque-traffic"}

ONE_OF_MANY = re.compile(r"(?:^|[ (])[01] (?:nodes|others|connections|times|primaries) .{12}")
ROUNDED = 500_000           # nanoseconds, of a duration in milliseconds
WITH_MORE = {"slot-stuck"}  # open for longer than no key moved
IMPOSSIBLE = 2 ** 60        # less than nothing, written as if it could not be


def lacks(found):
    wanting = [name for name in METRICS[found.type].split() if name not in found.metrics]
    if wanting and not found.caveats:
        yield f"has no {', '.join(wanting)}, and no caveat"
    for (type_, name), words in WORDS.items():
        if type_ == found.type and found.metrics.get(name, words) not in (words, *words.split()):
            yield f"{name} is {found.metrics[name]}, which the contract does not know"
    if not found.evidence and found.type not in WITHOUT_PROOF:
        yield "has no evidence"
    times = [piece["time"] for piece in found.evidence]
    if times != sorted(times):
        yield f"its evidence runs back: {times}"
    for name in ("title", "explanation", "verdict"):
        if not getattr(found, name):
            yield f"has no {name}"
    if found.end and found.end < found.start:
        yield f"ends before it begins: {found.start} {found.end}"
    for words in (found.title, found.explanation, *found.caveats, *found.advice):
        for odd in ONE_OF_MANY.findall(words):
            yield f"has {odd.strip()!r} in: {words}"
    duration = found.metrics.get("duration_ms")
    longer = found.end and duration is not None and \
        nanoseconds(found.end) - nanoseconds(found.start) - duration * 10**6
    if longer and (longer < -ROUNDED or longer > ROUNDED and found.type not in WITH_MORE):
        yield f"lasts from {found.start} to {found.end}, and by its numbers {duration} ms"
    if any(addr.endswith(":0") for addr in found.subjects["addrs"]):
        yield f"names a port that nobody has: {found.subjects['addrs']}"
    if any(number >= IMPOSSIBLE for number in numbers_in(found.metrics)):
        yield f"a number ran over: {found.metrics}"


def nanoseconds(moment):
    whole, fraction = moment.rstrip("Z").split(".")
    at = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return int(at.timestamp()) * 10**9 + int(fraction)


def numbers_in(value):
    """All of them, however deep."""
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(inner)
    elif isinstance(value, (int, float)):
        yield value


def check_report(report):
    """What holds of each, whatever it is about."""
    times = [entry["time"] for entry in report["timeline"]]
    assert times == sorted(times), "the timeline runs back"
    ports = {node["id"]: node["bus_port"] for node in report["cluster"]["nodes"]}
    assert 0 not in ports.values(), f"a port that is not known is null: {ports}"


def check(found):
    """Findings that break a promise are an error."""
    wrong = [f"{one}\n      {what}" for one in found for what in lacks(one)]
    assert not wrong, "\n".join(wrong)
