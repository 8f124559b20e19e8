"""opaque-traffic: TLS, whose contents a passive reader does not see."""

from lib import findings, wire

CLIENT_HELLO = bytes.fromhex("16030100310100002d0303") + bytes(32) + bytes.fromhex("00000213010100000002") \
    + bytes.fromhex("0000")
SERVER_HELLO = bytes.fromhex("160303002a020000260303") + bytes(32) + bytes.fromhex("0013010000")


def conversation(client_bytes, server_bytes):
    capture = wire.Capture()
    link = capture.conversation(("10.0.0.1", 40001), ("10.0.0.2", 16379)).open()
    link.send("client", client_bytes)
    link.send("server", server_bytes)
    return capture


def test_fires_on_tls(store):
    capture = conversation(CLIENT_HELLO, SERVER_HELLO)
    assert findings.only(findings.of(store(capture.pcap())), "opaque-traffic").metrics["flows"] == 1


def test_near_miss_other_bytes_are_not_tls(store):
    capture = conversation(b"\x16\x03 not a record at all", b"\x16\x03 neither")
    findings.none(findings.of(store(capture.pcap())), "opaque-traffic")
