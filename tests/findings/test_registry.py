"""Every detector has a file here, with a case in which it must fire and a near miss in which it must
not: tests/findings/test_X.py has functions test_fires_... and test_near_miss_...
"""

import pathlib
import re

import pytest

from lib import bustap

HERE = pathlib.Path(__file__).parent
DETECTORS = [line.split()[0] for line in bustap.run("list", "detectors").text.splitlines()[1:]]


@pytest.mark.parametrize("detector", DETECTORS)
def test_detector_has_both_cases(detector):
    path = HERE / f"test_{detector.replace('-', '_')}.py"
    assert path.exists(), f"{path.name} is missing: write a case that fires and a near miss"
    text = path.read_text()
    for kind in ("test_fires_", "test_near_miss_"):
        assert re.search(rf"^def {kind}\w+\(", text, re.M), f"{path.name} has no {kind}..."
