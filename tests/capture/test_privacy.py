"""What a live run tells holds no secret either: lines, NDJSON, counters, the full screen."""

import signal
import time

import pytest

from lib import bustap
from lib.canary import C1, C2, C, MONITOR_LINE, SECRETS, canaries
from lib.resp import OK, PONG, Dialogue, array, command, error
from . import cable as cables, tmux as tmuxes
from .test_live import start

pytestmark = pytest.mark.skipif(cables.missing() is not None, reason=str(cables.missing()))


@pytest.fixture(params=("pcap", "ebpf"))
def cable(request):
    with cables.Cable() as c:
        c.backend = request.param
        yield c


def frames():
    """Every secret on a connection of its own, and what leads to findings about one more."""
    capture = None
    for number, (_, words, reply) in enumerate(SECRETS):
        talk = Dialogue(capture, client=("10.0.9.1", 40000 + number))
        capture = talk.trade(command(*words), reply).capture
    burst = Dialogue(capture, client=("10.0.9.2", 40000)).trade("MONITOR", OK)
    burst.answer(*[MONITOR_LINE] * 5)
    burst = Dialogue(capture, client=("10.0.9.3", 40000)).trade(["CLIENT", "SETNAME", C], OK)
    for _ in range(300):
        burst.trade(["SET", C1, C2], error(f"OOM command not allowed, {C2}"))
    burst.trade("PING", PONG).trade("LRANGE l 0 1", array(C1, C2))
    return [frame for _, frame in capture.frames()]


@pytest.mark.parametrize("how", [["watch"], ["watch", "--json"], ["watch", "-v"], ["dump"],
                                 ["dump", "--json"]], ids=" ".join)
def test_lines(cable, how):
    run = start(cable, *how, "-i", cable.far)
    cable.send(frames())
    time.sleep(1.5)                                      # findings are told when time has moved on
    run.send_signal(signal.SIGUSR1)
    cable.send(frames()[:40])
    time.sleep(0.5)
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=20)
    assert run.returncode == 0 and "OOM" in out and "captured" in err
    assert not canaries(out + err)


@pytest.mark.skipif(tmuxes.missing() is not None, reason=str(tmuxes.missing()))
def test_full_screen():
    with cables.Cable() as cable, tmuxes.Tmux(200, 50) as screen:
        screen.start(cable.inside([bustap.PROGRAM, "watch", "--tui", "-i", cable.far]))
        screen.until("no findings so far")
        time.sleep(0.4)
        cable.send(frames())
        time.sleep(10.5)                                 # then a burst of errors is over, and told
        cable.send(frames()[:40])
        shown = screen.until("OOM")
        screen.press("Enter")
        shown += screen.until("evidence")
        assert not canaries("\n".join(shown))
