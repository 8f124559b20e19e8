"""The systemd unit: hardened as far as it can be, and yet able to find servers and to capture."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from lib import bustap
from . import host as hosts

EXPOSURE_MAX = 2.5                      # of 10; what `systemd-analyze security` says of the unit


def need(tool, package):
    return pytest.mark.skipif(not shutil.which(tool), reason=f"needs {tool} ({package})")


@pytest.fixture
def unit(tmp_path):
    """The file as it would be installed for the program that is tested."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "bustap").symlink_to(bustap.PROGRAM)
    path = tmp_path / "bustap.service"
    subprocess.run(["make", "-s", f"O={tmp_path}", f"PREFIX={tmp_path}", path],
                   cwd=bustap.ROOT, check=True)
    return path


def settings(unit, name):
    """The words of all lines `name=...`."""
    return " ".join(re.findall(rf"^{name}=(.*)", unit.read_text(), re.M)).split()


def analyze(*words):
    done = subprocess.run(["systemd-analyze", "--no-pager", *map(str, words)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


@need("systemd-analyze", "systemd")
def test_it_is_a_sound_unit(unit):
    assert analyze("verify", unit) == (0, "")


@need("systemd-analyze", "systemd")
def test_its_exposure(unit):
    code, told = analyze("security", "--offline=yes", f"--threshold={EXPOSURE_MAX * 10:.0f}", unit)
    assert code == 0, told
    assert float(re.search(r"Overall exposure level for \S+: ([\d.]+)", told)[1]) <= EXPOSURE_MAX


def test_it_is_installed_and_not_enabled(unit, tmp_path):
    plan = subprocess.run(["make", "-n", "PREFIX=/usr", f"DESTDIR={tmp_path}", "install"],
                          cwd=bustap.ROOT, check=True, capture_output=True, text=True).stdout
    assert f"bustap.service {tmp_path}/usr/lib/systemd/system/bustap.service" in plan
    assert "enable" not in plan and ".wants" not in plan
    assert f"ExecStart={tmp_path}/bin/bustap watch" in unit.read_text()


def as_service(unit, *more):
    """The command of the unit, with its capabilities and a user that is not root."""
    caps = ["-all", *(f"+{cap.removeprefix('CAP_').lower()}"
                      for cap in settings(unit, "AmbientCapabilities"))]
    kinds = [word for kind in ("inh", "ambient", "bounding")
             for word in (f"--{kind}-{'set' if kind == 'bounding' else 'caps'}", ",".join(caps))]
    command = settings(unit, "ExecStart")
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *kinds,
            "--no-new-privs", *more, bustap.PROGRAM, *command[1:-1]]      # without $BUSTAP_OPTIONS


@pytest.fixture
def host(tmp_path):
    with hosts.Host(tmp_path) as h:
        h.add("blue", "10.9.0.2")
        h.server(7000)
        h.server(7001, inside="blue")
        yield h


def run_as_service(host, command):
    run = host.popen(command)
    pid = host.captures(run, None, "blue")
    os.kill(pid, signal.SIGINT)
    _, err = run.communicate(timeout=20)
    assert run.returncode == 0, err


live = pytest.mark.skipif(hosts.missing() is not None, reason=str(hosts.missing()))


@live
def test_its_capabilities_are_enough(host, unit):
    """To find the servers of root, also in another namespace, and to capture there."""
    run_as_service(host, as_service(unit))


@live
@pytest.mark.parametrize("needed", ["NET_RAW", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_ADMIN"])
def test_each_of_its_capabilities_is_needed(host, unit, needed):
    command = [word.replace(f",+{needed.lower()}", "") for word in as_service(unit)]
    run = host.popen(command)
    time.sleep(1.0)
    captured_from = [bool(host.rings(inside)) for inside in (None, "blue")]
    assert captured_from != [True, True]
    host.kill(run)


@live
@need("strace", "strace")
@need("systemd-analyze", "systemd")
def test_it_makes_no_call_that_is_denied(host, unit):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)         # it is another user who writes there
        traced = pathlib.Path(folder, "calls")
        run_as_service(host, as_service(unit, "strace", "-f", "-o", traced))
        calls = re.findall(r"^\d+ +(\w+)\((.*)", traced.read_text(), re.M)
    assert {name for name, _ in calls} - allowed(unit) == set()
    families = {re.match(r"\w+", words)[0] for name, words in calls if name == "socket"}
    assert families <= set(settings(unit, "RestrictAddressFamilies"))
    assert all("CLONE_NEWNET" in words for name, words in calls if name == "setns")


def allowed(unit):
    """The system calls that the lines SystemCallFilter= leave, in their order."""
    names = members("@default")
    for line in re.findall(r"^SystemCallFilter=(.*)", unit.read_text(), re.M):
        listed = set().union(*map(members, line.lstrip("~").split()))
        names = names - listed if line.startswith("~") else names | listed
    return names


def members(word):
    """Of a set like @system-service, those of the sets in it included."""
    if not word.startswith("@"):
        return {word}
    lines = [line.strip() for line in analyze("syscall-filter", word)[1].splitlines()[1:]]
    return set().union(*(members(line) for line in lines if line and line[0] != "#"))
