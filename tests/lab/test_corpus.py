"""pcaps/: does its MANIFEST say what is there?"""

import re

from lab import corpus


def test_the_manifest_is_that_of_the_captures():
    """python3 -m tests.lab corpus writes it, for the runs that it makes and for all others."""
    assert corpus.manifest() == (corpus.PCAPS / "MANIFEST").read_text()


def test_its_times_are_those_of_runs():
    """Half a minute or two; nothing happens long before the first packet."""
    text = (corpus.PCAPS / "MANIFEST").read_text()
    lengths = [float(row[1]) for row in re.findall(r"^\S+ +(\d+) +([-\d.]+)  [0-9a-f]{16}$", text, re.M)]
    times = [float(time) for time in re.findall(r"^ {4} *([-\d.]+) \w", text, re.M)]
    assert len(lengths) == len(list(corpus.PCAPS.glob("*.pcap.zst"))) and times
    assert all(1 < length < 240 for length in lengths), lengths
    assert all(-1 < time < 240 for time in times), times
