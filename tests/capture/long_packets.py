"""Requests over the loopback device in packets of more than 64 KiB (BIG TCP), and their answers.

usage: long_packets.py ADDRESS PORT COUNT BYTES

Prints the longest packet that came by.
"""

import socket
import struct
import sys
import threading

TOGETHER = 4                            # requests, so that packets go on from one to the next
LONGEST = 500_000                       # of a packet; the kernel's own bound is 512 KiB
ETH_P_ALL = 3
RTM_NEWLINK, REQUEST_ACK = 16, 5
GSO_MAX_SIZE, GRO_MAX_SIZE, GSO_IPV4_MAX_SIZE, GRO_IPV4_MAX_SIZE = 41, 58, 63, 64


def allow(interface):
    """iproute2 knows the attributes for IPv4 only since 6.3."""
    attributes = b"".join(struct.pack("<HHI", 8, kind, LONGEST) for kind in
                          (GSO_MAX_SIZE, GRO_MAX_SIZE, GSO_IPV4_MAX_SIZE, GRO_IPV4_MAX_SIZE))
    body = struct.pack("<BxHiII", 0, 0, socket.if_nametoindex(interface), 0, 0) + attributes
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asked:
        asked.send(struct.pack("<IHHII", 16 + len(body), RTM_NEWLINK, REQUEST_ACK, 1, 0) + body)
        (error,) = struct.unpack_from("<i", asked.recv(4096), 16)
    assert error == 0, f"errno {-error}"


def look(lengths):
    """Notes how long the packets are that come in."""
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    tap.bind(("lo", 0))
    threading.Thread(target=lambda: [lengths.append(tap.recv_into(bytearray(1), 0, socket.MSG_TRUNC))
                                     for _ in iter(int, 1)], daemon=True).start()


def read(end, size):
    while size:
        size -= len(end.recv(min(size, 1 << 20)))


def serve(listener, count, size):
    end, _ = listener.accept()
    for _ in range(count):
        read(end, size)
        end.sendall(b"+OK\r\n")


def main(address, port, count, size):
    allow("lo")
    lengths = []
    look(lengths)
    request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n" % (size, bytes(size))
    listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address
                                    else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    server = threading.Thread(target=serve, args=(listener, count, len(request)))
    server.start()
    with socket.create_connection((address, port)) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        for _ in range(count // TOGETHER):
            end.sendall(request * TOGETHER)
            read(end, TOGETHER * len(b"+OK\r\n"))
    server.join()
    print(max(lengths))


main(sys.argv[1], *map(int, sys.argv[2:]))
