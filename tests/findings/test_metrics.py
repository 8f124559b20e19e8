"""Whatever is found in real captures has what the contract promises (tests/lib/contract.py, which
findings.of() asks)."""

import pytest

from lib import captures, findings


@pytest.mark.parametrize("take", captures.TAKES, ids=lambda take: take.name)
def test_each_finding_has_what_the_contract_promises(take):
    findings.of(take.path)
