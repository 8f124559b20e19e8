"""A server in a scene that carries out one command at a time, and its clients.

    server = Server(scene.Scene(), "p1")
    server.traffic(3)                             # seconds of quick commands of two clients
    server.carry_out("KEYS *", 0.8)               # takes so long; the others wait meanwhile
    found = findings.of(store(server.pcap()))
"""

from lib import resp, scene, wire

STEP = 0.02


class Server:
    def __init__(self, play=None, name="p1", clients=3):
        self.play = play or scene.Scene()
        self.node = self.play.nodes[name]
        self.clients = [self.play.capture.conversation((f"10.0.9.{i + 1}", 5000),
                                                       (self.node.ip, 6379), mss=60000).open()
                        for i in range(clients)]
        self.turn = 0

    def wait(self, seconds):
        """The cluster runs, in ticks; clients do not wait for these."""
        capture = self.play.capture
        end = capture.now + round(seconds * 1e9)
        while wire.START + (self.play.now + scene.TICK) * 1e9 <= end:
            self.play.run(scene.TICK)
        capture.now = max(capture.now, end)
        return self

    def ask(self, client, request):
        self.clients[client].send("client", resp.request(request))

    def answer(self, client, reply="v"):
        self.clients[client].send("server", resp.value(reply))

    def quick(self, client, request="GET a", reply="v"):
        self.ask(client, request)
        self.answer(client, reply)

    def carry_out_big(self, request, seconds, size=1_000_000, sending=0.1):
        """Likewise; but its reply is big: others are answered while it is still being sent."""
        self.ask(0, request)
        self.wait(seconds / 2)
        self.ask(1, "GET a")
        self.wait(seconds / 2)
        big = resp.array("x" * size)
        for at in range(0, len(big), len(big) // 4):
            self.clients[0].send("server", big[at:at + len(big) // 4])
            self.answer(1) if at == 0 else self.quick(1)
            self.wait(sending / 4)
        return self

    def script(self, request, seconds, until_busy=0.3, error=resp.error("ERR killed by user")):
        """A script runs; after a while the server answers BUSY to all that ask."""
        self.ask(0, request)
        self.ask(1, "GET a")
        self.wait(until_busy)
        self.answer(1, resp.error("BUSY Redis is busy running a script."))
        for _ in range(int((seconds - until_busy) / STEP)):
            self.quick(1, reply=resp.error("BUSY Redis is busy running a script."))
            self.wait(STEP)
        self.answer(0, error)
        return self

    def traffic(self, seconds):
        """GETs and SETs, by turns of the clients; the bus goes on beside them."""
        for _ in range(int(seconds / STEP)):
            self.turn += 1
            client = self.turn % (len(self.clients) - 1) + 1
            self.quick(client, *(("GET a", "v") if self.turn % 3 else ("SET a v", resp.OK)))
            self.wait(STEP)
        return self

    def carry_out(self, request, seconds, reply="done", before=()):
        """The first client's request takes long, and the other clients ask in vain meanwhile. What
        is in `before` was asked just before it, and is answered with it."""
        for client, what in before:
            self.ask(client, what)
        self.ask(0, request)
        waiting = [c for c in range(1, len(self.clients)) if c not in dict(before)]
        for client in waiting:
            self.wait(seconds / (len(waiting) + 1))
            self.ask(client, "GET a")
        self.wait(seconds / (len(waiting) + 1))
        for client in [c for c, _ in before]:
            self.answer(client)
        self.answer(0, reply)
        for client in waiting:
            self.answer(client)
        return self

    def stand_still(self, seconds, first="GET a"):
        """The process stops; the first of those who wait had asked for `first`."""
        return self.carry_out(first, seconds, "v")

    def pcap(self):
        return self.play.capture.pcap()
