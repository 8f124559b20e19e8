"""The table of commands against a server: every command that it has is in decode/commands.def, with
its flags, and the keys that we find in a request are those that COMMAND GETKEYS finds.

A redis-server of the system is started on a free port of the loopback interface. Another one, of
version 7.0 or later, that already runs is asked instead with

    BUSTAP_SERVER=127.0.0.1:6379 python3 -m pytest tests/commands
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

import pytest

from lib import bustap, server

ROW = re.compile(r'^COMMAND\("(.+)", +(\w+), +(\w+), +(\w+), +(\w+)\)$', re.MULTILINE)
ROWS = {row[0]: row[1:] for row in
        ROW.findall((bustap.ROOT / "decode" / "commands.def").read_text())}
ASK = pathlib.Path(bustap.PROGRAM).parent / "tests" / "commands" / "ask_commands"

# Rows that say more than the flags of old servers. name: why
BLOCKING_SINCE = {"wait": "flagged since Redis 7.2"}

# Requests of which GETKEYS knows less than we do. request: why
GETKEYS_ERRS = {("pfmerge", "k0"): "its second key spec finds nothing, and then the first is forgotten"}

# Requests beyond those made below. "" is an empty argument.
REQUESTS = """
bitop and d a b | blmpop 0 2 a b left | blmpop 0 3 a b | bzmpop 0 1 a min count 2
eval s 0 | eval s 0 a | eval s 1 a | eval s 2 a b c | eval s 2 a | eval s -1 a | evalsha s 1 a
eval_ro s 1 a | evalsha_ro s 2 a b | fcall f 1 a x | fcall_ro f 1 a
georadius g 1 2 3 m | georadius g 1 2 3 m store d | georadius g 1 2 3 m storedist d
georadius g 1 2 3 m withcoord count 3 asc store d | georadius g 1 2 3 m STORE d COUNT 1
georadius g 1 2 3 m store | georadiusbymember g store 3 m | georadiusbymember g m 3 m store d
lmpop 2 a b left | lmpop 3 a b left | lmpop 0 a left | lmpop x a left
migrate h 1 k 0 10 | migrate h 1 "" 0 10 keys a b | migrate h 1 "" 0 10 copy replace KEYS a
migrate h 1 "" 0 10 auth keys keys a b | migrate h 1 "" 0 10 auth2 keys keys keys a
migrate h 1 k 0 10 auth keys | migrate h 1 k 0 10 keys a b | migrate h 1 "" 0 10 copy
mset a 1 b 2 | msetnx a 1 | msetex 2 a 1 b 2 ex 3 | msetex 1 a 1 nx
sintercard 2 a b limit 3 | sintercard 1 a b
sort k | sort k store d | sort k by w_* get # get o_* limit 0 5 asc alpha store d | sort k STORE
sort k by store | sort k get store store d | sort k limit store store | sort k store d store e
sort_ro k by w_* | stralgo lcs keys a b | stralgo lcs strings keys b | stralgo lcs idx keys a b len
xread streams a 0 | xread count 2 block 0 streams a b 0 0
xread block 0 count 1 streams streams 0
xreadgroup group g c streams a > | xreadgroup group streams streams count 1 noack STREAMS a b > >
xreadgroup group g c block 1 count 2 streams a
zdiff 2 a b withscores | zdiffstore d 2 a b | zinter 1 a | zintercard 2 a b limit 1
zinterstore d 2 a b weights 1 2 | zunion 2 a b | zunionstore d 1 a | zunionstore d 2 a
zunionstore d 3 a b c aggregate max | zmpop 1 a min | zunion x a
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connected(port, process):
    for _ in range(100):
        assert process.poll() is None, "the server ended at once"
        try:
            return server.Server("127.0.0.1", port)
        except ConnectionRefusedError:
            time.sleep(0.05)
    pytest.fail("the server does not listen after 5 s")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    if os.environ.get("BUSTAP_SERVER"):
        with server.Server(*os.environ["BUSTAP_SERVER"].rsplit(":", 1)) as running:
            yield running
        return
    program = shutil.which("redis-server")
    if not program:
        pytest.skip("no redis-server in this system")
    port = free_port()
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
         "--dir", str(tmp_path_factory.mktemp("server"))], stdout=subprocess.DEVNULL)
    try:
        with connected(port, process) as started:
            yield started
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def commands(asked):
    return server.described(asked)


def our_keys(requests):
    """For each request the arguments that we take for keys; None if we do not know the command."""
    if not ASK.exists():
        pytest.skip(f"{ASK} is not built: make pytest builds it")
    lines = "".join("\t".join(request) + "\n" for request in requests)
    done = subprocess.run([ASK], input=lines, capture_output=True, text=True, timeout=60, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [None if row[0] == "-" else sorted(request[int(i)] for i in row[1:])
            for request, row in zip(requests, rows, strict=True)]


def their_keys(asked, request):
    """Likewise by the server. None if it knows no such command or not with so many arguments."""
    reply = asked.ask("COMMAND", "GETKEYS", *request)
    if not isinstance(reply, server.Error):
        return sorted(reply)
    refused = "Invalid command" in reply or "number of arguments" in reply
    return None if refused else []


def made_requests(commands):
    """Each command with as many arguments as it needs, and up to four more."""
    for command in commands.values():
        words = command.name.split("|")
        more = range(1) if command.arity > 0 else range(5)
        for count in more:
            count += abs(command.arity) - len(words)
            yield [*words, *(f"k{i}" for i in range(count))]


def listed_requests():
    for request in re.split(r"[|\n]", REQUESTS):
        if request.strip():
            yield [word.strip('"') for word in request.split()]


def test_every_command_is_a_row(commands):
    assert len(commands) > 150
    assert sorted(set(commands) - set(ROWS)) == []


def test_containers_and_access_are_those_of_the_flags(commands):
    for command in commands.values():
        access, kind = ROWS[command.name][:2]
        assert command.container == (kind == "CONTAINER"), command.name
        assert ("write" in command.flags) == (access not in ("NONE", "READ", "SCRIPT")), command.name


def test_blocking_is_that_of_the_flags(commands):
    differ = {command.name for command in commands.values()
              if ("blocking" in command.flags) != (ROWS[command.name][1] == "BLOCKING")}
    assert sorted(differ - set(BLOCKING_SINCE)) == []


@pytest.mark.parametrize("requests_of", [made_requests, lambda _commands: listed_requests()],
                         ids=["made", "listed"])
def test_keys_are_those_of_getkeys(asked, commands, requests_of):
    requests = list(requests_of(commands))
    compared, differ = 0, []
    for request, ours in zip(requests, our_keys(requests)):
        theirs = their_keys(asked, request)
        compared += theirs is not None
        if theirs not in (None, ours) and tuple(request) not in GETKEYS_ERRS:
            differ.append(f"{' '.join(map(repr, request))}: ours {ours}, the server's {theirs}")
    assert not differ, "\n".join(differ)
    assert compared > len(requests) / 2
