"""The lab: real clusters in network namespaces, broken on purpose, captured, with the truth kept.

    sudo python3 -m tests.lab list                       what can happen
    sudo python3 -m tests.lab servers                    on what; downloads what is not there yet
    sudo python3 -m tests.lab run healthy --server redis-7.0 --out build/lab/out

A scenario is one function (scenarios/), which is given a Run (run.py): its network (net.py), its
servers (servers.py, cluster.py), what can be broken (faults.py), clients (load.c) and captures
(capture.py). What the servers, the clients and the lab itself say of it becomes truth.json
(truth.py).
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "lab"

# `from lib import …`, as under pytest
if str(ROOT / "tests") not in sys.path:
    sys.path.insert(0, str(ROOT / "tests"))


class Unavailable(Exception):
    """What is needed is not here: no fault of ours, a reason to skip."""
