"""The corpus in pcaps/: which scenario is kept of which server, and the MANIFEST.

    python3 -m tests.lab corpus [NAME...]       runs what is named (NAME is scenario-server, or a part
                                                of it), else all, and writes pcaps/ anew for these

Every scenario once, the servers by turns; what one host sees of it where that is another story. The
truth is kept without what is there twice. A capture beyond 2 MB is not kept: make its scenario
smaller.
"""

import hashlib
import json
import shutil
import struct
import subprocess

from . import BUILD, ROOT, scenarios, servers
from .run import Run

PCAPS = ROOT / "pcaps"
LARGEST = 2_000_000

# scenario: (server, vantages beside the bridge)
KEPT = {
    "healthy": ("redis-6.0", ("n1",)),
    "every_client": ("valkey-8.1", ()),
    "partition_primary": ("valkey-9.1", ("n1",)),
    "half_and_half": ("redis-8.0", ()),
    "three_sides": ("redis-6.0", ()),
    "bus_port_blocked": ("redis-7.0", ("n1",)),
    "bus_port_refused": ("valkey-8.1", ()),
    "one_way_loss": ("redis-8.0", ("n1",)),
    "random_loss_15": ("valkey-9.1", ()),
    "random_loss_30": ("redis-7.0", ()),
    "short_stall": ("redis-6.0", ("n1",)),
    "long_stall": ("redis-7.0", ("n1",)),
    "kill_primary": ("redis-8.0", ("n1",)),
    "kill_replica": ("valkey-8.1", ()),
    "kill_two_primaries": ("redis-7.0", ()),
    "kill_shard": ("valkey-9.1", ()),
    "forget_and_meet": ("redis-6.0", ()),
    "node_reborn": ("valkey-9.1", ()),
    "rolling_restart": ("valkey-8.1", ()),
    "manual_failover": ("redis-7.0", ("n1",)),
    "forced_failover": ("redis-6.0", ()),
    "takeover": ("valkey-9.1", ()),
    "takeover_in_partition": ("redis-8.0", ()),
    "no_quorum": ("redis-7.0", ()),
    "replica_too_old": ("valkey-8.1", ()),
    "epoch_collision": ("redis-7.0", ()),
    "reshard": ("valkey-9.1", ()),
    "slow_migration": ("redis-7.0", ()),
    "slot_left_open": ("redis-7.0", ()),
    "atomic_migration": ("valkey-9.1", ()),
    "stale_clients": ("redis-7.0", ()),
    "ask_ignored": ("valkey-8.1", ()),
    "resync_loop": ("redis-7.0", ()),
    "lagging_replica": ("valkey-9.1", ()),
    "tls_bus": ("valkey-8.1", ()),
    "names_and_ports": ("redis-8.0", ()),
    "wrong_address": ("valkey-8.1", ()),
    "coverage_off": ("redis-6.0", ()),
    "clock_ahead": ("redis-7.0", ()),
    "garbage": ("redis-6.0", ()),
    "ipv6": ("redis-8.0", ()),
    "slow_commands": ("redis-6.0", ()),
    "out_of_memory": ("redis-7.0", ()),
    "told_to_sleep": ("redis-8.0", ()),
    "told_to_end": ("valkey-9.1", ()),
    "all_stall": ("valkey-9.1", ("n1",)),
    "reset_hard": ("redis-7.0", ()),
    "unseen_halves": ("valkey-8.1", ("n1",)),
}

# Of the truth: what tests read. The rest of a node's words is in its log, or there twice.
SNAPSHOT = ("t0", "t1", "t_frozen", "cluster_info", "bus_sent", "bus_received", "commandstats",
            "errorstats", "replication", "nodes", "slots")

HEAD = """\
Captures of real clusters, made by the lab (tests/lab; `make pcaps` makes them anew) or, the first six
runs, by a forerunner of it. Each node lives in a network namespace of its own on one bridge, at
10.77.0.11 (n1) and up (in ipv6 at fd77::b and up); clients at 10.77.2.200 and up, which write all the
time. Nothing is in them but test data; under the licence of the whole (LICENSE).

NAME is scenario-server-version, and where it was taken:
    NAME             the bridge: every frame once, from before the servers' start
    NAME-n1          the port of n1: what one host sees
    NAME-n1-any      tcpdump -i any inside n1 (Linux cooked v2; a frame may be there twice)
All are pcap (those of the forerunner with microseconds, the others with nanoseconds), not cut, one
zstd frame. The kernel dropped nothing.

NAME.truth.json is what the servers and the lab said: topology (with node ids), what was injected and
when (times are seconds since the epoch), the clients' lost writes, the servers' logs as events, and per
node its books, at the start and the end: counts of bus messages, CLUSTER INFO, NODES and SLOTS, INFO
commandstats, errorstats and replication. In the end each node got one INFO and CLUSTER INFO (asked at
t0, answered at t1) and was stopped (t_frozen), so that its books are those of a known moment. Where
wire and books may differ all the same:
  - A message counts as sent when it is queued. If its link dies first, it never reaches the wire.
  - Packets are dropped behind the point of capture: a message is received when the receiver's TCP
    has acknowledged its last byte.
  - Rarely TCP delivers, and the server closes the link before it reads.
  - Between t0 and t1 a message may fall on either side; messages to a stopped node are on the wire
    and not in its books. A restarted node starts its books again.
"""


def plan(names):
    """(scenario, server, vantages) of what is named."""
    rows = [(s, server, vantages) for s, (server, vantages) in KEPT.items()]
    return [row for row in rows
            if not names or any(name in f"{row[0]}-{row[1]}" for name in names)]


def make(names):
    for scenario, server, vantages in plan(names):
        found = servers.find(server)
        folder = BUILD / "corpus" / f"{scenario}-{found.name}"
        Run(scenario, found, folder)(scenarios.load_all()[scenario][0])
        keep(folder, vantages)
        print(folder.name, flush=True)
    write_manifest()


def keep(folder, vantages):
    for old in PCAPS.glob(f"{folder.name}*"):
        old.unlink()
    for vantage in ("", *vantages):
        source = folder / f"capture{vantage and '-' + vantage}.pcap.zst"
        target = PCAPS / f"{folder.name}{vantage and '-' + vantage}.pcap.zst"
        recompress(source, target)
        if target.stat().st_size > LARGEST:
            raise RuntimeError(f"{target.name} has {target.stat().st_size} bytes: too large to keep")
    truth = json.loads((folder / "truth.json").read_text())
    truth["snapshots"] = {when: {node: {k: said[k] for k in SNAPSHOT if k in said}
                                 for node, said in nodes.items()}
                          for when, nodes in truth["snapshots"].items()}
    (PCAPS / f"{folder.name}.truth.json").write_text(json.dumps(truth, separators=(",", ":")) + "\n")
    shutil.rmtree(folder)


def recompress(source, target):
    """As small as zstd makes it; the captures are made in a hurry."""
    subprocess.run(f"zstd -dcq '{source}' | zstd -19 -qf -o '{target}'", shell=True, check=True)


# ---------------------------------------------------------------------------------- the manifest


UNITS = {0xa1b2c3d4: 1e6, 0xa1b23c4d: 1e9}         # by the magic of a pcap: parts of a second


def size(path):
    """Packets, and seconds from the first to the last."""
    raw = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout
    unit = UNITS[struct.unpack_from("<I", raw)[0]]
    at, times = 24, []
    while at + 16 <= len(raw):
        seconds, part, length = struct.unpack_from("<III", raw, at)
        times.append(seconds + part / unit)
        at += 16 + length
    return len(times), times[0], times[-1]


def happenings(truth):
    """(time, what) of a run; the older ones have their own words."""
    for mark in truth["marks"]:
        about = " ".join(f"{len(v)} keys {k}" if k == "on_both" else f"{v}"
                         for k, v in mark.items() if k not in ("t", "what") and v)
        yield mark["t"], f"{mark['what']} {about}".rstrip()
    for fault in truth.get("injected", []):
        about = {k: v for k, v in fault.items() if k not in ("time", "what", "where", "dropped")}
        yield fault["time"], " ".join([fault["what"], *map(str, about.values())])
    for fault in truth.get("faults", []):
        if fault["kind"] != "heal":
            yield fault["t"], f"{fault['kind']} {fault.get('node') or fault.get('a', '')}".rstrip()


def lost(truth):
    return truth.get("lost_writes", {}).get("lost_count")


def manifest():
    files, stories = [], []
    starts = {}
    for path in sorted(PCAPS.glob("*.pcap.zst")):
        packets, first, last = size(path)
        name = path.name.removesuffix(".pcap.zst")
        starts[name] = first
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        files.append(f"{name:44} {packets:7} {last - first:8.1f}  {digest}")
    for path in sorted(PCAPS.glob("*.truth.json")):
        truth, name = json.loads(path.read_text()), path.name.removesuffix(".truth.json")
        what = scenarios.load_all().get(truth["scenario"], (None, truth["scenario"]))[1]
        stories.append(f"{name}: {what}")
        for time, happens in sorted(happenings(truth)):
            stories.append(f"    {time - starts[name]:6.1f} {happens}")
        if lost(truth) is not None:
            stories.append(f"           acknowledged writes that are lost: {lost(truth)}")
    return "\n".join([
        HEAD, f"{'file (.pcap.zst)':44} {'packets':>7} {'seconds':>8}  sha256 (first 16)", *files,
        "", "What happens in them, in seconds from the first packet of the bridge's capture:", "",
        *stories, ""])


def write_manifest():
    (PCAPS / "MANIFEST").write_text(manifest())
