"""What servers say of themselves, as data: INFO, CLUSTER INFO, CLUSTER NODES."""

import re

BUS_COUNT = re.compile(r"cluster_stats_messages_(.+)_(sent|received)$")


def info(text):
    """{section: {name: value}}, sections in lower case; CLUSTER INFO is the section ""."""
    sections, section = {}, ""
    for line in text.splitlines():
        if line.startswith("# "):
            section = line[2:].lower()
        elif ":" in line:
            name, _, value = line.partition(":")
            sections.setdefault(section, {})[name] = value
    return sections


def bus_counts(cluster_info, direction):
    """{type: count} of CLUSTER INFO."""
    found = ((BUS_COUNT.match(name), int(value)) for name, value in cluster_info.items()
             if name.startswith("cluster_stats_messages_"))
    return {match[1]: count for match, count in found if match and match[2] == direction}


def _numbers(text):
    return {name: int(value) for name, _, value in (part.partition("=") for part in text.split(","))
            if value.isdigit()}


def commandstats(section):
    """{command: {calls, rejected_calls, failed_calls}}"""
    wanted = ("calls", "rejected_calls", "failed_calls")
    rows = {name.removeprefix("cmdstat_"): _numbers(value) for name, value in section.items()}
    return {name: {key: row[key] for key in wanted if key in row} for name, row in rows.items()}


def errorstats(section):
    return {name.removeprefix("errorstat_"): _numbers(value)["count"]
            for name, value in section.items()}


def nodes(text):
    """CLUSTER NODES, a dictionary for each node."""
    return [_node(*line.split(" ")) for line in text.splitlines() if line]


def _node(id_, where, flags, primary, ping, pong, epoch, link, *slots):
    addr = where.partition(",")[0].partition("@")[0]
    return {"id": id_, "addr": addr, "ip": addr.rpartition(":")[0], "raw_addr": where,
            "flags": flags.split(","), "master": None if primary == "-" else primary,
            "ping_sent": int(ping), "pong_recv": int(pong), "epoch": int(epoch), "link": link,
            "slots": [_range(s) for s in slots if not s.startswith("[")],
            "moving": [s for s in slots if s.startswith("[")]}


def _range(text):
    first, _, last = text.partition("-")
    return [int(first), int(last or first)]
