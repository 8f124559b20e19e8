"""Makes a capture of very many short connections, each of a client of its own and with a key of its own.

make(TARGET, CONNECTIONS): SYN, SYN-ACK, request, reply; none of them ends.
"""

import struct

SYN, ACK, PUSH = 2, 16, 8
SERVER = (10 << 24 | 2, 6379)


def template(flags, payload):
    """Ethernet, IPv4, TCP without options; addresses, ports and numbers are filled in later."""
    total = 40 + len(payload)
    ethernet = bytes(12) + b"\x08\x00"
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, total, 0, 0x4000, 64, 6, 0, 0, 0)
    tcp = struct.pack(">HHIIBBHHH", 0, 0, 0, 0, 0x50, flags, 1024, 0, 0)
    return bytearray(ethernet + ip + tcp + payload)


def request(key):
    return b"*3\r\n$3\r\nSET\r\n$11\r\nkey:%07d\r\n$5\r\nvalue\r\n" % key


STEPS = [(True, SYN, 0, 0, b""), (False, SYN | ACK, 0, 1, b""),
         (True, ACK | PUSH, 1, 1, request(0)), (False, ACK | PUSH, 1, 1 + len(request(0)), b"+OK\r\n")]


def make(target, connections):
    frames = [template(flags, payload) for _, flags, _, _, payload in STEPS]
    with open(target, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number in range(connections):
            client = (11 << 24 | number, 20000 + number % 20000)
            for (to_server, _, seq, ack, payload), frame in zip(STEPS, frames):
                (src, sport), (dst, dport) = (client, SERVER) if to_server else (SERVER, client)
                struct.pack_into(">IIHHII", frame, 26, src, dst, sport, dport, seq, ack)
                if to_server and payload:
                    frame[54:] = request(number)
                seconds, us = divmod(number * 20, 10 ** 6)
                out.write(struct.pack("<IIII", 1_700_000_000 + seconds, us, len(frame), len(frame)))
                out.write(frame)
