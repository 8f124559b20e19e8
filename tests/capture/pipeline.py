"""A client that does not wait: pipeline.py PORT ROUNDS

Each round asks for large values and small ones, in one go, and between them for what the server
answers with an error, of four kinds.
"""

import socket
import sys
import threading

END = b"the-end-of-it"
ROUND = [("SET", "{a}list-not", "v" * 3000), ("RPUSH", "{a}list", "x"), ("GET", "{a}list"),
         ("GET", "{a}list-not"), ("NOSUCHCOMMAND",), ("GET", "{a}list-not"), ("GET", "{a}list-not"),
         ("MGET", "{a}x", "{b}y"), ("SET", "{a}big", "*3\r\n$3\r\n" * 9000), ("INCR", "{a}big"),
         ("GET", "{a}big"), ("GET", "{a}list"), ("EVALSHA", "f" * 40, "0"), ("LTRIM", "{a}list", "0", "9")]


def request(words):
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)


def main(port, rounds):
    asked = b"".join(map(request, ROUND))
    with socket.create_connection(("127.0.0.1", port)) as end:
        writer = threading.Thread(target=lambda: end.sendall(
            asked * rounds + request(["ECHO", END.decode()])))
        writer.start()
        last = b""
        while END not in last:
            last = last[-len(END):] + end.recv(1 << 20)
        writer.join()


main(*map(int, sys.argv[1:]))
