"""Clients that write to a made-up cluster (scene.py), and replicas that get it.

    link = writes.Replication(play, "p1", "r1")   # r1 follows p1: handshake, then the stream
    client = writes.Client(play, "p1")
    client.set("k", "v", link)                    # acknowledged, and in the stream
    client.set("k", "w")                          # acknowledged; r1 never gets it
    link.ack()                                    # r1 says how far it is

`sent` of a link is the primary's offset, `got` the replica's; what a client writes without a link
counts for the primary alone. `resync` is the old primary that gives in and asks for the new one's
data.
"""

from lib import resp

OWN_ID = "a" * 40
NEW_ID = "b" * 40
STRANGE_ID = "e" * 40


def address(play, name):
    return play.nodes[name].ip, 6379


class Replication:
    """A replica's connection to its primary. Offsets begin at 100."""

    def __init__(self, play, primary, replica, port=55001, replid=OWN_ID, joined=False,
                 channels=False):
        self.play, self.replid = play, replid
        self.sent = self.got = 100
        play.step()
        self.talk = resp.Dialogue(play.capture, (play.nodes[replica].ip, port),
                                  address(play, primary), joined=joined)
        if joined:
            return
        data = self.open_channel() if channels else self.talk
        data.trade(resp.command("PSYNC", "?", "-1"),
                   resp.simple(f"FULLRESYNC {replid} {self.sent}"), b"$4\r\nRDB!")
        self.ack()

    def open_channel(self):
        """As with Redis 8: the data comes on a connection of its own; before, the replica has asked
        on this one to go on with what it had, which was another's."""
        self.talk.trade(resp.command("PSYNC", STRANGE_ID, "1"), resp.simple("RDBCHANNELSYNC 6"))
        ends = self.talk.link.ends
        channel = resp.Dialogue(self.play.capture, (ends["client"][0], ends["client"][1] + 500),
                                ends["server"])
        return channel.trade(resp.command("REPLCONF", "rdb-channel", "1", "main-ch-client-id", "6"),
                             resp.OK)

    def stream(self, *words):
        """The primary sends a command, and the replica has it."""
        self.play.step()
        data = resp.command(*words)
        self.talk.answer(data)
        self.sent += len(data)
        self.got = self.sent
        return self

    def ack(self):
        self.play.step()
        self.talk.ask(resp.command("REPLCONF", "ACK", str(self.got)))


class Client:
    """One connection of a client to a node."""

    def __init__(self, play, server, port=50001):
        play.step()
        self.play = play
        self.talk = resp.Dialogue(play.capture, ("10.9.0.1", port), address(play, server))

    def write(self, *words, link=None, reply=resp.OK, lost=None):
        """A command and its answer. It goes to the replica of `link`; or the primary of `lost` has
        it in its stream, and nobody gets that."""
        self.play.step()
        self.talk.trade(resp.command(*words), reply)
        if link:
            link.stream(*words)
        if lost:
            lost.sent += len(resp.command(*words))

    def set(self, key, value, link=None, **more):
        self.write("SET", key, value, link=link, **more)


def take_over(play, winner, link):
    """The replica is elected with what it has got, and says so; nothing is demoted yet."""
    play.set(winner, offset=link.got)
    play.elect(winner)


def resync(play, loser, winner, asked, answer=None, replid=OWN_ID, port=56001):
    """The loser follows the winner and asks for byte `asked` of its own stream."""
    play.step()
    talk = resp.Dialogue(play.capture, (play.nodes[loser].ip, port), address(play, winner))
    talk.trade(resp.command("PSYNC", replid, str(asked)),
               answer or resp.simple(f"FULLRESYNC {NEW_ID} 500"))
    play.demote(loser, winner)
