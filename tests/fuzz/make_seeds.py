"""Writes the seeds and dictionaries of the fuzz targets that read packets, messages and RESP.

    python3 tests/fuzz/make_seeds.py        in the root; needs zstd for the captures

Seeds are built by tests/lib/wire.py and resp.py, or cut from the captures of pcaps/; each below
8 KiB. Those of fuzz_file are made elsewhere. The dictionary of the bus follows from decode/bus.def.
"""

import pathlib
import random
import re
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from lib import captures, resegment, resp, wire  # noqa: E402

FUZZ = ROOT / "tests" / "fuzz"
LIMIT = 8 * 1024
LINK_TYPES = [1, 113, 276, 0, 108, 101, 12, 14, 228, 229, 105]        # as in fuzz_net.c


def put(target, name, data):
    folder = FUZZ / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    if 0 < len(data) < LIMIT:
        (folder / name).write_bytes(data)


# ------------------------------------------------------------------------------------ packets

A, B, C = wire.Node(1, slots=[(0, 8000)]), wire.Node(2), wire.Node(3, ip="fd00::3")


def small_packet(v6=False):
    src, dst = ("fd00::1", "fd00::2") if v6 else ("10.0.0.1", "10.0.0.2")
    segment = wire.tcp((src, 40001), (dst, 16379), 1000, 2000, wire.ACK, b"RCmb hello, bus")
    return wire.ip(src, dst, segment)


def net_packet(frame, link, cut=0, seconds=0):
    return bytes([LINK_TYPES.index(link), cut, seconds]) + struct.pack(">H", len(frame)) + frame


def net_seeds():
    four, six = small_packet(), small_packet(v6=True)
    carriers = {"ethernet": (1, wire.ethernet), "sll": (113, wire.sll), "sll2": (276, wire.sll2),
                "null": (0, wire.null), "loop": (108, wire.loop), "raw": (101, wire.raw)}
    for name, (link, wrap) in carriers.items():
        put("net", name, net_packet(wrap(four), link))
        put("net", name + "-6", net_packet(wrap(six), link))
        put("net", name + "-cut", net_packet(wrap(four)[:-7], link, cut=7))
    put("net", "vlan", net_packet(wire.ethernet(four, vlans=((0x88A8, 5), (0x8100, 6))), 1))
    tunnels = {"vxlan": wire.vxlan, "geneve": wire.geneve, "gre": wire.gre,
               "gre-ethernet": wire.gre_ethernet, "erspan2": wire.erspan2, "erspan3": wire.erspan3}
    for name, tunnel in tunnels.items():
        put("net", name, net_packet(tunnel(four), 1))
    for name, parts in {"fragments": wire.ipv4_fragments(four, 16),
                        "fragments-6": wire.ipv6_fragments(six, 16)}.items():
        data = [net_packet(wire.raw(p), 101) for p in parts]
        put("net", name, b"".join(data))
        put("net", name + "-reversed", b"".join(data[::-1]))
        put("net", name + "-late", b"".join(data[:-1]) + net_packet(wire.raw(parts[-1]), 101, 0, 99))


# ------------------------------------------------------------------------------------ streams

def stream_seeds():
    dice = random.Random(7)
    for k in range(12):
        data = struct.pack(">IB", (1, 0xFFFFFF00)[k % 2], (0, 0, 0, 1, 2)[k % 5])
        for _ in range(20 + 60 * k):
            data += struct.pack(">BHHB", dice.randrange(8) if k else 0, dice.randrange(4000),
                                dice.randrange(1500), dice.randrange(256))
        put("stream", f"steps-{k:02d}", data)


# ------------------------------------------------------------------------------------ messages

def messages():
    yield "ping", wire.ping(A, gossip=[wire.entry(B), wire.entry(C, flags=0x5)])
    yield "ping-v0", wire.ping(A, gossip=[wire.entry(B, ver=0)], ver=0)
    yield "ping-extensions", wire.ping(A, extensions=[
        wire.hostname("a.example"), wire.human_name("a"), wire.forgotten(B, 60),
        wire.shard_id(C.id), wire.client_ipv4("10.1.2.3"), wire.client_ipv6("fd00::9")])
    yield "ping-secret", wire.ping(A, extensions=[wire.internal_secret(b"s" * 40)])
    yield "pong", wire.pong(B)
    yield "meet", wire.meet(A)
    yield "fail", wire.fail(A, B)
    yield "publish", wire.publish(A, b"channel", b"payload")
    yield "publishshard", wire.publish(A, b"", b"", shard=True)
    yield "auth-req", wire.message("auth-req", A)
    yield "auth-ack-v0", wire.message("auth-ack", A, ver=0)
    yield "mfstart", wire.message("mfstart", A)
    yield "update", wire.update(A, B, 7, [(0, 99)])
    yield "module", wire.module(A, 0x1234, 3, b"payload")
    yield "auth-nack", wire.auth_nack(A, 7, 2)
    yield "auth-nack-old", wire.auth_nack(A, None, 1)
    yield "light-publish", wire.light("publish", wire.publish_body(b"c", b"payload"))
    yield "light-module", wire.light("module", wire.module_body(5, 1, b"payload"))
    yield "unknown-type", wire.message(99, A, b"body")
    yield "version-2", wire.ping(A, ver=2)


def chunk(what, data):
    return struct.pack(">BH", what, len(data)) + data


def bus_seeds():
    for name, data in messages():
        put("bus", name, b"\3" + chunk(0, data))
    ping, pong, light = wire.ping(A), wire.pong(B), wire.light("publish", wire.publish_body(b"c", b"d"))
    put("bus", "conversation", b"\3" + chunk(0x80, ping) + chunk(0x81, pong) + chunk(0x80, light))
    put("bus", "joined", b"\0" + chunk(0, b"tail of a payload RCmb..") + chunk(0, ping + light))
    put("bus", "gap", b"\3" + chunk(0, ping[:1000]) + chunk(2, ping + light))
    put("bus", "gap-in-payload",
        b"\3" + chunk(0, wire.publish(A, b"c", b"p" * 600)[:2400]) + chunk(2, ping))
    forged = wire.light("publish", wire.publish_body(b"c", wire.fail(C, B) + b"tail"))
    put("bus", "forged", b"\0" + chunk(0, forged[40:]) + chunk(0, ping + ping[:100]))
    put("bus", "garbage", b"\3" + chunk(0, ping + b"RCmbRCm garbage") + chunk(0, ping))


# ------------------------------------------------------------------------------------ RESP

REPLID = "0123456789abcdef" * 2 + "01234567"
MARK = b"m" * 40
STREAM = resp.request("SELECT 0") + resp.request("SET k v") + resp.request("PING")
FULLRESYNC = resp.simple(f"FULLRESYNC {REPLID} 100")
ACK = resp.request("REPLCONF ACK 123")


def conversations():
    """Name, and who says what: (0, the client's bytes) or (1, the server's)."""
    def talk(*trades):
        for what, *replies in trades:
            yield 0, resp.request(what)
            if replies:
                yield 1, b"".join(map(resp.value, replies))

    ok, queued, bulk, push = resp.OK, resp.QUEUED, resp.bulk, resp.push
    yield "set-get", talk(("SET k v", ok), ("GET k", "v"), ("GET k", None), ("GET none", resp.NIL),
                          ("INCR n", 7), ("MGET a b", resp.array("1", resp.NIL)))
    yield "pipeline", talk((resp.request("SET {t}a 1") + resp.request("GET {t}a"), ok, "1"))
    yield "resp3", talk(("HELLO 3", resp.HELLO3),
                        ("HGETALL h", resp.map_("a", resp.double("1.5"), "b", resp.boolean(True))),
                        ("SMEMBERS s", resp.attribute("ttl", 9) + resp.set_("a", resp.null())),
                        ("GET k", resp.streamed_string("ab", "cde")),
                        ("LRANGE l 0 -1", resp.streamed(b"*", 1, resp.big_number("12"))),
                        ("INFO", push("invalidate", resp.array("k")), resp.verbatim("info")),
                        ("GET x", resp.bulk_error("ERR no")))
    yield "pubsub", talk(("SUBSCRIBE a b", resp.array("subscribe", "a", 1),
                          resp.array("subscribe", "b", 2), resp.array("message", "a", "hello")),
                         ("UNSUBSCRIBE", resp.array("unsubscribe", "a", 1),
                          resp.array("unsubscribe", "b", 0)),
                         ("SSUBSCRIBE s", push("ssubscribe", "s", 1), push("smessage", "s", "x")),
                         ("SUNSUBSCRIBE s", push("sunsubscribe", "s", 0)))
    yield "multi", talk(("MULTI", ok), ("SET k v", queued), ("LPOP k", queued),
                        ("EXEC", resp.array(ok, resp.error("WRONGTYPE no list"))),
                        ("MULTI", ok), ("GET k", queued), ("DISCARD", ok),
                        ("RESET", resp.simple("RESET")))
    yield "client-reply", talk(("CLIENT REPLY SKIP",), ("SET a 1",), ("GET a", "1"),
                               ("CLIENT REPLY OFF",), ("SET a 2",), ("CLIENT REPLY ON", ok))
    yield "errors", talk(("GET k", resp.error("MOVED 3999 10.0.0.1:6379")),
                         ("ASKING", ok), ("GET k", resp.error("ASK 3999 fd00::1:6379")),
                         ("NOSUCH", resp.error("ERR unknown command 'NOSUCH'")),
                         ("GET", resp.error("ERR wrong number of arguments")),
                         (b"*1\r\n:3\r\n", resp.error("ERR Protocol error: expected '$'")))
    yield "inline", talk((resp.inline('SET "a b" \'c\' "\\x41\\n"'), ok),
                         (resp.inline("PING"), resp.PONG),
                         (b"\r\nget a\n", "1"))
    yield "blocking", talk(("BLPOP a b 0", resp.array("a", "1")),
                           ("XREAD BLOCK 0 STREAMS a $", resp.NIL_ARRAY), ("QUIT", ok))
    yield "monitor", talk(("MONITOR", ok,
                           resp.simple('1700000000.123456 [0 127.0.0.1:5] "GET" "k"')),
                          ("SHUTDOWN",))
    replica = [("PING", resp.PONG), ("REPLCONF capa eof", ok)]
    yield "psync-eof", talk(*replica, ("PSYNC ? -1", FULLRESYNC, b"\n$EOF:" + MARK + b"\r\npayload" +
                                       MARK + STREAM), (ACK,), (b"", STREAM))
    yield "psync-len", talk(*replica, ("PSYNC ? -1", FULLRESYNC, b"$7\r\npayload" + STREAM), (ACK,))
    yield "psync-continue", talk((f"PSYNC {REPLID} 101", resp.simple(f"CONTINUE {REPLID}"), STREAM),
                                 (ACK,))
    yield "psync-rdb-channel", talk(("PSYNC ? -1", resp.simple("RDBCHANNELSYNC 7"), STREAM), (ACK,))
    yield "psync-end-offset", talk(("SYNC", f"$ENDOFF:100 {REPLID} 0 7\r\n".encode(), b"$3\r\nabc",
                                    STREAM))
    yield "sync", talk(("SYNC", b"$7\r\npayload", STREAM))
    yield "syncslots-redis", talk((f"CLUSTER SYNCSLOTS SYNC {REPLID} 0 99",
                                   resp.simple("RDBCHANNELSYNCSLOTS"), STREAM),
                                   ("CLUSTER SYNCSLOTS ACK 1 2",), (b"", STREAM))
    establish = f"CLUSTER SYNCSLOTS ESTABLISH SOURCE {A.id} NAME x SLOTSRANGE 0 9"
    yield "syncslots-valkey", talk((establish, ok), (STREAM, resp.request("CLUSTER SYNCSLOTS ACK")))


def client_seeds():
    for name, talk in conversations():
        heard = [chunk(0x40 | side, data) for side, data in talk if data]
        lost = heard[:1] + [b"\x46" + heard[1][1:]] + heard[2:]               # the second chunk
        cut = [chunk(c[0] & 0xBF, c[3:10]) + chunk(c[0], c[10:]) for c in heard]
        orphan = [bytes([c[0] | 0x80]) + c[1:] for c in heard[::-1]]
        ways = (("", 0x13, heard), ("-sniffed", 0x23, cut), ("-joined", 0x20, heard),
                ("-lost", 0x03, lost), ("-quiet", 0x4F, heard), ("-reversed", 0x03, orphan))
        for suffix, options, chunks in ways:                  # options: as in fuzz_client.c
            put("client", name + suffix, bytes([options]) + b"".join(chunks))


def resp_seeds():
    deep = b"*1\r\n" * 24 + b":1\r\n"
    odd = {"deep": deep, "too-deep": b"*1\r\n" + deep, "many": resp.array(*range(50)),
           "null": b"*-1\r\n$-1\r\n", "long": resp.bulk("x" * 700) + resp.array("y" * 700, "z"),
           "line": resp.simple("x" * 600)}
    for name, data in odd.items():
        put("resp", "reply-" + name, b"\0\1\2\3\4" + data)
    for name, data in {"long": resp.command("SET", "k" * 600, "v" * 600, *["w" * 300] * 10),
                       "many": resp.command(*map(str, range(60))),
                       "nothing": b"*0\r\n*-1\r\n"}.items():
        put("resp", "request-" + name, b"\1\1\2\3\4" + data)
    for name, talk in conversations():
        sides = [b"", b""]
        for side, data in talk:
            sides[side] += data
        put("resp", "requests-" + name, b"\1\6\0\2\x20" + sides[0])
        put("resp", "replies-" + name, b"\0\6\0\2\x20" + sides[1])


def command_seeds():
    lines = ["GET k{tag}", "MSET a 1 b 2", "SORT l BY w LIMIT 0 1 STORE d", "EVAL x 2 a b c",
             "ZUNIONSTORE d 2 a b",
             "GEORADIUS k 1 2 3 m STORE d STOREDIST e",
             "XREADGROUP GROUP g c BLOCK 0 STREAMS a b 1 2",
             "MIGRATE h 1 KEYS 0 9 AUTH p KEYS a b", "STRALGO LCS KEYS a b", "BITFIELD k SET u8 0 1",
             "HGETEX k FIELDS 2 a b", "GETEX k EX 1", "CLIENT REPLY OFF", "REPLCONF ACK 1",
             "SHUTDOWN ABORT",
             "CLUSTER SYNCSLOTS SYNC 1 2", "BLPOP a b 0", "BLMPOP 0 2 a b LEFT", "SSUBSCRIBE a b",
             "XINFO STREAM k"]
    for number, line in enumerate(lines):
        args = b"".join(bytes([len(w)]) + w.encode() for w in line.split())
        put("command", f"{number:02d}-" + line.split()[0].lower(), b"\0\0\0" + args)
        put("command", f"{number:02d}-cut", struct.pack(">HB", number * 11, 2) + args)


def client_captures():
    for name, talk in conversations():
        capture = wire.Capture()
        link = capture.conversation(resp.CLIENT, resp.SERVER, mss=16000)
        link.open()
        for side, data in talk:
            link.send(("client", "server")[side], data)
        link.close()
        yield name, capture.pcap()


# ------------------------------------------------------------------------------------ captures

def made_captures():
    """One connection with each message in it, in files small enough."""
    for name, data in messages():
        capture = wire.Capture()
        link = capture.link(A, B)
        link.open()
        link.send("client", data)
        link.send("server", wire.light("publish", wire.publish_body(b"c", b"d")))
        link.close()
        yield name, capture.pcap()


def real_slices():
    """The first packets with bus messages of each capture, whole records only."""
    for take in captures.TAKES:
        raw = take.raw()
        for name, wanted in (("bus", b"RCmb"), ("tail", b"")):
            records, size = [], 24
            frames = list(resegment.frames(raw))
            start = next(i for i, f in enumerate(frames) if wanted in f[1]) if wanted else -30
            for time, frame, original in frames[start:]:
                if size + 16 + len(frame) >= LIMIT:
                    break
                size += 16 + len(frame)
                records.append(struct.pack("<IIII", time // 10**9, time % 10**9 // 1000, len(frame),
                                           original) + frame)
            if records:
                yield f"{take.name}-{name}", raw[:24] + b"".join(records)


def engine_seeds():
    for name, data in made_captures():
        put("engine", "made-" + name, data)
    for name, data in client_captures():
        put("engine", "client-" + name, data)
    for name, data in real_slices():
        put("engine", "real-" + name, data)


# ------------------------------------------------------------------------------------ dictionaries

def escaped(data):
    return '"' + "".join(f"\\x{b:02x}" for b in data) + '"\n'


def bus_words():
    rows = (ROOT / "decode" / "bus.def").read_text()
    words = [b"RCmb", b"RCm", A.id.encode(), wire.node_id(7).encode()]
    for number in re.findall(r"BUS_MESSAGE\(\w+, (\d+)", rows):
        words += [struct.pack(">HH", 1, int(number)), struct.pack(">H", 0x8000 | int(number))]
    for number in re.findall(r"BUS_EXTENSION\((\d+)", rows):
        words += [struct.pack(">IHH", size, int(number), 0) for size in (16, 48, 56)]
    sizes = [2256, 2208, 16, 2296, 2248, 2360, 4352, 4304, 2257, 2272, 24, 29]
    return words + [struct.pack(">I", size) for size in sizes]


def net_words():
    words = [struct.pack(">H", t) for t in (0x0800, 0x86DD, 0x8100, 0x88A8, 0x9100, 0x6558, 0x88BE,
                                            0x22EB, 4789, 8472, 6081, 0x2000, 0x1fff, 40, 20)]
    return words + [b"\x45\0", b"\x60\0\0\0", b"\x01\x01\x08\x0a", b"\x50\x10"]


def resp_words():
    rows = (ROOT / "decode" / "resp.c").read_text()
    heads = [line.encode() for line in re.findall(r"\['(.)'\] = \{LINE_", rows)]
    return [head + size for head in heads for size in (b"1\r\n", b"-1\r\n", b"?\r\n")] + [
        b"\r\n", b"*0\r\n", b"*3\r\n$3\r\n", b"$5\r\n", b"$16\r\n", b"$600\r\n", b";0\r\n",
        b".\r\n", b"+OK\r\n"]


def command_words():
    rows = (ROOT / "decode" / "commands.def").read_text()
    names = re.findall(r'^COMMAND\("([^"]+)"', rows, re.M)
    words = [word for name in names for word in name.split("|")]
    code = (ROOT / "decode" / "command_args.c").read_text()
    options = [a or b for a, b in re.findall(r'OPTION\("(\w+)"|, "(\w+)", REPLY', code)]
    options += ["store", "storedist", "keys", "fields"]
    return [word.encode() for word in words + options]


def client_words():
    heads = [resp.command(word) for word in (
        b"GET", b"SYNC", b"MULTI", b"EXEC", b"PING", b"MONITOR", b"RESET", b"UNSUBSCRIBE",
        b"SHUTDOWN", b"QUIT")]
    requests = [resp.request(line) for line in ("PSYNC ? -1", "REPLCONF ACK 1", "CLIENT REPLY SKIP",
                                                "SUBSCRIBE a",
                                                "CLUSTER SYNCSLOTS SYNC 1 2")]
    return heads + requests + [FULLRESYNC, b"+CONTINUE\r\n", b"+RDBCHANNELSYNC\r\n",
                               b"$EOF:" + MARK + b"\r\n",
                               MARK, b"$ENDOFF:1 ", b"+QUEUED\r\n", b"-MOVED 1 a:1\r\n",
                               b"-ERR unknown command",
                               b"-ERR Protocol error", resp.array("subscribe", "a", 1),
                               resp.push("message", "a", "b")]


def dictionaries():
    magics = [bytes.fromhex(m) for m in ("d4c3b2a1", "4d3cb2a1", "a1b2c3d4", "0a0d0d0a", "28b52ffd")]
    for name, words in {"bus": bus_words(), "net": net_words(), "resp": resp_words(),
                        "command": command_words(), "client": resp_words() + client_words(),
                        "engine": bus_words() + net_words() + client_words() + magics}.items():
        (FUZZ / f"{name}.dict").write_text("# from tests/fuzz/make_seeds.py\n" +
                                           "".join(map(escaped, dict.fromkeys(words))))


if __name__ == "__main__":
    net_seeds()
    stream_seeds()
    bus_seeds()
    resp_seeds()
    client_seeds()
    command_seeds()
    engine_seeds()
    dictionaries()
