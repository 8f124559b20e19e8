#!/usr/bin/python3
"""What a capture costs the host: CPU time for each packet, of the kernel and of the tool.

usage: live.py [ROUNDS]

A ping-pong of requests and replies over loopback (ping_pong.c) is timed with no capture, then with
each tool, in turns. What the tool adds to the ping-pong's own CPU time, and the CPU time of the tool
itself, make its cost for a packet; `tcpdump -w /dev/null` is the measure. Medians of all rounds,
and the spread. Exit status 1: something is over its bar.
"""

import os
import pathlib
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUSTAP = os.environ.get("BUSTAP", str(ROOT / "build/bustap"))
PROGRAMS = pathlib.Path(os.environ.get("BENCH", ROOT / "build/tests/bench"))
PORT = 16379
PACKETS = {64: 200_000, 16_000: 40_000}     # value's bytes: packets with data
ROUNDS = 7
MEASURE = "tcpdump -w /dev/null"
BARS = {"bustap, eBPF": 0.25}
WARM = 0.7                                  # seconds until every tool captures

TCPDUMP = ["tcpdump", "-i", "lo", "-n", "-Z", "root", "-w", "/dev/null"]
WATCH = [BUSTAP, "watch", "-q", "-i", "lo", "-p", str(PORT)]
TOOLS = {
    MEASURE: [*TCPDUMP, "tcp", "port", str(PORT)],
    "tcpdump -s 128": [*TCPDUMP, "-s", "128", "tcp", "port", str(PORT)],
    "dumpcap": ["dumpcap", "-q", "-i", "lo", "-f", f"tcp port {PORT}", "-w", "/dev/null"],
    "bustap, pcap": [*WATCH, "--backend", "pcap"],
    "bustap, eBPF": [*WATCH, "--backend", "ebpf"],
}


def tools_here():
    return {name: command for name, command in TOOLS.items() if shutil.which(command[0])}


def say_missing():
    for name in TOOLS.keys() - tools_here().keys():
        print(f"{name} is skipped: it is not installed")


def ping_pong(value):
    """ns of CPU for each packet."""
    run = subprocess.run([PROGRAMS / "ping_pong", str(PORT), str(PACKETS[value] // 2), str(value)],
                         check=True, capture_output=True, text=True)
    return float(run.stdout)


def with_tool(command, value):
    """(ns of the ping-pong, ns of the tool) for each packet."""
    tool = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(WARM)
    assert tool.poll() is None, f"{command[0]} does not run"
    before = used_by(tool.pid)
    own = ping_pong(value)
    time.sleep(0.1)
    spent = used_by(tool.pid) - before
    tool.send_signal(signal.SIGINT)
    tool.wait()
    return own, spent * 1e9 / PACKETS[value]


def used_by(pid):
    """Seconds of CPU."""
    schedstat = pathlib.Path(f"/proc/{pid}/schedstat").read_text()
    return int(schedstat.split()[0]) / 1e9


def costs(value, rounds):
    """{tool: [ns for each packet that the host spends more, of each round]}"""
    tools = tools_here()
    found = {name: [] for name in tools}
    own = {name: [] for name in tools}
    for _ in range(rounds):
        alone = ping_pong(value)
        for name, command in tools.items():
            busy, spent = with_tool(command, value)
            found[name].append(busy - alone + spent)
            own[name].append(spent)
    return found, own


def main(rounds):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    over = False
    say_missing()
    for value in PACKETS:
        found, own = costs(value, rounds)
        measure = statistics.median(found[MEASURE])
        print(f"values of {value} bytes: ns of CPU for each packet, {rounds} rounds")
        for name, each in found.items():
            ratio = statistics.median(each) / measure
            bar = BARS.get(name)
            over |= bar is not None and ratio > bar
            print(f"  {name:22} {statistics.median(each):6.0f} [{min(each):.0f}..{max(each):.0f}]  "
                  f"of these the tool {statistics.median(own[name]):4.0f}   ratio {ratio:.2f}"
                  + (f" (bar {bar}){' OVER' if ratio > bar else ''}" if bar else ""), flush=True)
    return over


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
