"""The captures of real clusters and the truth beside them.

pcaps/NAME.pcap.zst is a run's bridge, NAME-n1 and NAME-n1-any the same run as node n1 saw it, and
NAME.truth.json what the servers said of it. BUSTAP_CAPTURES=DIR adds DIR/NAME/capture.pcap.zst,
capture-n1.pcap.zst, … and DIR/NAME/truth.json, where pcaps/ has no NAME.
"""

import json
import os
import pathlib
import re
import subprocess

from lib import bustap

VANTAGE = re.compile(r"^(?P<run>.+?)(?P<vantage>-n\d+(?:-any)?)?$")


class Take:
    """One capture file of a run."""

    def __init__(self, run, vantage, path, truth_path):
        self.run, self.vantage, self.path, self.truth_path = run, vantage, path, truth_path
        self.name = f"{run}-{vantage}" if vantage else run

    @property
    def truth(self):
        if not hasattr(self, "_truth"):
            self._truth = json.loads(self.truth_path.read_text())
        return self._truth

    @property
    def nodes(self):
        """The nodes whose books this capture must balance: all, or the one where it was taken."""
        nodes = self.truth["topology"]["nodes"]
        return [n for n in nodes if not self.vantage or n["name"] == self.vantage.split("-")[0]]

    def snapshot(self, node, which="end"):
        return self.truth["snapshots"][which][node["name"]]

    def raw(self):
        """The file without its compression."""
        if self.path.suffix != ".zst":
            return self.path.read_bytes()
        return subprocess.run(["zstd", "-dcq", str(self.path)], check=True,
                              capture_output=True).stdout


def in_folder(folder):
    """The takes of one run that has a folder of its own."""
    for path in sorted(folder.glob("capture*.pcap.zst")):
        vantage = path.name[len("capture-"):-len(".pcap.zst")]
        yield Take(folder.name, vantage, path, folder / "truth.json")


def _find():
    folder = bustap.ROOT / "pcaps"
    for path in sorted(folder.glob("*.pcap.zst")):
        match = VANTAGE.match(path.name[:-len(".pcap.zst")])
        truth = folder / f"{match['run']}.truth.json"
        if truth.exists():
            yield Take(match["run"], (match["vantage"] or "")[1:], path, truth)
    outside = os.environ.get("BUSTAP_CAPTURES")
    for truth in sorted(pathlib.Path(outside).glob("*/truth.json")) if outside else []:
        if not (folder / f"{truth.parent.name}.truth.json").exists():
            yield from in_folder(truth.parent)


TAKES = list(_find())


def take(run, vantage=""):
    for t in TAKES:
        if (t.run, t.vantage) == (run, vantage):
            return t
    return None


# Runs in which nothing was broken and no role changed by hand: what may be found of them is no more
# than a notice.
CALM_SCENARIOS = {"healthy", "reshard", "every_client", "atomic_migration", "stale_clients", "ipv6",
                  "names_and_ports", "clock_ahead"}
CALM = [t for t in TAKES if t.truth["scenario"] in CALM_SCENARIOS]
