"""A made-up cluster that lives through a script and leaves a capture, as the bridge sees it.

    scene = Scene(primaries=3, replicas=1)        # p1 p2 p3, each with a replica r1 r2 r3
    scene.run(5)                                  # five seconds of pings and pongs, everyone well
    scene.stall("p1")                             # its process stops, its kernel goes on
    scene.run(8)                                  # the others suspect it, mark it failed, say so
    scene.elect("r1")                             # asks for votes, gets them, takes over
    scene.wake("p1")
    scene.run(5)
    path = store(scene.pcap())

What happens by itself is what the servers' clusterCron() does, simplified: each ordered pair has a
link of its own and one ping a second on it; a ping unanswered for NT/2 has the link closed and
opened anew; after NT its sender gossips PFAIL; once most primaries do, the first of them sends FAIL
to all. Elections, claims and clients are done by the script. Times are exact, nothing is random.

`cut(a, b)` loses what a sends to b behind the place of the capture: the packets are there, the
answers are not. `dead(x)` is a host that is gone. Both ways of `cut` make a partition.
"""

from lib import wire

TICK = 0.1                                                          # clusterCron, seconds
WIRE = 100_000                                                      # one way, nanoseconds
PING_EVERY = 1.0
RETRANSMIT = (0.2, 0.6, 1.4, 3.0)                                   # after the first try
SYN_AGAIN = (1.0, 3.0, 7.0)


class Link:
    """What `a` opened to `b`: the connection, and the ping that waits on it."""

    def __init__(self, scene, a, b, port):
        self.scene, self.a, self.b, self.port = scene, a, b, port
        self.opened = self.pinged = None                            # seconds; None: not
        self.last_ping = -PING_EVERY * (port % 10) / 10             # spread over the second
        self.unacked, self.next_try = [], 0                         # segments to repeat
        self.talk = None
        self.open()

    def open(self):
        self.port += 1000
        self.talk = self.scene.capture.link(self.scene.nodes[self.a], self.scene.nodes[self.b],
                                            port=self.port)
        self.scene.step()
        self.talk.segment("client", flags=wire.SYN)
        self.opened, self.unacked, self.next_try = None, [], 0
        self.asked = self.scene.now
        if not self.scene.arrives(self.a, self.b) or self.scene.blocked.get(self.b) is False or \
                (self.a, self.b) in self.scene.shut:
            return
        if self.b in self.scene.refusing or self.b in self.scene.blocked:
            self.talk.segment("server", flags=wire.RST | wire.ACK, seq=0)
            return
        self.talk.next["client"] += 1
        self.talk.acked["server"] = self.talk.next["client"]
        self.talk.segment("server", flags=wire.SYN | wire.ACK)
        self.talk.next["server"] += 1
        if self.scene.arrives(self.b, self.a):
            self.talk.acked["client"] = self.talk.next["server"]
            self.talk.segment("client")
            self.opened = self.scene.now

    def close(self):
        if self.opened is not None:
            self.talk.segment("client", flags=wire.FIN | wire.ACK)
            self.talk.next["client"] += 1
            if self.scene.arrives(self.a, self.b):
                self.talk.ack("server")
        self.opened = None

    def send(self, side, data):
        """True if it arrived. What does not is sent again, by TCP's clock."""
        source, target = (self.a, self.b) if side == "client" else (self.b, self.a)
        self.scene.step()
        seq = self.talk.next[side]
        self.talk.send(side, data, ack=False)
        if self.scene.arrives(source, target) and self.scene.lets_in(self.a, self.b):
            self.talk.ack(self.talk.other(side))
            return True
        self.next_try = self.next_try if self.unacked else 0
        self.unacked.append((self.scene.now, side, seq, data))
        return False

    def repeat(self):
        """Retransmits what waits, and SYNs, when their time has come."""
        times = RETRANSMIT if self.opened is not None else SYN_AGAIN
        first = self.unacked[0][0] if self.unacked else self.asked
        if self.next_try < len(times) and self.scene.now >= first + times[self.next_try]:
            self.next_try += 1
            if self.opened is None:
                self.talk.segment("client", flags=wire.SYN, seq=self.talk.next["client"])
            for _, side, seq, data in self.unacked[:1]:
                self.talk.segment(side, data[:self.talk.mss], seq=seq)
                self.arrive_late(side)

    def arrive_late(self, side):
        """What waited is there, if its way is free again."""
        source, target = (self.a, self.b) if side == "client" else (self.b, self.a)
        if self.scene.arrives(source, target) and self.scene.lets_in(self.a, self.b):
            sent = [(seq + at, data[at:at + self.talk.mss]) for _, _, seq, data in self.unacked
                    for at in range(0, len(data), self.talk.mss)]
            for seq, piece in sent[1:]:
                self.talk.segment(side, piece, seq=seq)
            self.talk.ack(self.talk.other(side))
            self.unacked, self.next_try = [], 0
            if side == "server":
                self.pinged = None


class Bridge(wire.Capture):
    """Sees all packets, and notes those that go no further."""

    def __init__(self, scene):
        super().__init__(step=WIRE)
        self.scene, self.lost = scene, set()

    def add(self, packet):
        names = {wire.ipaddress.ip_address(n.ip).packed: name
                 for name, n in self.scene.nodes.items()}
        source, target = names.get(packet[12:16]), names.get(packet[16:20])
        if source and target and not self.scene.arrives(source, target):
            self.lost.add(len(self.packets))
        super().add(packet)


class Scene:
    def __init__(self, primaries=3, replicas=1, nt=3.0, epoch=None):
        self.capture = Bridge(self)
        self.nt = nt
        self.now = 0.0                                              # seconds since the start
        self.nodes = {}
        self.views = {}                                             # [observer][subject]: flags
        self.heard = {}                                             # [observer][reporter]: subjects
        self.silent, self.refusing, self.gone, self.cuts = set(), set(), set(), set()
        self.blocked = {}                                           # [name]: refused, not dropped
        self.shut = set()                                           # (a, b): a does not get in at b
        self.clocks = {}                                            # seconds ahead of the capture
        self.hostnames = {}                                         # [name]: what it announces
        self.discreet = False                                       # nobody is told of itself
        self.unpicked = set()                                       # gossiped about if suspected
        for i in range(primaries):
            first, last = 16384 * i // primaries, 16384 * (i + 1) // primaries - 1
            self.add(f"p{i + 1}", slots=[(first, last)], epoch=i + 1)
        for i in range(primaries * replicas):
            self.add(f"r{i + 1}", replica_of=self.nodes[f"p{i % primaries + 1}"],
                     epoch=i % primaries + 1)
        self.epoch = epoch or primaries
        for node in self.nodes.values():
            node.fields["current_epoch"] = self.epoch
            if node.fields["replica_of"]:
                of = next(n for n in self.nodes.values() if n.id == node.fields["replica_of"])
                node.fields["slots"] = of.fields["slots"]
        names = list(self.nodes)
        self.links = {(a, b): Link(self, a, b, 30000 + 40 * i + j)
                      for i, a in enumerate(names) for j, b in enumerate(names) if a != b}

    def add(self, name, **fields):
        number = len(self.nodes) + 1
        self.nodes[name] = wire.Node(number, ip=f"10.0.0.{number}", **fields)
        self.views[name], self.heard[name] = {}, {}

    # ------------------------------------------------------------------------------- the script

    def stall(self, *names):
        self.silent |= set(names)

    def wake(self, *names):
        self.silent -= set(names)

    def dead(self, *names):
        """The hosts are gone: nothing of them and nothing to them."""
        self.gone |= set(names)

    def block(self, name, refuse=False):
        """Nobody gets in at its bus port, and connections to it are dead; its own ones go on."""
        self.blocked[name] = refuse
        for (_, b), link in self.links.items():
            if b == name and refuse and link.opened is not None:
                link.talk.segment("server", flags=wire.RST | wire.ACK)
                link.opened = None

    def kill(self, *names):
        """The processes are gone, their kernels close and refuse."""
        for name in names:
            self.silent.add(name)
            self.refusing.add(name)
            for (a, b), link in self.links.items():
                if name in (a, b) and link.opened is not None:
                    link.talk.segment("client" if a == name else "server",
                                      flags=wire.RST | wire.ACK)
                    link.opened = None

    def back(self, *names):
        self.gone -= set(names)
        self.refusing -= set(names)
        self.wake(*names)

    def restart(self, name, loading):
        """At once; for so many seconds its new process answers nobody."""
        self.kill(name)
        self.back(name)
        self.stall(name)
        self.run(loading)
        self.wake(name)

    def cut(self, a, b):
        """What `a` sends does not reach `b`; a name or several, separated by blanks."""
        self.cuts |= {(x, y) for x in a.split() for y in b.split()}

    def split(self, a, b):
        self.cut(a, b)
        self.cut(b, a)

    def heal(self):
        self.cuts.clear()

    def run(self, seconds):
        end = self.now + seconds
        while self.now < end - TICK / 2:
            self.now += TICK
            self.capture.now = wire.START + round(self.now * 1e9)
            self.tick()

    def tell(self, sender, message, to=None):
        """A message of `sender` on its own links, to one node or to all: those it reached."""
        others = [to] if to else [name for name in self.nodes if name != sender]
        return [b for b in others if self.links[sender, b].opened is not None
                and self.links[sender, b].send("client", message)]

    def fail(self, reporter, subject):
        """FAIL to all: those it reaches hold the subject for failed."""
        reached = self.tell(reporter, wire.fail(self.nodes[reporter], self.nodes[subject]))
        for name in [reporter, *reached]:
            self.views[name][subject] = wire.FAIL

    def elect(self, candidate, voters=None, win=True, mflags=0):
        """`candidate` asks everybody for votes in the next epoch; `voters` (all primaries that can
        be reached) give theirs, and it takes over."""
        node = self.nodes[candidate]
        self.epoch += 1
        node.fields["current_epoch"] = self.epoch
        reached = self.tell(candidate, wire.message("auth-req", node,
                                                    mflags=bytes([mflags, 0, 0])))
        for name in reached if voters is None else voters:
            voter = self.nodes[name]
            voter.fields["current_epoch"] = self.epoch
            if not voter.fields["replica_of"] and any(voter.fields["slots"]):
                self.links[candidate, name].send("server", wire.message("auth-ack", voter))
        if win:
            self.promote(candidate, self.epoch)

    def promote(self, candidate, epoch, asker=None):
        """It is the primary of its primary's slots from now on, and says so to all; before that it
        answers a PING of `asker`."""
        node = self.nodes[candidate]
        old = next(n for n in self.nodes.values() if n.id == node.fields["replica_of"])
        node.fields.update(replica_of=b"", flags=wire.MYSELF | wire.PRIMARY, config_epoch=epoch,
                           current_epoch=epoch, slots=old.fields["slots"])
        if asker:
            self.ping(self.links[asker, candidate])
        self.tell(candidate, wire.pong(node))

    def demote(self, name, primary):
        """It follows `primary` from now on."""
        of = self.nodes[primary]
        self.nodes[name].fields.update(
            replica_of=of.id, flags=wire.MYSELF | wire.REPLICA,
            **{key: of.fields[key] for key in ("slots", "config_epoch", "current_epoch")})
        self.tell(name, wire.pong(self.nodes[name]))

    def reborn(self, name, number):
        """The process comes back at its address as another node, which knows nobody's slots."""
        old = self.nodes[name]
        self.nodes[name] = wire.Node(number, ip=old.ip, epoch=0, current_epoch=0)
        self.back(name)

    def set(self, name, **fields):
        """Header fields of a node from now on: state=1, slots=..., config_epoch=..."""
        self.nodes[name].fields.update(fields)

    # ------------------------------------------------------------------------ what runs by itself

    def lets_in(self, a, b):
        return b not in self.blocked and (a, b) not in self.shut

    def arrives(self, a, b):
        return (a, b) not in self.cuts and not {a, b} & self.gone

    def step(self):
        self.capture.now = max(self.capture.now, wire.START + round(self.now * 1e9))

    def speaks(self, name):
        return name not in self.silent and name not in self.gone

    def gossip(self, name, to):
        """Newer servers do not tell a node what they think of it (`discreet`)."""
        clock = int(wire.START / 1e9 + self.now + self.clocks.get(name, 0))
        return [wire.entry(node, pong_received=clock - 1, ping_sent=0,
                           flags=(wire.REPLICA if node.fields["replica_of"] else wire.PRIMARY)
                           | self.views[name].get(other, 0))
                for other, node in self.nodes.items()
                if other != name and not (self.discreet and other == to)
                and (other not in self.unpicked or self.views[name].get(other) == wire.PFAIL)]

    def heartbeat(self, kind, name, to):
        announced = [wire.hostname(self.hostnames[name])] if name in self.hostnames else ()
        return kind(self.nodes[name], self.gossip(name, to), announced)

    def tick(self):
        for (a, b), link in self.links.items():
            if not self.speaks(a):
                continue
            self.renew(link)
            link.repeat()
            self.judge(link)
            if link.opened is None:
                continue
            if link.pinged is None and self.now - link.last_ping >= PING_EVERY:
                self.ping(link)
            elif link.pinged is not None and self.speaks(b) and link.unacked == []:
                self.answer(link)

    def renew(self, link):
        """Closes a link whose ping is late, and tries again one that is closed."""
        late = link.pinged is not None and self.now - max(link.pinged, link.opened or 0) > self.nt / 2
        if link.opened is not None and late:
            link.close()
        if link.opened is None and self.now - link.asked >= self.nt / 2:
            link.open()
            if link.opened is not None:
                self.ping(link)
            elif link.pinged is None:
                link.pinged = self.now                              # it waits to be sent

    def ping(self, link):
        link.last_ping = self.now
        link.pinged = self.now if link.pinged is None else link.pinged
        if link.send("client", self.heartbeat(wire.ping, link.a, link.b)) and self.speaks(link.b):
            self.hear(link.b, link.a)
            self.answer(link)

    def answer(self, link):
        if link.send("server", self.heartbeat(wire.pong, link.b, link.a)):
            link.pinged = None
            self.hear(link.a, link.b)
            if self.views[link.a].pop(link.b, 0) == wire.FAIL:
                self.views[link.a][link.b] = wire.FAIL if self.keeps_failed(link.b) else 0

    def hear(self, observer, reporter):
        """What the reporter's gossip says of others, as the observer notes it."""
        self.heard[observer][reporter] = {s for s, flags in self.views[reporter].items() if flags}

    def keeps_failed(self, name):
        """A primary that still has slots is not cleared before 2 NT; scenes are shorter."""
        return not self.nodes[name].fields["replica_of"]

    def judge(self, link):
        """PFAIL after NT of silence, FAIL once most primaries say so."""
        a, b = link.a, link.b
        if link.pinged is None or self.now - link.pinged <= self.nt:
            return
        self.views[a][b] = self.views[a].get(b) or wire.PFAIL
        voters = [n for n, node in self.nodes.items() if not node.fields["replica_of"]]
        said = [n for n in voters if n == a or b in self.heard[a].get(n, ())]
        if self.views[a][b] == wire.PFAIL and len(said) > len(voters) // 2:
            self.fail(a, b)

    def pcap(self, hosts=None, lost=True):
        """All that was on the wire, or what was seen on some hosts: names of nodes, or addresses.
        Without what was `lost`, as if that had been dropped on the hosts, before the wire."""
        frames = [(i, f) for i, f in enumerate(self.capture.frames())
                  if lost or i not in self.capture.lost]
        if hosts:
            ips = {wire.ipaddress.ip_address(self.nodes[h].ip if h in self.nodes else h).packed
                   for h in hosts.split()}
            frames = [(i, f) for i, f in frames if f[1][26:30] in ips
                      or f[1][30:34] in ips and i not in self.capture.lost]
        return wire.pcap(sorted((f for _, f in frames), key=lambda f: f[0]))
