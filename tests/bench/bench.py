#!/usr/bin/python3
"""What `bustap analyze` costs: CPU time and memory, on long captures.  usage: bench.py [ROW...]

CPU time (user and system, one core) is measured against another program that runs in turn with it
on the same file: A B A B ... The ratio of each pair is taken, and of all ratios the median. A
libpcap loop that does nothing is the measure for a capture, `zstd -dc` for a compressed one; tshark
for a short one; for what the model and the detectors add (rows model and pipelined), decoding alone.

The captures are made once, into build/bench/, from pcaps/ and by a redis-benchmark of our own
(make_*.py; about 4 GB). Exit status 1: something is over its bar.
"""

import collections
import datetime
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True
import make_bus  # noqa: E402
import make_client  # noqa: E402
import make_flood  # noqa: E402
import make_text as make_text_module  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUSTAP = os.environ.get("BUSTAP", str(ROOT / "build/bustap"))
PROGRAMS = pathlib.Path(os.environ.get("BENCH", ROOT / "build/tests/bench"))
CAPTURES = PROGRAMS.parents[1] / "bench"
HEALTHY = ROOT / "pcaps/healthy-redis-7.0.15.pcap.zst"

MB = 10**6
ROUNDS = 15
BAR = 0.6          # of a libpcap loop that does nothing: the bus
BAR_CLIENT = 1.0   # likewise: client traffic, decoded
BAR_ZSTD = 1.2     # of zstd -dc
BAR_MODEL = 1.3    # of decoding alone
BAR_TSHARK = 0.01  # of tshark -Y resp
BAR_PEAK = 32.0    # MB
BAR_PEAK_CLIENT = 64.0
CONNECTIONS = 1_000_000
SLICE = 200_000  # packets
PEAK_NOISE = 0.5  # MB by which two runs on the same file differ

# ---- the captures: how each is made, from what ----


def make_bus_of(size, copies):
    return lambda target: make_bus.make(HEALTHY, target, size, copies)


def make_client_of(kind, size):
    return lambda target: make_client.make(kind, target, size)


def make_zstd_of(name):
    return lambda target: subprocess.run(["zstd", "-3", "-q", "-f", capture(name), "-o", target],
                                         check=True)


def make_text(target):
    make_text_module.make(capture("client-mixed"), target, 250 * MB)


def make_slice(target):
    """The beginning, which tshark can read in a minute."""
    with open(capture("client-small"), "rb") as old, open(target, "wb") as new:
        new.write(old.read(24))
        for _ in range(SLICE):
            head = old.read(16)
            new.write(head + old.read(int.from_bytes(head[8:12], "little")))


Capture = collections.namedtuple("Capture", "what file make sources missing")
ALWAYS = lambda: None  # noqa: E731
CAPTURE = {
    "bus": Capture("bus of 6 nodes, 30 links", "bus.pcap", make_bus_of(600 * MB, 1),
                   (make_bus.__file__, HEALTHY), ALWAYS),
    "bus-short": Capture("the same, a quarter of it", "bus-short.pcap", make_bus_of(150 * MB, 1),
                         (make_bus.__file__, HEALTHY), ALWAYS),
    "bus-zstd": Capture("that, compressed", "bus-short.pcap.zst", make_zstd_of("bus-short"),
                        (make_bus.__file__, HEALTHY), ALWAYS),
    "bus-large": Capture("bus of 42 nodes, 1470 links", "bus-large.pcap",
                         make_bus_of(600 * MB, 7), (make_bus.__file__, HEALTHY), ALWAYS),
    "client-mixed": Capture("clients, values of 100 to 4096 bytes", "client-mixed.pcap",
                            make_client_of("mixed", 1000 * MB), (make_client.__file__,),
                            make_client.missing),
    "client-small": Capture("clients, small packets", "client-small.pcap",
                            make_client_of("small", 2_100_000), (make_client.__file__,),
                            make_client.missing),
    "client-pipelined": Capture("clients, small requests, 50 in a pipeline", "client-pipelined.pcap",
                                make_client_of("pipelined", 500 * MB), (make_client.__file__,),
                                make_client.missing),
    "client-text": Capture("the mixed one with values as text", "client-text.pcap", make_text,
                           (make_client.__file__, make_text_module.__file__), make_client.missing),
    "client-zstd": Capture("that, compressed", "client-text.pcap.zst", make_zstd_of("client-text"),
                           (make_client.__file__, make_text_module.__file__), make_client.missing),
    "client-slice": Capture("beginning of the small packets", "client-slice.pcap", make_slice,
                            (make_client.__file__,), make_client.missing),
    "flood": Capture("a million connections, clients and keys", "flood.pcap",
                     lambda target: make_flood.make(target, CONNECTIONS), (make_flood.__file__,),
                     ALWAYS),
}


def capture(name):
    """The capture's path; it is made if it is not there, or older than what it is made from."""
    c = CAPTURE[name]
    path = CAPTURES / c.file
    made = path.stat().st_mtime if path.exists() else 0
    if made < max(os.stat(source).st_mtime for source in c.sources):
        CAPTURES.mkdir(parents=True, exist_ok=True)
        print(f"  making {path.name}: {c.what}", file=sys.stderr, flush=True)
        part = path.with_name("part-" + path.name)
        c.make(str(part))
        part.replace(path)
    return str(path)


# ---- measuring ----

Cost = collections.namedtuple("Cost", "cpu_us peak_mb")


def cost(*command):
    run = subprocess.run([str(PROGRAMS / "cost"), *command], stdout=subprocess.PIPE, text=True,
                         check=False)
    if run.returncode > 1:  # 1: bustap has found something
        sys.exit(f"bench: status {run.returncode} of: {' '.join(command)}")
    cpu_us, peak_kb = run.stdout.split()
    return Cost(int(cpu_us), int(peak_kb) / 1000)


def read_through(path):
    with open(path, "rb", buffering=0) as file:
        block = bytearray(1 << 20)
        while file.readinto(block):
            pass


def read_anew(path):
    """Into the page cache from the disk, in large pieces: pages that came back one by one after
    an eviction double the cost of read(), which only the one of the two programs notices."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    read_through(path)


Pairs = collections.namedtuple("Pairs", "ours theirs ratios peak_mb")


def compare(paths, ours, theirs):
    pairs = []
    for path in paths:
        read_anew(path)
    for _ in range(ROUNDS + 1):
        for path in paths:
            read_through(path)
        pairs.append((cost(*ours, *paths), cost(*theirs, *paths)))
    pairs = pairs[1:]  # the first one warmed up
    return Pairs(statistics.median(a.cpu_us for a, _ in pairs),
                 statistics.median(b.cpu_us for _, b in pairs),
                 sorted(a.cpu_us / b.cpu_us for a, b in pairs),
                 max(a.peak_mb for a, _ in pairs))


# ---- the table ----

COLUMNS = "{:<13} {:>9} {:>5} {:>10} {:>9}   {:>5} {:>6} {:>5} {:>5}  {:>7}  {}"


def packets_of(path):
    report = subprocess.run([BUSTAP, "analyze", "--json", path], stdout=subprocess.PIPE,
                            check=False).stdout
    return json.loads(report)["capture"]["packets"]


def speed_row(name):
    """True if it is within the bar."""
    why_not = CAPTURE[name].missing()
    if why_not and not (CAPTURES / CAPTURE[name].file).exists():
        print(f"{name:<13} skipped: {why_not}")
        return True
    path = capture(name)
    zstd = path.endswith(".zst")
    client = name.startswith("client")
    bar = BAR_ZSTD if zstd else BAR_CLIENT if client else BAR
    other = ["zstd", "-dcq"] if zstd else [str(PROGRAMS / "null_loop")]
    pairs = compare([path], [BUSTAP, "analyze"], other)
    median = statistics.median(pairs.ratios)
    ok = median <= bar and pairs.peak_mb <= (BAR_PEAK_CLIENT if client else BAR_PEAK)
    print(COLUMNS.format(
        name, packets_of(path), round(os.path.getsize(path) / MB), round(pairs.theirs / 1000),
        round(pairs.ours / 1000), *(f"{r:.2f}" for r in (pairs.ratios[0], median,
                                                        pairs.ratios[-1], bar)),
        f"{pairs.peak_mb:.1f}", "ok" if ok else "OVER"), flush=True)
    return ok


def requests_of(path):
    """How many requests a second it has."""
    report = json.loads(subprocess.run([BUSTAP, "analyze", "--json", path], stdout=subprocess.PIPE,
                                       check=False).stdout)
    first, last = (datetime.datetime.fromisoformat(report["capture"][end][:26])
                   for end in ("first", "last"))
    requests = sum(server["requests"] for server in report["clients"]["servers"])
    return requests / (last - first).total_seconds()


# 42 nodes' bus and 8000 commands a second, two minutes of both; some 500 000 commands a second.
MODEL = {"model": ("bus-large", "client-small"), "pipelined": ("client-pipelined",)}


def model_row(name):
    """What the model and the detectors add to decoding."""
    client = MODEL[name][-1]
    why_not = CAPTURE[client].missing()
    if why_not and not (CAPTURES / CAPTURE[client].file).exists():
        print(f"{name:<13} skipped: {why_not}")
        return True
    paths = [capture(one) for one in MODEL[name]]
    pairs = compare(paths, [BUSTAP, "analyze"], [str(PROGRAMS / "decode_only")])
    median = statistics.median(pairs.ratios)
    ok = median <= BAR_MODEL and pairs.peak_mb <= BAR_PEAK_CLIENT
    print(f"{name:<13} {requests_of(paths[-1]):.0f} requests/s: analysis {pairs.ours / 1000:.0f} ms, "
          f"decoding alone {pairs.theirs / 1000:.0f} ms: {pairs.ratios[0]:.2f} {median:.2f} "
          f"{pairs.ratios[-1]:.2f} (at most {BAR_MODEL}), peak {pairs.peak_mb:.1f} MB   "
          f"{'ok' if ok else 'OVER'}", flush=True)
    return ok


def memory_row(name):
    """Four times the length, the same memory."""
    short, long = (statistics.median(cost(BUSTAP, "analyze", capture(c)).peak_mb
                                     for _ in range(ROUNDS)) for c in ("bus-short", "bus"))
    ok = long <= BAR_PEAK and long - short <= PEAK_NOISE
    print(f"{name:<13} peak of a file and of one 4 times as long: {short:.1f} and {long:.1f} MB"
          f" (at most {BAR_PEAK:.0f}, and the same)   {'ok' if ok else 'OVER'}", flush=True)
    return ok


def flood_row(name):
    """Tables full of connections that never end."""
    peak = cost(BUSTAP, "analyze", capture("flood")).peak_mb
    ok = peak <= BAR_PEAK_CLIENT
    print(f"{name:<13} peak of {CONNECTIONS} connections and keys: {peak:.1f} MB"
          f" (at most {BAR_PEAK_CLIENT:.0f})   {'ok' if ok else 'OVER'}", flush=True)
    return ok


def tshark_row(name):
    """Against the only other program that reads RESP streams."""
    why_not = None if shutil.which("tshark") else "needs tshark"
    why_not = why_not or CAPTURE["client-slice"].missing()
    if why_not:
        print(f"{name:<13} skipped: {why_not}")
        return True
    path = capture("client-slice")
    ours = statistics.median(cost(BUSTAP, "analyze", path).cpu_us for _ in range(ROUNDS))
    ports = [f"tcp.port=={port},resp" for port in make_client.PORTS]
    theirs = cost("tshark", *[w for p in ports for w in ("-d", p)], "-Y", "resp", "-r", path).cpu_us
    ok = ours / theirs <= BAR_TSHARK
    print(f"{name:<13} {ours / 1000:.0f} ms, tshark -Y resp {theirs / 1000:.0f} ms: "
          f"{theirs / ours:.0f} times less (at least {1 / BAR_TSHARK:.0f})   "
          f"{'ok' if ok else 'OVER'}", flush=True)
    return ok


ROWS = {"bus": speed_row, "bus-large": speed_row, "client-mixed": speed_row,
        "client-small": speed_row, "client-text": speed_row, "bus-zstd": speed_row,
        "client-zstd": speed_row, "model": model_row, "pipelined": model_row, "memory": memory_row,
        "flood": flood_row, "tshark": tshark_row}


def load():
    return ", ".join(f"{x:.2f}" for x in os.getloadavg())


def main(names):
    if unknown := set(names) - set(ROWS):
        sys.exit(f"bench: no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    print("Any other load on this machine makes these figures worthless. "
          f"Load average before: {load()}.")
    print(f"Median of {ROUNDS} pairs; ms of CPU; ratio to the other: null_loop (libpcap), for "
          "the compressed ones `zstd -dc`.")
    print(COLUMNS.format("capture", "packets", "MB", "other ms", "bustap ms", "min", "median",
                         "max", "bar", "peak MB", ""), flush=True)
    over = [name for name in names or ROWS if not ROWS[name](name)]
    print(f"Load average after: {load()}.")
    if over:
        print("Over the bar: " + ", ".join(over) + ". One row alone: make -s all && "
              f"tests/bench/bench.py {over[0]}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
