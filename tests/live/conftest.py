"""A table at the end: what ran live, how long, and what was left out and why."""

import pytest

ROWS = {}                               # by test: outcome, seconds, why


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if "test_live" not in item.nodeid or call.when == "teardown":
        return
    name = item.callspec.id if hasattr(item, "callspec") else item.name
    _, seconds, _ = ROWS.get(name, ("", 0, ""))
    why = report.longrepr[2].removeprefix("Skipped: ") if report.skipped else ""
    ROWS[name] = (report.outcome, seconds + report.duration, why)


def pytest_terminal_summary(terminalreporter):
    if ROWS:
        terminalreporter.section("live")
        width = max(map(len, ROWS))
        for name, (outcome, seconds, why) in ROWS.items():
            terminalreporter.write_line(f"{name:{width}}  {outcome:8} {seconds:4.0f} s  {why}")
