"""What the kernel's programs have handed up and nobody has read yet: the rings (bpf/record.h) of a
program that stands still, from its memory.

    run.send_signal(signal.SIGSTOP)
    cable.send(frames)
    records = rings.waiting(run.pid, mib=32)
"""

import collections
import pathlib
import re
import struct

Record = collections.namedtuple("Record", "time cpu more wire_len frame")
HEAD, TAIL, DATA, SLACK = 0, 64, 128, 8192
RECORD = struct.Struct("<QIIIIBB6x")
LEAST = 256 << 10


def waiting(pid, mib):
    """The records of all rings, each ring's in their order."""
    count = 1 + int(re.findall(r"\d+", pathlib.Path("/sys/devices/system/cpu/possible").read_text())[-1])
    size = _power_of_two(max(LEAST, (mib << 20) // count))
    memory = _memory(pid, count * (DATA + size + SLACK))
    for cpu in range(count):
        start = cpu * (DATA + size + SLACK)
        yield from _records(memory[start:start + DATA + size + SLACK], size, cpu)


def _power_of_two(most):
    return 1 << (most.bit_length() - 1)


def _memory(pid, size):
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if "bpf-map" in line and " rw-s " in line and last - first >= size:
            with open(f"/proc/{pid}/mem", "rb") as memory:
                memory.seek(first)
                return memory.read(size)
    raise AssertionError("it has no rings")


def _records(ring, size, cpu):
    head, tail = (struct.unpack_from("<Q", ring, at)[0] for at in (HEAD, TAIL))
    while tail < head:
        at = DATA + tail % size
        time, whole, length, wire_len, _, more, _ = RECORD.unpack_from(ring, at)
        frame = ring[at + RECORD.size:at + RECORD.size + length]
        yield Record(time, cpu, bool(more), wire_len, frame)
        tail += whole
    assert tail == head
