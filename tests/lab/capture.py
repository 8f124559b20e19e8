"""tcpdump at the bridge, on hosts, and on all interfaces of a host.

    take = Capture(net, folder, "n1-any")     # "": the bridge; n1: eth0 of n1; n1-any: -i any there
    take.start()                              # returns when it listens
    take.finish()                             # capture-n1-any.pcap.zst; what it counted

A capture of the bridge has each frame once, and also those that are dropped behind it. The kernel
hands a ring's last block over late, so a capture runs two seconds more than what it is for. It is
an error if the kernel dropped something.
"""

import pathlib
import re
import signal
import time

from .net import BRIDGE, command
from .wait import wait_until

LATE = 2.0                              # seconds
RING = 64 << 10                         # KiB


class Capture:
    def __init__(self, net, folder, vantage=""):
        host, _, is_any = vantage.partition("-")
        self.net, self.vantage, self.host = net, vantage, host or None
        self.device = "any" if is_any else "eth0" if host else BRIDGE
        name = f"capture-{vantage}" if vantage else "capture"
        self.path = pathlib.Path(folder) / f"{name}.pcap"
        self.said = self.path.with_suffix(".tcpdump")

    def start(self):
        with open(self.said, "wb") as said:
            self.process = self.net.popen(self.host, [
                "tcpdump", "-n", "-Z", "root", "-i", self.device, "-B", RING,
                "--time-stamp-precision=nano", "-w", self.path], stderr=said)
        wait_until(lambda: "listening on" in self.said.read_text(),
                   f"tcpdump listens on {self.device}", check=self._check, every=0.01)
        self.began = time.time()

    def _check(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"tcpdump at {self.vantage or 'the bridge'} ended: "
                               + self.said.read_text())

    def finish(self):
        """Call LATE seconds after the last packet that matters."""
        self._check()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        counted = {what: int(re.search(rf"(\d+) packets? {text}", self.said.read_text())[1])
                   for what, text in (("captured", "captured"), ("received", "received by filter"),
                                      ("dropped_by_kernel", "dropped by kernel"))}
        found = {"dev": self.device, "start": self.began, "stop": time.time(), **counted,
                 "bytes": self.path.stat().st_size}
        if counted["dropped_by_kernel"]:
            raise RuntimeError(f"the capture is not complete: {found}")
        command("zstd", "-q", "-f", "-12", "--rm", str(self.path))
        self.said.unlink()
        return found
