"""python3 -m tests.lab list | servers | corpus [NAME...] | run SCENARIO --server NAME --out DIR [--keep]

    list      the scenarios, and what happens in them
    servers   the servers that can be had here (downloads what is not there yet), and why not others
    corpus    the scenarios that pcaps/ keeps, all or those named: run, and kept there (corpus.py)
    run       one scenario; DIR/SCENARIO-SERVER has captures, logs, diaries and truth.json

Exit status: 0 done, 1 it went wrong, 2 not possible here (the reason is given).
"""

import argparse
import pathlib
import shutil
import signal
import sys
import traceback

from . import BUILD, Unavailable, corpus, net, scenarios, servers
from .run import Run


def list_(_):
    for name, (_, what) in sorted(scenarios.load_all().items()):
        print(f"{name:24} {what}")


def servers_(_):
    found, missing = servers.available()
    for name, server in found.items():
        print(f"{name:12} {server.name}")
    for name, why in missing.items():
        print(f"{name:12} missing: {why}")


def corpus_(options):
    net.need_tools()
    corpus.make(options.names)


def run_(options):
    net.need_tools()
    known = scenarios.load_all()
    if options.scenario not in known:
        raise Unavailable(f"no scenario {options.scenario}; `list` names them")
    function, _ = known[options.scenario]
    server = servers.find(options.server)
    folder = options.out / f"{options.scenario}-{server.name}"
    try:
        Run(options.scenario, server, folder)(function)
    except Unavailable:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    print(folder)


def parse():
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("list").set_defaults(do=list_)
    commands.add_parser("servers").set_defaults(do=servers_)
    kept = commands.add_parser("corpus")
    kept.add_argument("names", nargs="*")
    kept.set_defaults(do=corpus_)
    run = commands.add_parser("run")
    run.add_argument("scenario")
    run.add_argument("--server", default="redis-7.0")
    run.add_argument("--out", type=pathlib.Path, default=BUILD / "out")
    run.add_argument("--keep", action="store_true", help="the folder also of a run that went wrong")
    run.set_defaults(do=run_)
    return parser.parse_args()


def end_in_order():
    """SIGTERM unwinds, as SIGINT does, also where a shell has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def main():
    options = parse()
    end_in_order()
    try:
        options.do(options)
    except Unavailable as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception:                   # pylint: disable=broad-except
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
