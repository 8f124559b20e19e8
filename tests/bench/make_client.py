"""Captures client traffic on the spot: redis-benchmark against a cluster of three, on loopback.

All of it runs in a network and process namespace of its own: nothing is reachable from outside,
and whatever happens to this script, the kernel ends what it started (unshare --kill-child).

    unshare --net --pid --fork --kill-child python3 make_client.py KIND OUT.pcap SIZE
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

TOOLS = ("unshare", "ip", "tcpdump", "redis-server", "redis-cli", "redis-benchmark")
PORTS = (8100, 8101, 8102)
LONGEST = 150  # seconds

# (bytes of a value, commands in a pipeline, requests), again and again until there is enough.
KINDS = {
    "mixed": [(100, 1, 40000), (4096, 16, 20000), (1024, 1, 20000), (512, 16, 60000),
              (4096, 1, 10000), (100, 16, 120000)],
    "small": [(16, 1, 60000), (64, 1, 60000), (128, 1, 60000)],
    "pipelined": [(16, 50, 400000), (64, 50, 400000), (128, 50, 400000)],
}


def missing():
    """Why it cannot be done here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"needs {', '.join(absent)}" if absent else None


def make(kind, target, size):
    """Of "small" at least `size` packets, of the others about `size` bytes."""
    subprocess.run(["unshare", "--net", "--pid", "--fork", "--kill-child", sys.executable,
                    __file__, kind, target, str(size)], check=True, timeout=LONGEST + 30)


# ---- inside the namespace ----

def wait_for(what, tells):
    until = time.monotonic() + 30
    while not tells():
        if time.monotonic() > until:
            sys.exit(f"make_client: {what} does not happen")
        time.sleep(0.1)


def redis_cli(*words):
    return subprocess.run(["redis-cli", "-p", str(PORTS[0]), *words], capture_output=True,
                          text=True, check=False).stdout


def start_cluster(folder):
    for port in PORTS:
        subprocess.Popen(["redis-server", "--port", str(port), "--cluster-enabled", "yes",
                          "--cluster-config-file", f"{port}.conf", "--dir", folder, "--save", "",
                          "--logfile", f"{port}.log"])
    wait_for("the servers' start", lambda: "PONG" in redis_cli("ping"))
    time.sleep(0.5)  # the other two
    redis_cli("--cluster", "create", *(f"127.0.0.1:{port}" for port in PORTS), "--cluster-yes")
    wait_for("the cluster", lambda: "cluster_state:ok" in redis_cli("cluster", "info"))


def start_tcpdump(kind, target, size):
    limit = ["-c", str(size)] if kind == "small" else []
    tcpdump = subprocess.Popen(["tcpdump", "-i", "lo", "-B", "262144", "-w", target, "-Z", "root",
                                *limit], stderr=subprocess.DEVNULL)
    wait_for("the capture", lambda: os.path.exists(target) and os.path.getsize(target) > 0)
    return tcpdump


def run(kind, target, size):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    until = time.monotonic() + LONGEST
    with tempfile.TemporaryDirectory() as folder:
        start_cluster(folder)
        tcpdump = start_tcpdump(kind, target, size)
        turn = 0
        while tcpdump.poll() is None and time.monotonic() < until:
            value, pipeline, requests = KINDS[kind][turn % len(KINDS[kind])]
            subprocess.run(["redis-benchmark", "-p", str(PORTS[0]), "--cluster", "-c", "50",
                            "-r", "200000", "-d", str(value), "-P", str(pipeline),
                            "-n", str(requests), "-t", "set,get", "-q"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            turn += 1
            if kind != "small" and os.path.getsize(target) >= size:
                tcpdump.terminate()
        tcpdump.terminate()
        tcpdump.wait()


if __name__ == "__main__" and len(sys.argv) == 4:
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]))
