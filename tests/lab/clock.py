"""A wall clock for one node that differs from everybody's, by preload/clock.c.

    clock = Clock(folder)               # before the server starts, with clock.environment
    clock.set(30)                       # seconds ahead; at any time
"""

import functools
import struct

from . import BUILD, ROOT
from .net import command

SOURCE = ROOT / "tests" / "lab" / "preload" / "clock.c"


@functools.lru_cache(maxsize=None)
def _library():
    BUILD.mkdir(parents=True, exist_ok=True)
    library = BUILD / "clock.so"
    if not library.exists() or library.stat().st_mtime < SOURCE.stat().st_mtime:
        command("cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC",
                "-o", str(library), str(SOURCE))
    return library


class Clock:
    def __init__(self, folder):
        self.path, self.offset = folder / "clock", 0
        self.set(0)

    def set(self, seconds):
        """The file is mapped by the server, so it is written in place."""
        self.offset = seconds
        mode = "r+b" if self.path.exists() else "wb"
        with open(self.path, mode) as file:
            file.write(struct.pack("q", round(seconds * 1e9)))

    @property
    def environment(self):
        return {"LD_PRELOAD": str(_library()), "LAB_CLOCK": str(self.path)}
