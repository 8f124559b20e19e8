#!/usr/bin/python3
"""What a capture costs those who use a server: requests for each second, and how long they take.

usage: live_throughput.py [ROUNDS]

redis-benchmark asks a redis-server over loopback, with no capture and with each tool in turns; each
run with a tool is compared with the one without right before it. Ratios are medians of all rounds,
with their spread. The row `nothing` compares two runs without any: what lies within its spread is
noise, and no difference that could be told. The first rows of a round change places in the next.
"""

import collections
import contextlib
import csv
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import live

REQUESTS = {1: 80_000, 16: 600_000}         # in a pipeline of so many: requests of a run
ROUNDS = 5
NOTHING = "nothing"
BENCHMARK = ["redis-benchmark", "-p", str(live.PORT), "-c", "50", "-d", "128", "-r", "200000",
             "-t", "get", "--csv"]
SERVER = ["redis-server", "--port", str(live.PORT), "--save", "", "--bind", "127.0.0.1"]

Run = collections.namedtuple("Run", "per_s p99_ms tool_us")     # of the tool: CPU for each request


@contextlib.contextmanager
def server():
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.Popen([*SERVER, "--dir", folder], stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            yield
        finally:
            run.terminate()
            run.wait()


def ask(depth):
    """(requests for each second, p99 in ms)"""
    run = subprocess.run([*BENCHMARK, "-P", str(depth), "-n", str(REQUESTS[depth])], check=True,
                         capture_output=True, text=True)
    (row,) = csv.DictReader(run.stdout.splitlines())
    return float(row["rps"]), float(row["p99_latency_ms"])


def ask_beside(command, depth):
    if not command:
        return Run(*ask(depth), 0.0)
    tool = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(live.WARM)
    assert tool.poll() is None, f"{command[0]} does not run"
    before = live.used_by(tool.pid)
    asked = ask(depth)
    spent = live.used_by(tool.pid) - before
    tool.send_signal(signal.SIGINT)
    tool.wait()
    return Run(*asked, spent * 1e6 / REQUESTS[depth])


def compare(depth, rounds):
    """{tool: [(without, with it)]}"""
    rows = [(NOTHING, None), *live.tools_here().items()]
    found = {name: [] for name, _ in rows}
    for _ in range(rounds):
        for name, command in rows:
            found[name].append((ask_beside(None, depth), ask_beside(command, depth)))
        rows = [*rows[1:], rows[0]]
    return found


def spread(values):
    return f"{statistics.median(values):5.2f} [{min(values):.2f}..{max(values):.2f}]"


def show(name, pairs, noise):
    speed = [beside.per_s / alone.per_s for alone, beside in pairs]
    slow = [beside.p99_ms / alone.p99_ms for alone, beside in pairs]
    own = statistics.median(beside.tool_us for _, beside in pairs)
    within = min(noise) <= statistics.median(speed)
    print(f"  {name:22} requests/s {spread(speed)}  p99 {spread(slow)}  "
          f"the tool itself {own:.3f} us/request{'' if not within else '  within the noise'}", flush=True)


def main(rounds):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not shutil.which("redis-benchmark") or not shutil.which("redis-server"):
        print("redis-benchmark, or redis-server, is not installed: nobody to ask how long it takes")
        return
    live.say_missing()
    for depth in REQUESTS:
        with server():
            ask(depth)                                          # fills caches, and nobody looks
            found = compare(depth, rounds)
        alone = [without for pairs in found.values() for without, _ in pairs]
        print(f"redis-benchmark -P {depth}, as a ratio of no capture, {rounds} rounds; without: "
              f"{statistics.median(run.per_s for run in alone):.0f} requests/s, "
              f"p99 {statistics.median(run.p99_ms for run in alone):.2f} ms")
        noise = [beside.per_s / without.per_s for without, beside in found[NOTHING]]
        for name, pairs in found.items():
            show(name, pairs, noise)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
