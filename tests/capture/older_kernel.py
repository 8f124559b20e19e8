"""Runs a program as on a kernel without tcx (before Linux 6.6): it is told that there is no such link.

usage: older_kernel.py COMMAND ...
"""

import ctypes
import os
import struct
import sys

BPF_CALL = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
BPF_LINK_CREATE = 28
EINVAL = 22
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06              # of classic BPF
CALL_AT, FIRST_ARGUMENT_AT = 0, 16                  # in struct seccomp_data
ALLOW, REFUSE = 0x7fff0000, 0x00050000 | EINVAL
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2

PROGRAM = [(LOAD, 0, 0, CALL_AT), (EQUAL, 0, 3, BPF_CALL), (LOAD, 0, 0, FIRST_ARGUMENT_AT),
           (EQUAL, 0, 1, BPF_LINK_CREATE), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]


def main(command):
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in PROGRAM))
    filter_ = struct.pack("HxxxxxxQ", len(PROGRAM), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0) != 0:
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
    os.execvp(command[0], command)


main(sys.argv[1:])
