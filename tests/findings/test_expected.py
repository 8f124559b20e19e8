"""Each capture of the lab has the findings that its scenario must have, and no other alarm.

    RUNS=DIR pytest tests/findings/test_expected.py      of runs that were kept: DIR/SCENARIO-SERVER/
"""

import os
import pathlib

import pytest

from lab import expected, scenarios
from lib import captures

KEPT = pathlib.Path(os.environ["RUNS"]) if os.environ.get("RUNS") else None
TAKES = [take for folder in sorted(KEPT.iterdir()) if (folder / "truth.json").exists()
         for take in captures.in_folder(folder)] if KEPT else captures.TAKES


@pytest.mark.parametrize("take", TAKES, ids=lambda take: take.name)
def test_the_findings_of_the_scenario(take):
    wrong = expected.differences(take)
    assert not wrong, f"{take.path}\n  " + "\n  ".join(wrong)


def test_each_scenario_has_its_row():
    assert set(scenarios.load_all()) <= set(expected.EXPECTED)
