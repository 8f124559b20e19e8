"""Writes the rows of decode/commands.def from what servers say about themselves.

    python3 tests/commands/make_commands.py HOST:PORT...        in the root

Give one server of each version, oldest first: where two disagree the later one is believed. Ours
were Redis 6.0, 7.0 and 8.0, Valkey 8.1 and 9.1. A row needs four facts. Access, kind and most key
rules follow from COMMAND; what it does not say is in the tables below, each with its reason. The
head of the file stays as it is.
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from lib.server import Server, described  # noqa: E402

DEF = ROOT / "decode" / "commands.def"

# ---- what COMMAND says of keys, as rules -----------------------------------------------------------

ALL = ("range", -1, 1, 0)
ONE = ("range", 0, 1, 0)


def at(index, find):
    return (("index", index), find)


RULES = {
    (): "NONE",
    (at(1, ONE),): "1",
    (at(2, ONE),): "2",
    (at(1, ONE), at(2, ONE)): "1_2",
    (at(1, ("range", 1, 1, 0)),): "1_2",
    (at(1, ALL),): "ALL",
    (at(1, ONE), at(2, ALL)): "ALL",
    (at(1, ("range", -2, 1, 0)),): "BUT_LAST",
    (at(1, ("range", -1, 2, 0)),): "ALTERNATE",
    (at(2, ONE), at(3, ALL)): "FROM_2",
    (at(1, ("keynum", 0, 1, 1)),): "NUM",
    (at(1, ("keynum", 0, 1, 2)),): "NUM_PAIRS",
    (at(2, ("keynum", 0, 1, 1)),): "2_NUM",
    (at(1, ONE), at(2, ("keynum", 0, 1, 1))): "DST_NUM",
}

# Before Redis 7.0: first, last, step. All that later versions do not have any more is STRALGO.
RANGES = {(0, 0, 0): "NONE", (1, 1, 1): "1"}

# ---- what it does not say --------------------------------------------------------------------------

# name: (key rule, why)
KEYS = {
    "georadius": ("GEORADIUS", "its specs are called incomplete: STORE may stand anywhere"),
    "georadiusbymember": ("GEORADIUS", "likewise"),
    "migrate": ("MIGRATE", "called incomplete: a key or KEYS, and a password may be that word"),
    "sort": ("SORT", "STORE may stand anywhere; what BY and GET name cannot be told"),
    "sort_ro": ("1", "what BY and GET name cannot be told"),
    "spublish": ("CHANNEL", "specs say that it is no key, but its slot routes"),
    "ssubscribe": ("CHANNELS", "likewise"),
    "stralgo": ("STRALGO", "found by a function of the server"),
    "sunsubscribe": ("CHANNELS", "likewise"),
    "xread": ("STREAMS", "a keyword, which may stand as an option's argument before"),
    "xreadgroup": ("STREAMS", "likewise"),
}

# name: (access, why). Flags know one answer for all arguments.
ACCESS = {
    "bitfield": ("BITFIELD", "GET alone reads"),
    "eval": ("SCRIPT", "flagged as neither; what the script does is unknown"),
    "evalsha": ("SCRIPT", "likewise"),
    "fcall": ("SCRIPT", "likewise"),
    "georadius": ("STORE", "reads without STORE"),
    "georadiusbymember": ("STORE", "likewise"),
    "getex": ("GETEX", "reads when no expiry is given"),
    "hgetex": ("HGETEX", "likewise"),
    "sort": ("STORE", "reads without STORE"),
}

# name: reply kind. COMMAND does not tell.
REPLIES = {
    "asking": "ASKING",
    "auth": "AUTH",
    "client|reply": "CLIENT_REPLY",
    "cluster|cancelslotmigrations": "MOVES",
    "cluster|migrateslots": "MOVES",
    "cluster|migration": "MOVES",
    "cluster|setslot": "MOVES",
    "cluster|syncslots": "SYNCSLOTS",
    "discard": "DISCARD",
    "exec": "EXEC",
    "hello": "HELLO",
    "info": "INFO",
    "host:": "NONE",                    # an HTTP request: the server drops the connection
    "migrate": "MOVES",
    "monitor": "MONITOR",
    "multi": "MULTI",
    "post": "NONE",                     # likewise
    "psubscribe": "PSUBSCRIBE",
    "psync": "PSYNC",
    "punsubscribe": "PUNSUBSCRIBE",
    "quit": "QUIT",
    "replconf": "REPLCONF",
    "reset": "RESET",
    "restore-asking": "MOVES",
    "shutdown": "SHUTDOWN",
    "ssubscribe": "SSUBSCRIBE",
    "subscribe": "SUBSCRIBE",
    "sunsubscribe": "SUNSUBSCRIBE",
    "sync": "SYNC",
    "unsubscribe": "UNSUBSCRIBE",
}

# Commands of versions that were not asked, from src/commands/*.json of Redis and its release notes.
# (access, kind, key rule): names
LATER = {
    # 8.2: XACKDEL, XDELEX. 8.4: atomic slot migration, DELEX, DIGEST, VRANGE. 8.6: XCFGSET, HOTKEYS.
    # 8.8: arrays, INCREX, XNACK. 8.10: BACKUP, HIMPORT, LMOVEM, S...CARD.
    ("NONE", "PLAIN", "NONE"): """cluster|migration
        backup|abort backup|cleanup backup|help backup|list backup|seal backup|start backup|status
        himport|discard himport|discardall himport|help himport|prepare
        hotkeys|get hotkeys|help hotkeys|reset hotkeys|start hotkeys|stop""",
    ("NONE", "CONTAINER", "NONE"): "backup himport hotkeys",
    ("READ", "PLAIN", "1"): """digest vrange
        arcount arget argetrange argrep arinfo arlastitems arlen armget arnext arop arscan""",
    ("READ", "PLAIN", "NUM"): "sdiffcard sunioncard",
    ("WRITE", "PLAIN", "1"): """delex increx xackdel xcfgset xdelex xidmprecord xnack
        ardel ardelrange arinsert armset arring arseek arset""",
    ("WRITE", "PLAIN", "2"): "himport|set",
    ("WRITE", "PLAIN", "1_2"): "lmovem",
    ("WRITE", "BLOCKING", "1_2"): "blmovem",
    ("WRITE", "PLAIN", "NONE"): "sflush trimslots",     # by slots
}

# Commands of the modules that come with Redis since 8.0, which are also Valkey's of the same names:
# what the modules register (RedisBloom, RedisJSON, RedisTimeSeries, RediSearch), and where the
# documentation knows the keys better than that, the documentation. An index is no key. Names with
# "_ft." are what nodes ask each other.
SEARCH_READ = """_list aggregate config cursor debug dictdump explain explaincli hybrid info mget
    profile search spellcheck syndump tagvals"""
SEARCH_WRITE = """aliasadd aliasdel aliasupdate alter create dictadd dictdel drop dropindex
    synupdate"""


def prefixed(prefixes, names):
    return " ".join(f"{prefix}.{name}" for prefix in prefixes.split() for name in names.split())


MODULES = {
    ("READ", "PLAIN", "NONE"): prefixed("ft _ft", SEARCH_READ) + """
        ts.mget ts.mrange ts.mrevrange ts.queryindex""",
    ("READ", "PLAIN", "NUM"): "ts.nrange ts.nrevrange",
    ("READ", "PLAIN", "1"): """bf.card bf.debug bf.exists bf.info bf.mexists bf.scandump
        cf.compact cf.count cf.debug cf.exists cf.info cf.mexists cf.scandump
        cms.info cms.query topk.count topk.info topk.list topk.query
        ft.sugget ft.suglen
        json.arrindex json.arrlen json.get json.objkeys json.objlen json.resp json.strlen json.type
        tdigest.byrank tdigest.byrevrank tdigest.cdf tdigest.info tdigest.max tdigest.min
        tdigest.quantile tdigest.rank tdigest.revrank tdigest.trimmed_mean
        ts.get ts.info ts.range ts.revrange""",
    ("READ", "PLAIN", "2"): "ft.get json.debug",
    ("READ", "PLAIN", "BUT_LAST"): "json.mget",         # the path stands at the end
    ("WRITE", "PLAIN", "NONE"): prefixed("ft _ft", SEARCH_WRITE),
    ("WRITE", "PLAIN", "1"): """bf.add bf.insert bf.loadchunk bf.madd bf.reserve
        cf.add cf.addnx cf.del cf.insert cf.insertnx cf.loadchunk cf.reserve
        cms.incrby cms.initbydim cms.initbyprob topk.add topk.incrby topk.reserve
        ft.sugadd ft.sugdel
        json.arrappend json.arrinsert json.arrpop json.arrtrim json.clear json.del json.forget
        json.merge json.numincrby json.nummultby json.numpowby json.set json.strappend json.toggle
        tdigest.add tdigest.create tdigest.reset
        ts.add ts.alter ts.create ts.decrby ts.del ts.incrby""",
    ("WRITE", "PLAIN", "2"): "ft.add ft.del",
    ("WRITE", "PLAIN", "1_2"): "ts.createrule ts.deleterule",
    ("WRITE", "PLAIN", "EVERY_3"): "json.mset ts.madd",
    ("WRITE", "PLAIN", "DST_NUM"): "cms.merge tdigest.merge",
}


def access_of(command):
    if command.name in ACCESS:
        return ACCESS[command.name][0]
    return "WRITE" if "write" in command.flags else "READ" if "readonly" in command.flags else "NONE"


def kind_of(command):
    return ("CONTAINER" if command.container else
            "BLOCKING" if "blocking" in command.flags else "PLAIN")


def keys_of(command):
    if command.name in KEYS:
        return KEYS[command.name][0]
    if command.specs is None:
        return RANGES[command.range]
    return RULES[tuple((begin, find) for begin, find, is_key in command.specs if is_key)]


def rows_of(servers):
    rows = {name: facts for table in (LATER, MODULES) for facts, names in table.items()
            for name in names.split()}
    commands = {}
    for server in servers:
        commands.update(described(server))
    for name, command in commands.items():
        try:
            rows[name] = (access_of(command), kind_of(command), keys_of(command))
        except KeyError:
            sys.exit(f"no rule for the keys of {name}: {command.specs or command.range}")
    return [(f'"{name}"', *rows[name], REPLIES.get(name, "ONE")) for name in sorted(rows)]


def aligned(rows):
    widths = [max(len(row[i]) for row in rows) + 1 for i in range(4)]
    return "".join("COMMAND(" + " ".join(f"{cell},".ljust(width) for cell, width in
                                         zip(row[:-1], widths)) + f" {row[-1]})\n" for row in rows)


def main():
    servers = [Server(*address.rsplit(":", 1)) for address in sys.argv[1:]]
    if not servers:
        sys.exit(__doc__)
    head = DEF.read_text().partition("\nCOMMAND(")[0].rstrip("\n") + "\n"
    DEF.write_text(head + aligned(rows_of(servers)))


if __name__ == "__main__":
    main()
