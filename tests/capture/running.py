"""The program at a cable (cable.py), while it captures, and what it says of that.

    run = start(cable, "dump", "--json", "-i", cable.far)       # by cable.backend
    cable.send(frames)
    out, err = end(run)
    assert counted(err) == (len(frames), 0)
"""

import json
import pathlib
import re
import signal
import subprocess
import threading
import time

from lib import bustap, reader

# What another moment changes.
MOMENT = ("time", "frame", "source", "request_frame", "latency_us")
SETTLE = 0.4                            # seconds: a ring hands its blocks over within 0.1


def popen(cable, *args):
    return cable.popen([bustap.PROGRAM, *args, "--backend", cable.backend])


def await_capture(run):
    """The last thing before it captures is to forbid itself all else."""
    deadline = time.monotonic() + 10
    while status_of(run).get("Seccomp") != "2":
        assert run.poll() is None, run.communicate()[1]
        assert time.monotonic() < deadline, "it does not capture"
        time.sleep(0.01)


def start(cable, *args):
    """The program, once it captures."""
    run = popen(cable, *args)
    await_capture(run)
    if cable.backend == "ebpf":
        assert programs(run), "eBPF was refused, and libpcap taken: run it to see why"
    return run


def status_of(run):
    status = pathlib.Path(f"/proc/{run.pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)


def sockets(cable):
    """The packet sockets in the cable's namespace."""
    return cable.run("cat", "/proc/net/packet").splitlines()[1:]


def programs(run):
    """The eBPF programs that the process holds, by id."""
    infos = pathlib.Path(f"/proc/{run.pid}/fdinfo").glob("*")
    return {int(found) for info in infos
            for found in re.findall(r"^prog_id:\s*(\d+)", info.read_text(), re.M)}


def loaded():
    """Those of the system."""
    shown = subprocess.run(["bpftool", "-j", "prog", "show"], check=True, capture_output=True)
    return {program["id"] for program in json.loads(shown.stdout)}


def end(run, code=0):
    time.sleep(SETTLE)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=20)
    assert run.returncode == code, err
    return out, err


def tcp_frames(take):
    return [frame for _, _, frame in reader.packets(take.raw()) if frame[12:14] == b"\x08\x00"
            and frame[23] == 6]


def counted(err):
    """(captured, dropped), as told last."""
    told = re.findall(r"^bustap: (\d+) packets captured, (\d+) dropped", err, re.M)[-1]
    return tuple(map(int, told))


def reading(run):
    """Reads what it prints as it comes; gives a function that waits for the end of it."""
    taken = []
    thread = threading.Thread(target=lambda: taken.append(run.stdout.read()))
    thread.start()

    def whole():
        thread.join(timeout=60)
        return taken[0]
    return whole


def lived(cable, frames, *args):
    """The events that these frames make when they come by, and what is counted."""
    run = start(cable, "dump", "--json", "-i", cable.far, *args)
    taken = reading(run)
    cable.send(frames)
    time.sleep(SETTLE)
    run.send_signal(signal.SIGINT)
    events = events_in(taken())
    err = run.stderr.read()
    assert run.wait(timeout=20) == 0, err
    return events, counted(err)


def events_in(out):
    return [without_moment(json.loads(line)) for line in out.splitlines()]


def without_moment(event):
    return {key: value for key, value in event.items() if key not in MOMENT}


def same_as_stored(live, take):
    stored = [without_moment(event) for event in bustap.dump(take.path)]
    said = bustap.first_difference(stored, live, ("stored", "live"))
    assert not said, said


def frame_of(number):
    """A TCP segment that belongs to no connection."""
    return bytes(12) + b"\x08\x00" + b"\x45\x00\x00\x28" + bytes(4) + b"\x40\x06\0\0" + \
        b"\x0a\0\0\x01\x0a\0\0\x02" + b"\x30\x39\x18\xeb" + number.to_bytes(4, "big") + \
        bytes(4) + b"\x50\x10\xff\xff" + bytes(4)
