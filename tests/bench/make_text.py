"""Makes a capture of redis-benchmark's traffic as compressible as real one: its values, all the same,
become text like JSON, of the same length. Everything else stays.

make(SOURCE, TARGET, SIZE): about SIZE bytes from the beginning of SOURCE.
"""

import random
import re
import struct

VALUE = re.compile(rb"\$(\d{2,5})\r\n")
WORDS = ("id", "name", "user", "email", "created", "price", "count", "tags", "state", "address")


def text(dice, length):
    """Fields with values that repeat as those of real records do, and numbers that do not."""
    fields = []
    while sum(map(len, fields)) < length:
        fields.append(f'"{dice.choice(WORDS)}":{dice.randrange(10 ** dice.randrange(1, 9))},'
                      f'"{dice.choice(WORDS)}":"{dice.choice(WORDS)}-{dice.randrange(5000):x}",')
    return "".join(fields).encode()


def rewrite(frame, dice, pool):
    for match in VALUE.finditer(bytes(frame)):
        length = min(int(match[1]), len(frame) - match.end())
        if length > 40:  # a key is shorter
            start = dice.randrange(len(pool) - length)
            frame[match.end():match.end() + length] = pool[start:start + length]


def make(source, target, size):
    dice = random.Random(7)
    pool = text(dice, 1 << 20)
    with open(source, "rb") as old, open(target, "wb") as new:
        new.write(old.read(24))
        while new.tell() < size and (head := old.read(16)):
            frame = bytearray(old.read(struct.unpack_from("<I", head, 8)[0]))
            rewrite(frame, dice, pool)
            new.write(head + frame)
