"""The command line: files in all their forms, windows, exit codes, errors that help.

Exit status: 0 done, 2 could not do it (bad usage, unreadable or damaged input).
"""

import gzip
import hashlib
import json
import os
import pty
import random
import re
import struct
import subprocess

import pytest

from lib import bustap, wire
from lib.wire import MILLISECOND, START, Capture, Node

A, B, C = Node(1, slots=[(0, 8191)]), Node(2, slots=[(8192, 16383)]), Node(3)


def talk():
    """Two links, some twenty messages, a packet each millisecond."""
    capture = Capture()
    there = capture.link(A, B).open()
    back = capture.link(B, A, port=40002).open()
    for i in range(1, 6):
        there.send("client", wire.ping(A, [wire.entry(C)], offset=i))
        there.send("server", wire.pong(B, offset=i))
        back.send("client", wire.ping(B, offset=i))
        back.send("server", wire.pong(A, offset=i))
    there.send("client", wire.publish(A, b"news", b"payload"))
    there.close()
    return capture


TALK = talk()
PLAIN = TALK.pcap()


@pytest.fixture
def whole(store):
    """The events of the whole conversation."""
    events = bustap.dump(store(PLAIN, "whole.pcap"))
    assert len(bustap.messages(events)) == 21
    return events


def zstd(data, *options):
    return subprocess.run(["zstd", "-qc", *options], input=data, stdout=subprocess.PIPE,
                          check=True).stdout


# ------------------------------------------------------------------------------- forms of a file

HALF = len(PLAIN) // 2
FORMS = {
    "pcap big endian": TALK.pcap(big=True),
    "pcap nanoseconds": TALK.pcap(nano=True),
    "pcap nanoseconds big endian": TALK.pcap(nano=True, big=True),
    "pcapng": TALK.pcapng(),
    "pcapng big endian": TALK.pcapng(big=True),
    "pcapng microseconds": TALK.pcapng(resolution=6),
    "pcapng milliseconds": TALK.pcapng(resolution=3),
    "pcapng time offset": TALK.pcapng(offset=1_600_000_000),
    "pcapng without strange blocks": TALK.pcapng(strangers=False),
    "pcapng two sections": None,
    "zstd": zstd(PLAIN),
    "zstd two frames": zstd(PLAIN[:HALF]) + zstd(PLAIN[HALF:]),
    "zstd with a skippable frame": struct.pack("<II", 0x184D2A50, 9) + b"skip this" + zstd(PLAIN),
    "zstd large window": zstd(PLAIN, "--long=27"),
    "zstd of pcapng": zstd(TALK.pcapng()),
    "gzip": gzip.compress(PLAIN),
    "gzip two members": gzip.compress(PLAIN[:HALF]) + gzip.compress(PLAIN[HALF:]),
    "gzip of pcapng": gzip.compress(TALK.pcapng()),
}
_frames = [(t, f, 0) for t, f in TALK.frames()]
FORMS["pcapng two sections"] = (wire.pcapng(_frames[:20], [wire.ETHERNET])
                                + wire.pcapng(_frames[20:], [wire.ETHERNET], big=True))


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_form_of_the_file(store, whole, data):
    """Recognised by content, whatever the name; every event equal, with its time and frame."""
    events = bustap.dump(store(data, "capture.whatever"))
    assert not bustap.first_difference(whole, events, ("pcap", "here"))


@pytest.mark.parametrize("data", [PLAIN, FORMS["pcapng"], FORMS["zstd"], FORMS["gzip"]],
                         ids=["pcap", "pcapng", "zstd", "gzip"])
def test_standard_input(whole, data):
    """`-` reads any of the forms."""
    assert not bustap.first_difference(whole, bustap.dump("-", stdin=data), ("file", "stdin"))


def test_report_from_standard_input(store):
    report = bustap.analyze("-", stdin=PLAIN)
    assert report["bus"] == bustap.analyze(store(PLAIN))["bus"]


def test_times_are_the_packets(whole):
    """RFC 3339, UTC, nine digits; frames count from one."""
    first = whole[0]
    assert first["frame"] >= 1 and first["source"] == 0
    times = {bustap.when(t): i for i, (t, _) in enumerate(TALK.packets, 1)}
    for m in bustap.messages(whole):
        assert times[m["time"]] == m["frame"]


def test_nanoseconds_are_kept(store, link):
    capture, connection = link()
    capture.now = START + 123_456_789
    connection.send("client", wire.ping(A, ), sizes=[5000])
    (m,) = bustap.messages(bustap.dump(store(capture.pcap(nano=True))))
    assert m["time"] == "2023-11-14T22:13:20.123456789Z"


# ------------------------------------------------------------------------------- windows

@pytest.mark.parametrize("packets", range(0, len(TALK.packets), 7))
def test_prefix(store, whole, packets):
    """The first packets of a capture give the first messages of it."""
    part = bustap.messages(bustap.dump(store(wire.pcap(TALK.frames()[:packets]))))
    assert part == bustap.messages(whole)[:len(part)]
    assert len(part) == len([m for m in bustap.messages(whole) if m["frame"] <= packets])


@pytest.mark.parametrize("count", [1, 10, 40, 10 ** 6])
def test_count(store, whole, count):
    """-c reads so many packets and no more."""
    path = store(PLAIN)
    part = bustap.messages(bustap.dump("-c", count, path))
    assert part == [m for m in bustap.messages(whole) if m["frame"] <= count]
    assert bustap.analyze("-c", count, path)["capture"]["packets"] == min(count, len(TALK.packets))


def test_from_and_to(store, whole):
    """Only packets between the two times, both included, are read."""
    path = store(PLAIN)
    first, last = START + 20 * MILLISECOND, START + 50 * MILLISECOND
    report = bustap.analyze("--from", bustap.when(first), "--to", bustap.when(last), path)
    assert report["capture"]["packets"] == 31
    assert (report["capture"]["first"], report["capture"]["last"]) == (
        bustap.when(first), bustap.when(last))
    part = bustap.messages(bustap.dump("--to", bustap.when(last), path))
    assert part == [m for m in bustap.messages(whole) if m["time"] <= bustap.when(last)]


LINKS = {"Ethernet": (wire.ethernet, wire.ETHERNET), "raw IP": (lambda ip: ip, 101)}


@pytest.mark.parametrize("wrap,link", LINKS.values(), ids=LINKS)
def test_filter(store, wrap, link):
    """As tcpdump's, also of a file: what does not pass is not there, and -c does not count it.
    Frames keep their numbers."""
    path = store(TALK.pcap(wrap, link))
    kept = [m for m in bustap.messages(bustap.dump(path)) if ":40002" not in m["src"] + m["dst"]]
    assert 0 < len(kept) < 21
    assert bustap.messages(bustap.dump("-f", "not port 40002", path)) == kept
    counted = bustap.dump("-f", "not port 40002", "-c", kept[2]["frame"], path)
    assert len(bustap.messages(counted)) > 3
    assert bustap.analyze("--filter=udp", path)["capture"]["packets"] == 0


def test_wrong_filter(store):
    done = bustap.run("analyze", "-f", "frob nicate", store(PLAIN), code=2)
    assert "frob nicate" in done.err.decode() and done.out == b""


def test_filter_for_a_link_type_that_has_none(store):
    """It cannot be told what passes."""
    done = bustap.run("analyze", "-f", "tcp", store(TALK.pcap(wire.ethernet, 65000)), code=2)
    assert "filter 'tcp'" in done.err.decode()


@pytest.mark.parametrize("window", [("--to", "2001-01-01T00:00:00Z"),
                                    ("--from", "2099-01-01T00:00:00Z")])
def test_empty_window(store, window):
    """Nothing in the window is a report of nothing, not an error."""
    report = bustap.analyze(*window, store(PLAIN))
    assert report["capture"]["packets"] == 0 and report["bus"]["messages"] == {}


@pytest.mark.parametrize("options,said", [
    (("--to", "2001-01-01T00:00:00Z"), "--from and --to"),
    (("--from", "23:59:59"), "--from and --to"),
    (("-f", "udp"), "(-f)"),
])
def test_why_nothing_is_left(store, options, said):
    """Who asks for the wrong moment is told which ones there are, who filters too much, of that."""
    first, last = (bustap.when(t) for t in (TALK.packets[0][0], TALK.packets[-1][0]))
    line = bustap.run("analyze", "-q", *options, store(PLAIN)).text
    assert said in line
    assert ("-f" in options) or f"from {first} to {last}" in line


def without_time(data):
    """A pcapng Simple Packet Block, which has none."""
    return wire.block("<", 3, struct.pack("<I", len(data)) + data)


@pytest.mark.parametrize("window,undated", [((), 1), (("--to", "23:59:59"), 1),
                                            (("--from", "00:00:00"), 0)])
def test_packets_without_a_time(store, window, undated):
    """The day of HH:MM:SS is that of the first packet that has one."""
    packets = [(time, data, 0) for time, data in TALK.frames()]
    head = len(wire.pcapng([]))
    whole = wire.pcapng(packets, strangers=False)
    data = whole[:head] + without_time(packets[0][1]) + whole[head:]
    assert bustap.analyze(*window, store(data))["capture"]["packets"] == len(packets) + undated


@pytest.mark.parametrize("ticks", (2 ** 63 - 1, 2 ** 64 - 1))
def test_the_last_time_there_is(store, ticks):
    """Times that do not fit are the last moment, and so is the first of them."""
    path = store(wire.pcapng([(ticks, b"x" * 60, 0)]))
    capture = bustap.analyze("--to", "23:59:59", path)["capture"]
    assert capture["packets"] == 1
    assert capture["first"] == capture["last"] == bustap.when(2 ** 63 - 1)


# ------------------------------------------------------------------------------- several files

SPLITS = {
    "one after the other": lambda i: i > 25,
    "every other packet": lambda i: i % 2,
    "blocks of five": lambda i: i // 5 % 2,
}


@pytest.mark.parametrize("second", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("swap", [False, True], ids=["in order", "swapped"])
def test_files_are_merged_by_time(store, whole, second, swap):
    """A capture in two files is one capture, in whatever order they are named."""
    halves = [[], []]
    for i, frame in enumerate(TALK.frames()):
        halves[bool(second(i))].append(frame)
    paths = [store(wire.pcap(half)) for half in (halves[::-1] if swap else halves)]
    events = bustap.dump(*paths)
    bustap.same_messages(whole, events)
    times = [[m["time"] for m in bustap.messages(e)] for e in (whole, events)]
    assert times[0] == times[1]
    assert {m["source"] for m in bustap.messages(events)} <= {0, 1}
    report = bustap.analyze(*paths)
    assert len(report["capture"]["sources"]) == 2
    assert report["capture"]["packets"] == len(TALK.packets)


def test_files_of_different_forms(store, whole):
    """A zstd pcapng of cooked frames and a big-endian pcap of Ethernet."""
    frames = TALK.packets
    one = store(zstd(wire.pcapng([(t, wire.sll2(p), 0) for t, p in frames[:30]], [wire.SLL2])))
    two = store(wire.pcap([(t, wire.ethernet(p)) for t, p in frames[30:]], big=True))
    bustap.same_messages(whole, bustap.dump(one, two))


def test_option_r(store, whole):
    """-r FILE is FILE."""
    path = store(PLAIN)
    assert bustap.dump("-r", path) == whole


# ------------------------------------------------------------------------------- the report

def test_report_has_what_the_contract_names(store):
    """Every member of contract section 2 is there, with its type."""
    path = store(PLAIN)
    report = bustap.analyze(path)
    assert report["schema"] == "bustap.report/1"
    assert report["tool"]["name"] == "bustap" and report["tool"]["version"]
    capture = report["capture"]
    (source,) = capture["sources"]
    assert source["path"] == str(path)
    assert source["sha256"] == hashlib.sha256(PLAIN).hexdigest()
    assert source["packets"] == capture["packets"] == len(TALK.packets)
    assert source["truncated_packets"] == 0 and len(source["link_types"]) == 1
    assert {"format", "bytes", "kernel_drops"} <= source.keys()
    assert capture["first"] == bustap.when(TALK.packets[0][0])
    assert capture["last"] == bustap.when(TALK.packets[-1][0])
    assert capture["loss"] == {**capture["loss"], "gaps": 0, "gap_bytes": 0,
                               "estimated_lost_packets": 0}
    bus = report["bus"]
    assert bus["messages"] == {"ping": 10, "pong": 10, "publish": 1}
    assert bus["undecoded_bytes"] == 0 and bus["anomalies"] == {}
    assert bus["bytes"] == 20 * 2256 + 5 * 104 + 2256 + 8 + 4 + 7
    rows = {row["node"]: row for row in bus["by_node"]}
    assert rows[A.id]["sent"] == {"ping": 5, "pong": 5, "publish": 1}
    assert rows[B.id]["received"] == {"ping": 5, "pong": 5, "publish": 1}
    assert rows[A.id]["addr"] == "10.0.0.1:6379"
    nodes = {n["id"]: n for n in report["cluster"]["nodes"]}
    assert {"id", "addr", "bus_port", "role", "primary", "slots", "config_epoch", "repl_offset",
            "flags", "first_seen", "last_seen", "state"} <= nodes[A.id].keys()
    assert nodes[A.id]["role"] == "primary" and nodes[A.id]["slots"] == "0-8191"
    assert report["cluster"]["slots"] == [
        {**row, "range": r, "owner": o} for row, (r, o) in
        zip(report["cluster"]["slots"], [("0-8191", A.id), ("8192-16383", B.id)], strict=True)]
    assert isinstance(report["timeline"], list) and isinstance(report["findings"], list)
    assert {"servers", "undecoded_bytes", "unanswered", "unmatched_replies", "anomalies"} <= report[
        "clients"].keys()


def test_same_file_same_report(store):
    """No clock and no chance: twice the same bytes."""
    path = store(PLAIN)
    for command in (["analyze", "--json"], ["analyze"], ["dump"], ["dump", "--json"]):
        assert bustap.run(*command, path).out == bustap.run(*command, path).out


def test_json_into_a_file(store, tmp_path):
    """--json=FILE writes the report there; the text stays on standard output."""
    target = tmp_path / "report.json"
    done = bustap.run("analyze", f"--json={target}", store(PLAIN))
    assert b'"bustap.report/1"' in target.read_bytes()
    assert done.out and not done.out.startswith(b"{")


def test_text_report(store):
    """A person finds the nodes, the slots and the counts in it."""
    text = bustap.run("analyze", store(PLAIN)).text
    for word in ("10.0.0.1:6379", "0-8191", A.id[:6], "ping"):
        assert word in text


def test_text_dump_is_greppable(store):
    """One line per event; the type and the frame are in it."""
    lines = [line for line in bustap.run("dump", store(PLAIN)).text.splitlines()
             if "publish" in line.lower()]
    assert len(lines) == 1 and "news" in lines[0]


def test_quiet(store):
    """-q: nothing on standard error, exit code as ever."""
    done = bustap.run("analyze", "-q", store(PLAIN))
    assert done.err == b""


def test_no_colour_on_a_pipe(store):
    """Colour only on request: `run` refuses escapes in any output."""
    bustap.run("analyze", "--color", "never", store(PLAIN))
    bustap.run("analyze", "--color", "auto", store(PLAIN))


def test_no_progress_on_a_pipe(store):
    """Progress is for terminals only."""
    assert bustap.run("analyze", store(PLAIN)).err == b""


def test_full_disk(store):
    """Output that cannot be written is an error, not a success."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([bustap.PROGRAM, "analyze", "--json", store(PLAIN)], stdout=full,
                              stderr=subprocess.PIPE, timeout=bustap.TIMEOUT)
    assert done.returncode == 2 and done.stderr


def test_closed_standard_output(store, tmp_path):
    """Its number is not that of the next file to be opened: no text among the JSON. There is more
    of both than waits for the end."""
    talk, target = Capture(), tmp_path / "events.json"
    connection = talk.link(A, B).open()
    for i in range(1000):
        connection.send("client", wire.ping(A, offset=i))
    with open(store(talk.pcap()), "rb") as capture:
        done = subprocess.run(
            ["sh", "-c", '"$0" dump - --json="$1" >&-', bustap.PROGRAM, target],
            stdin=capture, stderr=subprocess.PIPE, timeout=bustap.TIMEOUT)
    assert done.returncode == 2 and b"standard output" in done.stderr
    for line in target.read_text().splitlines():
        json.loads(line)


@pytest.mark.parametrize("name", ("capture.pcap", "-"))
def test_json_not_over_the_capture(store, name):
    """Also if it is known as standard input only."""
    path = store(PLAIN, "capture.pcap")
    with open(path, "rb") as capture:
        done = subprocess.run([bustap.PROGRAM, "analyze", f"--json={path}",
                               path if name != "-" else "-"], stdin=capture,
                              capture_output=True, timeout=bustap.TIMEOUT)
    assert done.returncode == 2 and b"name another file" in done.stderr
    with open(path, "rb") as capture:
        assert capture.read() == PLAIN


# ------------------------------------------------------------------------------- damage

def record_offsets(data):
    """Where each record of a little-endian pcap begins."""
    offset = 24
    while offset < len(data):
        yield offset
        offset += 16 + struct.unpack_from("<I", data, offset + 8)[0]


@pytest.mark.parametrize("packets, into", [(30, 1), (30, 15), (30, 16), (30, 50), (1, 5), (45, 17)])
def test_cut_file(store, whole, packets, into):
    """Everything before the cut is used, the report is whole, the place is named, exit code 2."""
    offset = list(record_offsets(PLAIN))[packets]
    path = store(PLAIN[:offset + into], "cut.pcap")
    before = [m for m in bustap.messages(whole) if m["frame"] <= packets]
    assert bustap.messages(bustap.dump(path, code=2)) == before
    assert bustap.analyze(path, code=2)["capture"]["packets"] == packets
    said = bustap.run("analyze", path, code=2).err.decode()
    assert "cut.pcap" in said
    assert str(offset) in said or str(offset + into) in said, "the byte offset of the damage"


DAMAGED = {
    "record length 2^32-1": (lambda d, o: d[:o + 8] + b"\xff\xff\xff\xff" + d[o + 12:]),
    "record length 2^31": (lambda d, o: d[:o + 8] + b"\0\0\0\x80" + d[o + 12:]),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_damaged_record(store, whole, damage):
    """A record that cannot be: what was before it counts."""
    offset = list(record_offsets(PLAIN))[30]
    path = store(damage(PLAIN, offset), "bad.pcap")
    before = [m for m in bustap.messages(whole) if m["frame"] <= 30]
    assert bustap.messages(bustap.dump(path, code=2)) == before


@pytest.fixture(scope="module")
def long_talk():
    """A capture of some 600 KB that does not compress, so that a cut leaves something in front."""
    dice, capture = random.Random(7), Capture()
    connection = capture.link(A, B).open()
    for i in range(100):
        connection.send("client", wire.publish(A, b"news", dice.randbytes(4000), offset=i))
    return capture


@pytest.mark.parametrize("form", [zstd, gzip.compress, bytes], ids=["zstd", "gzip", "plain"])
@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
@pytest.mark.parametrize("share", [0.4, 0.7, 0.95])
def test_cut_in_other_forms(store, long_talk, form, kind, share):
    """Cut inside compressed data or a block: the messages up to there, exit code 2."""
    whole = bustap.messages(bustap.dump(store(long_talk.pcap())))
    data = form(getattr(long_talk, kind)())
    path = store(data[:int(len(data) * share)])
    part = bustap.messages(bustap.dump(path, code=2))
    assert part == whole[:len(part)]
    assert len(part) > len(whole) * (share - 0.35)
    assert bustap.analyze(path, code=2)["bus"]["messages"] == {"publish": len(part)}


def test_damage_in_one_of_two_files(store, whole):
    """The sound file is read to its end."""
    frames = TALK.frames()
    sound, cut = store(wire.pcap(frames[:40])), store(wire.pcap(frames[40:])[:-5])
    found = bustap.messages(bustap.dump(sound, cut, code=2))
    assert len(found) >= len([m for m in bustap.messages(whole) if m["frame"] <= 40])


NO_CAPTURES = {
    "empty": b"",
    "one byte": b"\xd4",
    "text": b"this is not a capture\n" * 10,
    "zstd of text": zstd(b"this is not a capture\n" * 10),
    "gzip of nothing": gzip.compress(b""),
    "half a pcap header": PLAIN[:20],
    "half a pcapng header": TALK.pcapng()[:20],
    "zstd magic only": b"\x28\xb5\x2f\xfd",
}


@pytest.mark.parametrize("data", NO_CAPTURES.values(), ids=NO_CAPTURES)
def test_no_capture(store, data):
    """Not a capture at all: exit code 2, the file named, a line of explanation."""
    done = bustap.run("analyze", store(data, "strange.bin"), code=2)
    assert "strange.bin" in done.err.decode()


def test_capture_without_packets(store):
    """A header and nothing else is a capture in which nothing happened."""
    assert bustap.analyze(store(wire.pcap([])))["capture"]["packets"] == 0


def test_zstd_bomb(store):
    """A hundred megabytes of zeros in a few kilobytes: an end in time and a clear word."""
    data = zstd(wire.pcap([]) + bytes(100 << 20), "-19")
    bustap.run("analyze", store(data), code=(0, 2))


# ------------------------------------------------------------------------------- usage errors

def test_missing_file(tmp_path):
    """The name and the reason."""
    done = bustap.run("analyze", tmp_path / "not-there.pcap", code=2)
    assert "not-there.pcap" in done.err.decode()
    assert "no such file" in done.err.decode().lower()


@pytest.mark.parametrize("path", ["live:lo", "ebpf:lo"])
def test_an_interface_is_no_file(tmp_path, path):
    """It would be opened with the privileges of the caller, which files do not make us give up."""
    done = bustap.run("analyze", path, code=2)
    assert "-i" in done.err.decode() and "./" + path in done.err.decode()
    named = tmp_path / path
    named.write_bytes(PLAIN)
    assert len(bustap.messages(bustap.dump(named))) == 21


def test_directory(tmp_path):
    done = bustap.run("analyze", tmp_path, code=2)
    assert str(tmp_path) in done.err.decode()


USAGE = {                                              # arguments: what the error must name
    (): "",
    ("analyze",): "",
    ("frobnicate", "x.pcap"): "frobnicate",
    ("analyze", "--frobnicate", "x.pcap"): "--frobnicate",
    ("analyze", "-c", "many", "x.pcap"): "many",
    ("analyze", "-c", "-5", "x.pcap"): "-5",
    ("analyze", "--from", "yesterday-ish", "x.pcap"): "yesterday-ish",
    ("analyze", "--to"): "--to",
    ("analyze", "--color", "mauve", "x.pcap"): "mauve",
    ("analyze", "--from", "12:00:00", "--to", "11:00:00", "x.pcap"): "--from is later than --to",
    ("analyze", "--set", "clock-skew-seconds=4294967296", "x.pcap"): "up to 4294967295",
    ("analyze", "--set", "clock-skew-seconds", "x.pcap"): "clock-skew-seconds=NUMBER",
    ("watch", "-i", "lo", "-B", "2048"): "1 to 2047",           # libpcap's int of bytes
    ("watch", "-i", "lo", "-B", "0"): "1 to 2047",
    ("watch", "-i", "lo", "-s", "262145"): "262144",
    ("watch", "-i", "lo", "-p", "7000-6999"): "7000-6999",
    ("watch", "-i", "lo", "-p", "7000- 7005"): "7000- 7005",
    ("watch", "-i", "lo", "-p", "4294974295"): "4294974295",    # 6999, were it cut to 32 bits
    ("list", "frobs"): "frobs",
    ("list", "events", "limits"): "one list at a time",
}


@pytest.mark.parametrize("args", USAGE, ids=lambda a: " ".join(a) or "nothing")
def test_usage_error(args):
    """Exit code 2; standard error names what was wrong and says where help is; output is empty."""
    done = bustap.run(*args, code=2)
    said = done.err.decode()
    assert USAGE[args] in said
    assert "help" in said or "usage" in said.lower()
    assert done.out == b""


def test_hostile_argument():
    """Arguments are quoted back safely: `run` looks for raw escapes."""
    bustap.run("analyze", "--\x1b[31mred", code=2)
    bustap.run("\x1b]0;title\x07", code=2)
    bustap.run("analyze", "no\x1b[2Jfile.pcap", code=2)


def test_version_and_help():
    """Both end with 0, on standard output."""
    assert bustap.run("--version").text.startswith("bustap ")
    text = bustap.run("--help").text
    for command in ("analyze", "dump", "list"):
        assert command in text
    for command in ("analyze", "dump", "watch"):
        text = bustap.run(command, "--help").text
        assert "--json" in text
        assert max(map(len, text.partition("options:")[2].splitlines())) <= 80


LISTS = ("detectors", "events", "messages", "sources", "sinks", "anomalies", "limits", "thresholds")


@pytest.mark.parametrize("what", LISTS)
def test_lists_fit_a_terminal(what):
    """For a program that reads it, a row is a line: each begins with a name."""
    ours, its = pty.openpty()
    with open(ours, "rb") as terminal:
        listing = subprocess.Popen([bustap.PROGRAM, "list", what], stdout=its)
        os.close(its)
        shown = terminal_lines(terminal)
        assert listing.wait() == 0
    assert len(shown) > 3 and max(map(len, shown)) <= 100
    rows = bustap.run("list", what).text.splitlines()
    assert all(re.match("  [^ ]", row) for row in rows)
    assert " ".join(shown).split() == " ".join(rows).split()


def terminal_lines(terminal):
    """Until the program closes it, which a terminal calls an error."""
    text = b""
    try:
        while data := terminal.raw.read(65536):
            text += data
    except OSError:
        pass
    return text.decode().splitlines()


def test_list_messages():
    """`list messages` names all types."""
    text = bustap.run("list", "messages").text
    for name in wire.TYPES:
        assert name in text
