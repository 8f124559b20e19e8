"""Keys that move from one server to another by MIGRATE, in a capture without a bus.

    play = Migrating()                           # an operator, source 10.0.0.1, target 10.0.0.2
    play.open_slot(7)                            # SETSLOT on both
    play.migrate("a{7}", "b{7}")                 # the operator asks the source
    play.restore("a{7}", "b{7}")                 # which sends the keys; two requests in one go
    play.restored(OK, OK)                        # the target answers
    play.migrated(OK)                            # and the source
    play.give(7)
    path = store(play.pcap())

What stands between `migrate` and `migrated` is a call in which all can go wrong. `reconnect` gives
the source another connection to the target, as it makes one after a timeout.
"""

from lib import resp, wire

OK = resp.simple("OK")
BUSY = resp.error("BUSYKEY Target key name already exists.")
TIMEOUT = resp.error("IOERR error or timeout reading to target instance")
NO_CONNECTION = resp.error("IOERR error or timeout connecting to the client")
SOURCE, TARGET, OPERATOR = ("10.0.0.1", 6379), ("10.0.0.2", 6379), "10.0.9.9"
SOURCE_TEXT, TARGET_TEXT = ("%s:%d" % end for end in (SOURCE, TARGET))


def refused(why):
    return resp.error("ERR Target instance replied with error: " + why)


class Migrating:
    def __init__(self, target=TARGET, hidden=()):
        """`hidden` names what is not in the capture: "calls", "keys"."""
        self.capture, self.elsewhere, self.hidden = wire.Capture(), wire.Capture(), hidden
        self.wait, self.pcap, self.target, self.port = self.capture.wait, self.capture.pcap, target, 40000
        self.operators = {end: self.dialogue((OPERATOR, 50000 + n), end, "calls")
                          for n, end in enumerate((SOURCE, target))}
        self.keys = None

    def dialogue(self, client, server, what):
        capture = self.elsewhere if what in self.hidden else self.capture
        return resp.Dialogue(capture, client, server)

    # ---- the operator

    def setslot(self, server, slot, *words):
        self.operators[server].trade(["CLUSTER", "SETSLOT", str(slot), *words], OK)

    def open_slot(self, slot, ids=("2" * 40, "1" * 40)):
        self.setslot(self.target, slot, "IMPORTING", ids[1])
        self.setslot(SOURCE, slot, "MIGRATING", ids[0])

    def give(self, slot, to="2" * 40):
        self.setslot(self.target, slot, "NODE", to)
        self.setslot(SOURCE, slot, "NODE", to)

    def close_slot(self, slot):
        self.setslot(SOURCE, slot, "STABLE")
        self.setslot(self.target, slot, "STABLE")

    def migrate(self, *keys, options=()):
        self.operators[SOURCE].ask(["MIGRATE", self.target[0], str(self.target[1]), "", "0", "20",
                                    *options, "KEYS", *keys])

    def migrated(self, reply):
        self.operators[SOURCE].answer(reply)

    # ---- the source and the target

    def reconnect(self):
        self.port += 1
        self.keys = self.dialogue((SOURCE[0], self.port), self.target, "keys")
        return self.keys

    def request(self, key, size=50, options=()):
        return resp.request(["RESTORE-ASKING", key, "0", "x" * size, *options])

    def restore(self, *keys, size=50, options=(), ack=True):
        link = (self.keys or self.reconnect()).link
        link.send("client", b"".join(self.request(k, size, options) for k in keys), ack=ack)

    def restored(self, *replies):
        self.keys.answer(*replies)

    def move(self, *keys, **more):
        """All goes well."""
        self.migrate(*keys)
        self.restore(*keys, **more)
        self.restored(*[OK] * len(keys))
        self.migrated(OK)
