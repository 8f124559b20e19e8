"""One run of a scenario: what the scenario is given, and what is kept of it.

    run.start(primaries=3, replicas=3)      hosts, captures, servers, a cluster that is well
    run.load("diary", rate=100)             a client, on a host of its own
    run.faults.partition(…)                 faults.py
    run.cluster.wait_until(…)               cluster.py
    run.let_pass(5)                         time in which things take their course
    run.mark("…")                           a note with its time

When the scenario's function has returned, faults are healed, clients end, lost writes are looked
for, the books are closed, and FOLDER has capture*.pcap.zst, truth.json, logs/NODE.log.zst
and diary-HOST.jsonl.
"""

import json
import pathlib
import shutil
import time

from . import ROOT, Unavailable, logs, truth
from .capture import LATE, Capture
from .cluster import CONTROL, Cluster, node_hosts
from .faults import Faults
from .net import Net, command

LOAD = ROOT / "build" / "tests" / "lab" / "load"
FIRST_CLIENT = 200                      # 10.77.2.200 is c0


class Run:
    def __init__(self, scenario, server, folder):
        self.scenario, self.server, self.folder = scenario, server, pathlib.Path(folder)
        self.t0 = time.time()
        self.net, self.cluster, self.faults = None, None, None
        self.captures, self.loads, self.clients = [], {}, {}
        self.injected, self.marks, self.snapshots = [], [], {}

    # ---- for scenarios

    def start(self, primaries=3, replicas=3, captures=("", "n1"), create=True, **more):
        """Makes the cluster; `more` as for Cluster. captures: vantage points (capture.py), or
        "every" for all nodes and the bridge."""
        hosts = node_hosts(primaries + replicas)
        self.net.add(*hosts)
        self.client(CONTROL)
        if captures == "every":
            captures = ("", *(name for name, _ in hosts))
        for vantage in captures:
            self.capture(vantage)
        self.cluster = Cluster(self.net, self.server, self.net.scratch, primaries, replicas, **more)
        self.cluster.checks.append(self._check_loads)
        self.faults.cluster = self.cluster
        self.cluster.start()
        if create:
            self.cluster.create()
            self.mark("cluster created")
        self.snapshots["start"] = truth.snapshots(self.cluster)
        return self.cluster

    def capture(self, vantage):
        self.captures.append(Capture(self.net, self.folder, vantage))
        self.captures[-1].start()

    def client(self, name):
        """A host for clients; its name."""
        if name not in self.clients:
            self.clients[name] = f"10.77.2.{FIRST_CLIENT + len(self.clients)}"
            self.net.add((name, self.clients[name]))
        return name

    def load(self, mode="diary", host=None, seeds=None, **options):
        """Starts build/tests/lab/load on a client host (its own, unless named); the load's name,
        which is the host's and, beyond the first, a number. It ends with the run, or stop_load."""
        host = self.client(host or f"c{len(self.clients)}")
        name = host if host not in self.loads else f"{host}-{len(self.loads)}"
        nodes = [self.cluster[s] for s in seeds] if seeds else self.cluster.primaries
        options = {"seconds": 600, "name": name, **options}
        if mode == "diary":
            options["diary"] = self.folder / f"diary-{name}.jsonl"
        words = [w for node in nodes for w in ("--seed", node.addr)]
        words += [w for key, value in options.items() for w in (f"--{key}", value)]
        with open(self.folder / f"load-{name}.json", "wb") as out:
            process = self.net.popen(host, [LOAD, mode, *words], stdout=out)
        self.loads[name] = {"mode": mode, "host": host, "process": process, "options": options,
                            "started": time.time()}
        return name

    def await_load(self, name, timeout=60):
        """Until a load has done all it was started for."""
        process = self.loads[name]["process"]
        self.cluster.wait_until(lambda: process.poll() is not None, f"load {name} ends", timeout)

    def stop_load(self, name):
        process = self.loads[name]["process"]
        process.terminate()
        if process.wait(30):
            raise RuntimeError(f"load {name} failed with status {process.returncode}")
        self.loads[name].setdefault("ended", time.time())

    def _check_loads(self):
        for name, load in self.loads.items():
            if load["process"].poll():
                raise RuntimeError(f"load {name} failed with status {load['process'].returncode}")

    def mark(self, what, **about):
        self.marks.append({"t": time.time(), "what": what, **about})

    def rest(self, *names):
        """All hosts but these and c0."""
        return {*self.net.hosts} - {*names, CONTROL}

    def all_down(self):
        """Whether all nodes that run say that the cluster is down."""
        return all(node.cluster_info()["cluster_state"] == "fail" for node in self.cluster.running)

    def let_pass(self, seconds):
        """Time that is part of what is tested, watched for servers that die."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.cluster.check()
            time.sleep(min(0.1, max(0, end - time.monotonic())))

    # ---- around scenarios

    def __call__(self, function):
        """Runs a scenario's function; the folder has the result."""
        if not LOAD.exists():
            raise Unavailable(f"{LOAD.relative_to(ROOT)} is not built (make lab-tools)")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        with Net() as self.net:
            self.faults = Faults(self.net, self.injected)
            try:
                function(self)
                self._close()
            finally:
                if self.cluster:
                    self.cluster.close()
                    self._keep_logs()
            self._write()

    def _close(self):
        self.faults.heal_all()
        for name in self.loads:
            self.stop_load(name)
        self.lost = {name: self._verify(name) for name, load in self.loads.items()
                     if load["mode"] == "diary"}
        self.cluster.check()
        self.snapshots["end"] = truth.snapshots(self.cluster, freeze=True)
        time.sleep(LATE)                # the one sleep: a capture's last block comes late
        self.captured = {c.vantage or "all": c.finish() for c in self.captures}

    def _verify(self, name):
        """What of a diary's acknowledged writes is lost. Slots without owner cannot be read: it
        does not wait long for them."""
        load = self.loads[name]
        words = [w for node in self.cluster.running for w in ("--seed", node.addr)]
        said = self.net.run(CONTROL, LOAD, "verify", *words, "--seconds", 15, "--name",
                            f"verify-{name}", "--diary", load["options"]["diary"])
        lines = [json.loads(line) for line in said.splitlines()]
        return {"writes": [line for line in lines if "verdict" in line],
                **next(line["verify"] for line in lines if "verify" in line)}

    def _lost_writes(self):
        """Of all diaries; nothing if there is none."""
        if not self.lost:
            return {}
        lost = [told["write"] for found in self.lost.values() for told in found["writes"]
                if told["verdict"] == "lost"]
        return {"lost_writes": {"lost_count": len(lost), "lost": lost, "by_load": {
            name: {k: v for k, v in found.items() if k != "writes"}
            for name, found in self.lost.items()}}}

    def _keep_logs(self):
        folder = self.folder / "logs"
        folder.mkdir(exist_ok=True)
        for node in self.cluster.nodes:
            if node.log.exists():
                command("zstd", "-q", str(node.log), "-o", str(folder / f"{node.name}.log.zst"))

    def _logged(self):
        """What the servers logged, as events in the order of time (logs.py)."""
        events = [event for node in self.cluster.nodes
                  for event in logs.parse(node.log.read_text(errors="replace"), node.name)]
        return sorted(events, key=lambda event: event["time"])

    def _write(self):
        loads = {name: {"mode": load["mode"], "host": load["host"], "started": load["started"],
                        "ended": load["ended"], "said": self._said(name)}
                 for name, load in self.loads.items()}
        told = {
            "scenario": self.scenario, "server": self.server.name, "t0": self.t0, "t1": time.time(),
            "topology": truth.topology(self.cluster, self.clients), "captures": self.captured,
            "config": self.cluster.config,
            "marks": self.marks, "injected": self.injected, "loads": loads,
            **self._lost_writes(), "snapshots": self.snapshots, "logged": self._logged(),
        }
        (self.folder / "truth.json").write_text(json.dumps(told, indent=1, default=str) + "\n")

    def _said(self, name):
        lines = (self.folder / f"load-{name}.json").read_text().splitlines()
        return json.loads(lines[-1]) if lines else None
