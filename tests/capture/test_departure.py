"""An interface that goes away is told, and the capture goes on with what is left."""

import re
import signal
import time

import pytest

from lib import findings
from . import cable as cables
from .running import SETTLE, counted, end, frame_of, loaded, programs, sockets, start
from .test_learnt_ports import LEARN, announcing, frame_to

pytestmark = pytest.mark.skipif(cables.missing() is not None, reason=str(cables.missing()))


@pytest.fixture(params=("pcap", "ebpf"))
def cable(request):
    with cables.Cable() as c:
        c.backend = request.param
        c.lay("near2", "far2")
        yield c


def both(cable, *args):
    return start(cable, "watch", "-i", cable.far, "-i", "far2", *args)


def remove(cable, end_):
    cable.ip("link", "del", end_)
    time.sleep(LEARN)


def gone(err):
    """[(name, when, captured, dropped or None)]"""
    found = re.findall(r"^bustap: (\S+): the interface is gone since (\S+Z): (\d+) packets captured"
                       r"(?:, (\d+) dropped by the kernel)?$", err, re.M)
    return [(name, findings.seconds(when), int(packets), dropped and int(dropped))
            for name, when, packets, dropped in found]


def frames_of(count):
    return [frame_of(number) for number in range(count)]


def test_the_other_goes_on(cable):
    run = both(cable)
    cable.send(frames_of(7), "near2")
    cable.send(frames_of(100))
    before = time.time()
    remove(cable, "near2")
    after = time.time()
    assert run.poll() is None
    cable.send(frames_of(100))
    err = end(run)[1]
    assert counted(err) == (207, 0)
    (name, when, packets, dropped), = gone(err)
    assert (name, packets) == ("far2", 7) and before - 1 < when < after + 1
    assert dropped == (0 if cable.backend == "pcap" else "")


def test_the_first_goes_and_the_filter_of_the_other_grows(cable):
    run = both(cable, "-p", "6379")
    remove(cable, cable.near)
    news = announcing(7777)
    cable.send(news, "near2")
    time.sleep(LEARN)
    cable.send([frame_to(7777), frame_to(7778)], "near2")
    err = end(run)[1]
    assert counted(err) == (len(news) + 1, 0)
    assert [name for name, *_ in gone(err)] == ["far"]


def test_both_go(cable):
    """In order, with all that there was; and then the status says that it did not end by itself."""
    run = both(cable, "--json")
    mine = programs(run)
    cable.send(frames_of(50))
    remove(cable, cable.near)
    assert run.poll() is None
    cable.send(frames_of(30), "near2")
    time.sleep(SETTLE)
    cable.ip("link", "del", "near2")
    _, err = run.communicate(timeout=20)
    assert run.returncode == 2
    assert "the capture has ended: none of its 2 interfaces is left" in err
    assert [(name, packets) for name, _, packets, _ in gone(err)] == [("far", 50), ("far2", 30)]
    assert counted(err) == (80, 0)
    assert sockets(cable) == [] and not mine & loaded()


def test_both_go_behind_its_back(cable):
    run = both(cable)
    run.send_signal(signal.SIGSTOP)
    cable.send(frames_of(5000), cable.near, "near2")
    cable.ip("link", "del", cable.near)
    cable.ip("link", "del", "near2")
    run.send_signal(signal.SIGCONT)
    _, err = run.communicate(timeout=20)
    assert run.returncode == 2 and counted(err) == (5000, 0)
    assert sorted((name, packets) for name, _, packets, _ in gone(err)) == [("far", 2500), ("far2", 2500)]


def test_down_is_not_gone(cable):
    run = both(cable)
    cable.ip("link", "set", "far2", "down")
    time.sleep(LEARN)
    cable.ip("link", "set", "far2", "up")
    cable.send(frames_of(3), "near2")
    err = end(run)[1]
    assert gone(err) == [] and counted(err) == (3, 0)


def test_drops_of_one_that_is_gone_stay_counted(cable):
    run = both(cable, "-B", "1")
    run.send_signal(signal.SIGSTOP)
    cable.send(frames_of(60_000), "near2")
    run.send_signal(signal.SIGCONT)
    time.sleep(SETTLE)
    remove(cable, "near2")
    cable.send(frames_of(10))
    err = end(run)[1]
    captured, dropped = counted(err)
    assert dropped > 0 and captured + dropped == 60_010


def test_nothing_is_left_after_sigkill(cable):
    run = both(cable)
    mine = programs(run)
    remove(cable, "near2")
    assert sockets(cable) if cable.backend == "pcap" else mine & loaded()
    run.kill()
    run.communicate(timeout=20)
    time.sleep(SETTLE)
    assert sockets(cable) == [] and not mine & loaded()
