"""The findings of a report, ready to be compared.

    found = findings.of(path)                     # a list of Finding, as `analyze --json` has them
    one = findings.only(found, "node-failed")     # exactly one of the type, else an error shows all
    findings.none(found, "split-brain")           # none of the type
    findings.quiet(found)                         # nothing at warning or above
    findings.quiet(found, but={"node-failed"})    # nothing else at warning or above
"""

import datetime

from lib import bustap, contract

LOUD = ("warning", "critical")


class Finding:
    """One finding: its members as attributes; `metrics` is a dictionary."""

    def __init__(self, members):
        self.__dict__.update(members)
        self.nodes = members["subjects"]["nodes"]

    @property
    def span(self):
        """Start and end in seconds since 1970; an end that is open is None."""
        return seconds(self.start), seconds(self.end)

    def __str__(self):
        return (f"  {self.id:4} {self.severity:8} {self.type:18} {self.verdict:18} "
                f"{self.confidence:8} {self.start} {self.title}")


def seconds(moment):
    """RFC 3339 with nanoseconds as seconds since 1970; None stays None."""
    if moment is None:
        return None
    whole, fraction = moment.rstrip("Z").split(".")
    at = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return at.timestamp() + float("0." + fraction)


def of(path, *args, code=0):
    found = [Finding(f) for f in bustap.analyze(*args, path, code=code)["findings"]]
    contract.check(found)
    return found


def listing(found):
    return "\n".join(map(str, found)) or "  (no findings)"


def all_of(found, type_):
    return [f for f in found if f.type == type_]


def only(found, type_):
    chosen = all_of(found, type_)
    assert len(chosen) == 1, f"{len(chosen)} findings {type_}, expected one:\n{listing(found)}"
    return chosen[0]


def none(found, type_):
    assert not all_of(found, type_), f"a finding {type_} that must not be:\n{listing(found)}"


def quiet(found, but=()):
    loud = [f for f in found if f.severity in LOUD and f.type not in but]
    assert not loud, f"findings that must not be:\n{listing(loud)}"
