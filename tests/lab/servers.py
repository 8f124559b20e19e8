"""The servers: packages of several Debian suites, unpacked under build/lab and run from there.

Each runs with its suite's own dynamic loader and libraries, so that one built for a newer libc runs
on an older host, and nothing is installed. apt-get downloads and verifies, with lists, state and
archives of our own; mirror and proxy are the host's. What was unpacked once is used without a
network from then on.
"""

import collections
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess

from . import BUILD, Unavailable

# name: (family, Debian suite). Packages are FAMILY-server, with all that it needs.
KNOWN = {
    "redis-6.0": ("redis", "bullseye"),
    "redis-7.0": ("redis", "bookworm"),
    "redis-8.0": ("redis", "trixie"),
    "valkey-8.1": ("valkey", "trixie"),
    "valkey-9.1": ("valkey", "sid"),
}

Server = collections.namedtuple("Server", "name family version argv cli root")
# name     redis-7.0.15
# version  (7, 0, 15)
# argv     starts the server, arguments may follow; cli likewise

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
VERSION = re.compile(r"v=(\d+)\.(\d+)\.(\d+)")


def _source_lines():
    for path in (pathlib.Path("/etc/apt/sources.list"),
                 *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))):
        if path.is_file():
            yield from path.read_text(errors="replace").splitlines()


def mirror():
    """The Debian mirror that the host uses."""
    for line in _source_lines():
        found = re.match(r"(?:deb\s+(?:\[.*?\]\s+)?|URIs:\s*)(\S+/debian)/?(?:\s|$)", line)
        if found:
            return found[1]
    raise Unavailable("no Debian mirror in /etc/apt")


def _run(*command, what):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600,
                              env={**os.environ, "LC_ALL": "C"})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{what}: {error}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no reason given"]
        raise Unavailable(f"{what}: {said[0]}")
    return done.stdout


def _apt(suite, *command):
    """apt-get that knows one suite and believes that nothing is installed."""
    home = BUILD / "apt" / suite
    for folder in ("lists/partial", "archives/partial", "nothing/partial"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    (home / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
    options = {
        "Dir::Etc::SourceList": home / "sources.list", "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null", "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State::Lists": home / "lists", "Dir::State::Status": home / "status",
        "Dir::State::Extended_States": home / "extended_states",
        "Dir::Cache": home, "Dir::Cache::Archives": home / "archives",
        "APT::Sandbox::User": "root", "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none", "Acquire::Retries": "2",
    }
    return _run("apt-get", "-q", *(f"-o{key}={value}" for key, value in options.items()), *command,
                what=f"apt-get of {suite}")


def _download(family, suite):
    """The archives of FAMILY-server and of all that it depends on."""
    if not any((BUILD / "apt" / suite / "lists").glob("*Packages*")):
        _apt(suite, "update")
    home, install = BUILD / "apt" / suite, ("install", "-y", "--no-install-recommends")
    # What lies in the archives already is not named, so names are asked for before an empty folder.
    uris = _apt(suite, f"-oDir::Cache::Archives={home}/nothing", *install, "--print-uris",
                f"{family}-server")
    names = re.findall(r"^'\S+' (\S+\.deb) ", uris, re.MULTILINE)
    _apt(suite, *install, "--download-only", f"{family}-server")
    return [home / "archives" / name for name in names]


def _unpack(name):
    """Into a folder beside the right one, which is renamed when it is whole."""
    family, suite = KNOWN[name]
    target, fresh = BUILD / "servers" / name, BUILD / "servers" / f"{name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    for archive in _download(family, suite):
        (fresh / "root").mkdir(parents=True, exist_ok=True)
        _run("dpkg-deb", "-x", str(archive), str(fresh / "root"), what=f"unpacking {archive.name}")
    asked = _run(*_argv(fresh / "root", f"{family}-server"), "--version", what=f"{name} --version")
    (fresh / "server.json").write_text(json.dumps({"version": VERSION.search(asked).groups()}))
    fresh.rename(target)


def _argv(root, program):
    """The program, run by the loader it was unpacked with."""
    triplets = sorted({path.parent for pattern in ("lib/*/libc.so.6", "usr/lib/*/libc.so.6")
                       for path in root.glob(pattern)})
    loaders = [path for folder in triplets for path in folder.glob("ld-linux*.so.*")]
    if not loaders:
        raise Unavailable(f"no dynamic loader among what {program} needs")
    libraries = [root / "usr" / "lib" / folder.name for folder in triplets] + triplets
    return [str(loaders[0]), "--library-path", ":".join(dict.fromkeys(map(str, libraries))),
            str(root / "usr" / "bin" / program)]


@functools.lru_cache(maxsize=None)
def _get(name):
    home = BUILD / "servers" / name
    if not (home / "server.json").exists():
        shutil.rmtree(home, ignore_errors=True)
        _unpack(name)
    family = KNOWN[name][0]
    numbers = json.loads((home / "server.json").read_text())["version"]
    return Server(f"{family}-{'.'.join(numbers)}", family, tuple(map(int, numbers)),
                  _argv(home / "root", f"{family}-server"), _argv(home / "root", f"{family}-cli"),
                  home / "root")


def find(name):
    """The server of that name (redis-7.0, redis-7.0.15, valkey-9); Unavailable says why not."""
    for known in KNOWN:
        if known.startswith(name) or name.startswith(known + "."):
            server = _get(known)
            if server.name.startswith(name):
                return server
            raise Unavailable(f"{name}: the mirror has {server.name}")
    raise Unavailable(f"{name}: not one of {', '.join(KNOWN)}")


def available():
    """({name: Server}, {name: why it is missing})"""
    found, missing = {}, {}
    for name in KNOWN:
        try:
            found[name] = _get(name)
        except Unavailable as error:
            missing[name] = str(error)
    return found, missing
