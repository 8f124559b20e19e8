"""A primary and its replica, in a scene (scene.py) or without a bus.

    pair = Following(Scene())       # r1 follows p1; or another one: replica="r4"
    pair.connect()                  # a full resync, and the first ACK
    pair.write(5000)                # the primary's stream grows; its headers say so
    pair.send()                     # what was written goes down the link
    pair.ack()                      # the replica has carried out what was sent
    pair.close("server")            # or "client"; reset=True
    pair.connect(asked=pair.done + 1)

`offset` is the primary's, `sent` that of the link, `done` the replica's. `passes` lets time go by.
"""

from lib import resp, wire

HISTORY, OTHER_HISTORY = "a" * 40, "b" * 40
PAYLOAD = 1000


class Alone:
    """Stands for a scene: two hosts, no bus."""

    def __init__(self):
        self.capture = wire.Capture()
        self.nodes = {name: wire.Node(n, ip=f"10.0.0.{n}") for n, name in ((1, "p1"), (2, "r1"))}

    def step(self):
        pass

    def run(self, seconds):
        self.capture.wait(seconds)

    def set(self, *_names, **_fields):
        pass


def command_of(size):
    """A command of the stream of exactly so many bytes."""
    for value in range(max(0, size - 60), size):
        if len(data := resp.command("SET", "k", "v" * value)) == size:
            return data
    raise ValueError(f"no SET has {size} bytes")


class Following:
    ports = 52000

    def __init__(self, play=None, replica="r1"):
        self.play, self.replica = play or Alone(), replica
        self.offset = self.sent = self.done = 1000
        self.history, self.talk = HISTORY, None

    def passes(self, seconds):
        self.play.run(seconds)
        return self

    def connect(self, asked=None, payload=PAYLOAD, online=True, lasts=0.0, listens=6379):
        """The replica asks for byte `asked`, of all if None, and is given all."""
        Following.ports += 1
        ends = [self.play.nodes[name].ip for name in (self.replica, "p1")]
        self.play.step()
        self.talk = resp.Dialogue(self.play.capture, (ends[0], Following.ports), (ends[1], 6379))
        self.talk.trade(f"REPLCONF listening-port {listens}", resp.OK)
        self.talk.trade(f"PSYNC {HISTORY if asked else '?'} {asked or -1}",
                        resp.simple(f"FULLRESYNC {self.history} {self.offset}"))
        self.sent = self.offset
        self.talk.answer(b"$%d\r\n" % payload + b"R" * (payload // 2))
        self.passes(lasts)
        if online:
            self.play.step()
            self.talk.answer(b"R" * (payload - payload // 2))
            self.ack(self.sent)
        return self

    def go_on(self):
        """A partial resync: where the replica was."""
        Following.ports += 1
        ends = [self.play.nodes[name].ip for name in (self.replica, "p1")]
        self.play.step()
        self.talk = resp.Dialogue(self.play.capture, (ends[0], Following.ports), (ends[1], 6379))
        self.talk.trade("REPLCONF listening-port 6379", resp.OK)
        self.talk.trade(f"PSYNC {HISTORY} {self.done + 1}", resp.simple("CONTINUE"))
        self.sent = self.done
        return self

    def write(self, size):
        self.offset += size
        self.play.set("p1", offset=self.offset)
        return self

    def send(self):
        self.play.step()
        if self.sent < self.offset:
            self.talk.answer(command_of(self.offset - self.sent))
        self.sent = self.offset
        return self

    def ack(self, done=None):
        self.play.step()
        self.done = self.sent if done is None else done
        self.play.set(self.replica, offset=self.done)
        self.talk.ask(f"REPLCONF ACK {self.done}")
        return self

    def close(self, by, reset=False):
        self.play.step()
        if reset:
            self.talk.link.segment(by, flags=wire.RST | wire.ACK)
        else:
            self.talk.close(by)
        return self
