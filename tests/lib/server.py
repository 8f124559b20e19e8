"""A server that can be asked, and what COMMAND says about its commands.

    with Server("127.0.0.1", 6379) as server:
        server.ask("COMMAND", "GETKEYS", "GET", "k")        # ["k"]; errors are values of type Error

    described(server)                                       # {"get": Described, "cluster|slots": ...}

Speaks RESP2 over a socket, so that it needs no client library.
"""

import collections
import socket

Described = collections.namedtuple("Described", "name arity flags range specs container")
# flags      as COMMAND names them: {"write", "denyoom", ...}
# range      (first, last, step), all there was before Redis 7.0
# specs      [(begin, find, is_key), ...]: ("index", 1), ("range", 0, 1, 0); None before Redis 7.0
# container  has sub-commands


class Error(str):
    """What the server refused with, without its "-"."""


class Server:
    def __init__(self, host, port, timeout=10):
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.replies = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.replies.close()
        self.socket.close()

    def ask(self, *words):
        words = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) +
                            b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        return self._value()

    def _value(self):
        line = self.replies.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self.replies.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self._value() for _ in range(int(rest))]
        return {b"+": bytes.decode, b"-": lambda text: Error(text.decode()), b":": int}[kind](rest)


def _pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def _search(step):
    """["type", "range", "spec", ["lastkey", 0, ...]] as ("range", 0, ...)."""
    step = _pairs(step)
    return (step["type"], *step["spec"][1::2])


def _spec(spec):
    spec = _pairs(spec)
    return (_search(spec["begin_search"]), _search(spec["find_keys"]), "not_key" not in spec["flags"])


def _described(entry):
    name, arity, flags, first, last, step, _categories, _tips, specs, subs = (*entry, None, None,
                                                                              None, None)[:10]
    yield Described(name.lower(), arity, set(flags), (first, last, step),
                    None if specs is None else [_spec(spec) for spec in specs], bool(subs))
    for sub in subs or []:
        yield from _described(sub)


def described(server):
    """All commands of a server and their sub-commands, by name."""
    return {command.name: command for entry in server.ask("COMMAND") for command in _described(entry)}
