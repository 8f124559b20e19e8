"""What must not be in any output: requests and replies that hold a canary.

A canary stands for a secret, a value or a key (reference, F). canaries(text) finds it again.
"""

import re

from lib.resp import (HELLO3, OK, array, attribute, bulk, error, integer, map_, simple, verbatim)

C = "CANARY-0123456789-abcdefghij"
C1, C2 = C + "-one", C + "-two"
MONITOR_LINE = simple(f'1700000000.123456 [0 10.0.9.2:40000] "SET" "{C1}" "{C2}"')


def canaries(output):
    """Where the canary is, with what is around it."""
    return [output[max(0, m.start() - 60):m.end() + 20]
            for m in re.finditer("canary", output, re.IGNORECASE)]


# name, request, reply
SECRETS = [
    ("AUTH", ["AUTH", C], OK),
    ("AUTH with a user", ["AUTH", C1, C2], OK),
    ("AUTH refused", ["AUTH", C1, C2], error("WRONGPASS invalid username-password pair")),
    ("AUTH of a cluster's own", ["AUTH", "internal connection", C], OK),
    ("AUTH with too much", ["AUTH", C, C, C, C], error("ERR syntax error")),
    ("HELLO AUTH", ["HELLO", "3", "AUTH", C1, C2], HELLO3),
    ("HELLO AUTH SETNAME", ["HELLO", "3", "AUTH", C1, C2, "SETNAME", C], HELLO3),
    ("HELLO SETNAME AUTH", ["HELLO", "3", "SETNAME", C, "AUTH", C1, C2], HELLO3),
    ("ACL SETUSER", ["ACL", "SETUSER", C, "on", ">" + C1, "~*", "#" + C2, "<" + C], OK),
    ("ACL SETUSER refused", ["ACL", "SETUSER", C, ">" + C1],
     error(f"ERR Error in ACL SETUSER modifier '>{C1}': Syntax error")),
    ("ACL GETUSER", ["ACL", "GETUSER", "u"],
     array("flags", array("on"), "passwords", array(C1), "commands", "+@all", "keys", C2)),
    ("ACL GETUSER, RESP3", ["ACL", "GETUSER", "u"], map_("passwords", array(C1))),
    ("ACL LIST", ["ACL", "LIST"], array(f"user default on #{C} ~* &* +@all")),
    ("ACL LOG", ["ACL", "LOG"], array(array("count", 1, "object", C1, "username", C2))),
    ("CONFIG SET requirepass", ["CONFIG", "SET", "requirepass", C], OK),
    ("CONFIG SET masterauth", ["CONFIG", "SET", "masterauth", C], OK),
    ("CONFIG SET primaryauth", ["CONFIG", "SET", "primaryauth", C], OK),
    ("CONFIG SET of several", ["CONFIG", "SET", "maxmemory", "1gb", "masteruser", C1,
                               "tls-key-file-pass", C2], OK),
    ("CONFIG SET refused", ["CONFIG", "SET", "tls-client-key-file-pass", C],
     error(f"ERR CONFIG SET failed (possibly related to argument '{C}') - bad")),
    ("CONFIG GET requirepass", ["CONFIG", "GET", "requirepass"], array("requirepass", C)),
    ("CONFIG GET of everything", ["CONFIG", "GET", "*"],
     array("maxmemory", "0", "masterauth", C1, "cluster-internal-secret", C2)),
    ("CONFIG GET, RESP3", ["CONFIG", "GET", "*auth"], map_("masterauth", C)),
    ("MIGRATE AUTH", ["MIGRATE", "h", "1", "k", "0", "9", "COPY", "AUTH", C], OK),
    ("MIGRATE AUTH2 KEYS", ["MIGRATE", "h", "1", "", "0", "9", "AUTH2", C1, C2, "KEYS", C], OK),
    ("MIGRATE refused", ["MIGRATE", "h", "1", C, "0", "9"],
     error(f"ERR Target instance replied with error: NOPERM no access to {C}")),
    ("SENTINEL SET", ["SENTINEL", "SET", "m", "auth-pass", C1, "auth-user", C2], OK),
    ("SENTINEL CONFIG SET", ["SENTINEL", "CONFIG", "SET", "sentinel-pass", C], OK),
    ("CLIENT SETNAME", ["CLIENT", "SETNAME", C], OK),
    ("CLIENT SETINFO", ["CLIENT", "SETINFO", "LIB-NAME", C], OK),
    ("CLIENT LIST", ["CLIENT", "LIST"], verbatim(f"id=3 addr=10.0.9.1:1 name={C} user={C1}\n")),
    ("EVAL", ["EVAL", f"return redis.call('auth', '{C}')", "0", C1], error(f"ERR script: {C}")),
    ("SCRIPT LOAD", ["SCRIPT", "LOAD", f"return '{C}'"], bulk("e0e1f9fabfc9d4800c877a703b823ac0")),
    ("FUNCTION LOAD", ["FUNCTION", "LOAD", f"#!lua name=x {C}"], bulk("x")),
    ("RESTORE", ["RESTORE", C1, "0", C2], OK),
    ("RESTORE-ASKING", ["RESTORE-ASKING", C1, "0", C2, "REPLACE"], OK),
    ("PUBLISH", ["PUBLISH", "ch", C], integer(0)),
    ("SPUBLISH", ["SPUBLISH", "ch", C], integer(0)),
    ("key and value", ["SET", C1, C2, "EX", "10"], OK),
    ("keys", ["MGET", "{k}" + C1, "{k}" + C2], array(C1, C2)),
    ("value in the reply", ["GET", C1], bulk(C2)),
    ("attribute of the reply", ["GET", "k"], attribute("note", C1) + bulk(C2)),
    ("status in the reply", ["EVAL", "x", "0"], simple(C)),
    ("error of a script", ["EVAL", "x", "0"], error(f"ERR user_script:1: {C}")),
    ("KEYS", ["KEYS", C1 + "*"], array(C1, C2)),
    ("SLOWLOG", ["SLOWLOG", "GET"], array(array(1, 2, 3, array("SET", C1, C2), "1.2.3.4:5", C))),
    ("COMMANDLOG", ["COMMANDLOG", "GET", "10", "slow"], array(array(1, 2, 3, array("SET", C1)))),
    ("unknown command", ["XAUTH", C1, C2], error(
        f"ERR unknown command 'XAUTH', with args beginning with: '{C1}' '{C2}' ")),
    ("unknown sub-command", ["CONFIG", "SETT", "requirepass", C], error(
        "ERR unknown subcommand 'SETT'. Try CONFIG HELP.")),
    ("a renamed AUTH", ["b840fc02d524045429941cc15f59e41cb7be6c52", C1, C2], OK),
    ("REPLCONF", ["REPLCONF", "ip-address", C], OK),
    ("LOLWUT of a module", ["MODULE.SECRET", C1], bulk(C2)),
]
