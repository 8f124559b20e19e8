"""Waiting for what can be seen to happen: a condition has a name, and a time after which its not
coming true is an error that says what was seen last."""

import time

NOT_YET = (OSError, EOFError)           # refused, reset, timed out: the server may be on its way


class TooLate(Exception):
    """What was waited for did not come true."""


def wait_until(condition, what, timeout=20, every=0.05, check=lambda: None):
    """The first true value of condition(). check() is called in between, and may raise."""
    end = time.monotonic() + timeout
    while True:
        check()
        try:
            seen = condition()
        except NOT_YET as error:
            seen, last = None, error
        else:
            last = seen
        if seen:
            return seen
        if time.monotonic() > end:
            raise TooLate(f"waited {timeout} s in vain until {what}; seen last: {last!r}")
        time.sleep(every)
