"""Processes called redis-server that listen and do nothing: python3 fake_server.py PORT [COUNT]"""

import ctypes
import os
import signal
import socket
import sys

PR_SET_NAME = 15


def main(port, count=1):
    listener = socket.create_server(("0.0.0.0", port))
    for _ in range(count - 1):
        if os.fork() == 0:
            break
    ctypes.CDLL(None).prctl(PR_SET_NAME, b"redis-server")
    listener.listen()
    signal.pause()


main(*map(int, sys.argv[1:]))
