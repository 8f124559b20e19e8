"""Clients of a scene that are answered by MOVED and ASK, or by whatever else a server says.

    crowd = Crowd(play, "p1", 20, said=["CLIENT SETNAME web"])     # 20 connections to p1
    crowd.asks(8, moved(7, "10.0.0.2:6379"))                       # each asks ten times a second
"""

from lib import resp, scene

HOST = "10.9.0.1"
EACH = 10                                                           # requests a second


def moved(slot, target):
    return resp.error(f"MOVED {slot} {target}")


def ask(slot, target):
    return resp.error(f"ASK {slot} {target}")


class Crowd:
    """Connections of one host to one server, which speak in turn."""

    def __init__(self, play, server, count, said=(), host=HOST, port=40000):
        self.play, self.ports = play, iter(range(port, 65536))
        self.host, self.server, self.said = host, play.nodes[server].ip, said
        self.talks = [self.connect() for _ in range(count)]

    def connect(self):
        talk = resp.Dialogue(self.play.capture, (self.host, next(self.ports)), (self.server, 6379))
        for what in self.said:
            talk.trade(what, resp.OK)
        return talk

    def asks(self, seconds, answer, what="GET k", renew=False):
        """Every connection asks ten times a second; `answer` is what it is told."""
        for _ in range(round(seconds * EACH)):
            self.play.run(1 / EACH)
            if renew:
                self.talks = [self.connect() for _ in self.talks]
            for talk in self.talks:
                talk.trade(what, answer)


def quiet_scene():
    """Three primaries that have been well for a while."""
    play = scene.Scene(replicas=0)
    play.run(2)
    return play
