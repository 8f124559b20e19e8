"""Clients that are sent elsewhere, in a capture without a bus.

    play = Redirected()
    c = play.client("10.1.0.1")
    c.moved("a", 17, "b")                # asks server a for a key of slot 17, and is told: server b
    c.served("b", 17)
    play.wait(2)
    path = store(play.pcap())

Servers are named by a letter: "a" is 10.0.0.1:6379, "b" 10.0.0.2:6379 and so on.
"""

from lib import wire


def address(server):
    return f"10.0.0.{ord(server) - ord('a') + 1}"


class Redirected:
    def __init__(self):
        self.capture = wire.Capture()
        self.wait, self.pcap = self.capture.wait, self.capture.pcap

    def client(self, ip):
        return Client(self.capture, ip)


class Client:
    """One connection to each server that it asks."""

    port = 50000

    def __init__(self, capture, ip):
        self.capture, self.ip, self.talks = capture, ip, {}

    def another(self, server):
        Client.port += 1
        return self.capture.conversation((self.ip, Client.port), (address(server), 6379))

    def talk(self, server):
        if server not in self.talks:
            self.talks[server] = self.another(server).open()
        return self.talks[server]

    def tries(self, server):
        """Another connection, to which nobody answers; it is given up at once."""
        self.another(server).tried()

    def ask(self, server, reply):
        self.talk(server).send("client", b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n").send("server", reply)

    def served(self, server, _slot):
        self.ask(server, b"$1\r\nv\r\n")

    def moved(self, server, slot, target):
        self.ask(server, f"-MOVED {slot} {self.named(target)}\r\n".encode())

    def asked(self, server, slot, target):
        self.ask(server, f"-ASK {slot} {self.named(target)}\r\n".encode())

    @staticmethod
    def named(target):
        return f"{address(target)}:6379" if len(target) == 1 else target
