"""A connection to a server, of a socket that may live in another network namespace."""

from lib import resp
from lib.server import Error, Server


class Client(Server):
    """Like lib.server.Server, on a socket that is connected already; and pipelines."""

    def __init__(self, connected):                  # pylint: disable=super-init-not-called
        self.socket = connected
        self.replies = connected.makefile("rb")

    def pipeline(self, *requests):
        """All requests in one write; their replies."""
        self.socket.sendall(b"".join(resp.command(*words) for words in requests))
        return [self._value() for _ in requests]


def checked(reply, words):
    """The reply, unless it is an error."""
    if isinstance(reply, Error):
        raise RuntimeError(f"{' '.join(map(str, words))[:200]}: {reply}")
    return reply
