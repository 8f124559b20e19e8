"""What the servers say of a run: snapshots of each node's books.

The last one closes the books: one pipelined request on a connection that is open already (t0), the
reply (t1), and the node is stopped at once (t_frozen). What it counted is then what was on the wire
up to a known moment.
"""

import time

from . import books
from .resp import Error

REQUESTS = {
    "info": ("INFO", "ALL"),            # first: what follows is not in its counts
    "cluster_info": ("CLUSTER", "INFO"),
    "nodes": ("CLUSTER", "NODES"),
    "slots": ("CLUSTER", "SLOTS"),
    "shards": ("CLUSTER", "SHARDS"),
    "links": ("CLUSTER", "LINKS"),
}
SINCE = {"shards": (7, 0), "links": (7, 0)}


def _requests(server):
    return {name: words for name, words in REQUESTS.items()
            if server.version >= SINCE.get(name, ())}


def snapshot(node, freeze=False):
    """The books of one node, and with `freeze` nothing more comes into them."""
    requests = _requests(node.cluster.server)
    node.connection()
    t0 = time.time()
    replies = node.pipeline(*requests.values())
    t1 = time.time()
    frozen = {}
    if freeze:
        node.stop()
        frozen["t_frozen"] = time.time()
    said = dict(zip(requests, replies))
    failed = {name: reply for name, reply in said.items() if isinstance(reply, Error)}
    if failed:
        raise RuntimeError(f"{node.name} would not tell: {failed}")
    return {"t0": t0, "t1": t1, **frozen, **_read(said)}


def _read(said):
    info, cluster_info = books.info(said["info"]), books.info(said["cluster_info"])[""]
    return {
        "cluster_info": cluster_info,
        "bus_sent": books.bus_counts(cluster_info, "sent"),
        "bus_received": books.bus_counts(cluster_info, "received"),
        "commandstats": books.commandstats(info.get("commandstats", {})),
        "errorstats": books.errorstats(info.get("errorstats", {})),
        **{name: info[name] for name in ("stats", "replication", "server")},
        "nodes": books.nodes(said["nodes"]), "nodes_raw": said["nodes"],
        **{name: said[name] for name in ("slots", "shards", "links") if name in said},
    }


def snapshots(cluster, freeze=False):
    """Of all nodes that run."""
    return {node.name: snapshot(node, freeze) for node in cluster.running}


def topology(cluster, clients):
    return {
        "nodes": [{"name": node.name, "ip": node.ip, "port": node.port, "bus": node.bus,
                   "id": node.id, "ids": node.ids, "starts": node.starts,
                   "config": cluster.per_node.get(node.name, {}),
                   "clock_ahead": node.clock.offset if node.clock else 0,
                   "ended": "stopped" if node.is_stopped else "down" if node.is_down else None}
                  for node in cluster.nodes],
        "clients": clients, "node_timeout_ms": round(cluster.node_timeout * 1000)}
