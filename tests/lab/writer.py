"""A writer with a diary, where build/tests/lab/load has not been built: as `load diary` does, with
the same options and lines, in Python and with less choice."""

import argparse
import json
import signal
import socket
import time

from .resp import Client, Error


class Writer:
    def __init__(self, options):
        self.options, self.clients, self.owners, self.moved, self.errors = options, {}, {}, 0, {}

    def ask(self, addr, *words):
        try:
            if addr not in self.clients:
                host, _, port = addr.rpartition(":")
                self.clients[addr] = Client(socket.create_connection((host.strip("[]"), port), 1))
            return self.clients[addr].pipeline(words)[0]
        except (OSError, EOFError):
            self.clients.pop(addr, None)
            raise

    def write(self, seq):
        """One line of the diary."""
        key, tag, red = f"{self.options.name}:{seq}:{{{seq % 64}}}", seq % 64, []
        line = {"w": self.options.name, "seq": seq, "key": key, "t0": time.time(), "red": red}
        try:
            for _ in range(5):
                line["node"] = self.owners.get(tag) or self.options.seed[seq % len(self.options.seed)]
                reply = self.ask(line["node"], "SET", key, seq)
                if not str(reply).startswith("MOVED "):
                    break
                self.owners[tag] = reply.split()[2]
                red.append("MOVED")
            refused = isinstance(reply, Error)
            line.update(ok=not refused, err=reply if refused else None)
        except (OSError, EOFError) as error:
            self.owners.pop(tag, None)
            line.update(ok=None, err=f"{type(error).__name__} {error}")
        self.moved += len(red)
        return {**line, "t1": time.time()}

    def run(self):
        acked, seq, end = 0, 0, time.monotonic() + self.options.seconds
        with open(self.options.diary, "w", encoding="utf-8", buffering=1) as diary:
            while time.monotonic() < end:
                seq += 1
                line = self.write(seq)
                acked += line["ok"] is True
                diary.write(json.dumps(line) + "\n")
                time.sleep(1 / self.options.rate)
        return {"requests": seq, "acked": acked, "moved": self.moved}


class Stop(Exception):
    """SIGTERM."""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["diary"])
    parser.add_argument("--seed", action="append", required=True)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--name", default="diary")
    parser.add_argument("--diary", required=True)
    writer = Writer(parser.parse_args())

    def stop(*_):
        writer.options.seconds = 0
        raise Stop
    signal.signal(signal.SIGTERM, stop)
    try:
        print(json.dumps(writer.run()))
    except Stop:
        print(json.dumps({"moved": writer.moved, "stopped": True}))


if __name__ == "__main__":
    main()
