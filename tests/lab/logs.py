"""What servers write in their logs, as events.

    events = logs.parse(text, "n1")   # [{"time": 1795394970.8, "node": "n1", "event": "pfail", …}]

One table for Redis 6.0, 7.0, 8.0 and Valkey 8.1, 9.1: the wording is theirs, and differs. A line
that says nothing of what we compare is left out; but a line about failures, votes or epochs that no
row knows becomes an event "unknown", so that a new server's words are not overlooked.

A row's expression may say <name:type>: the event has a member `name`, with what the type matches.
Nodes are named by their id; what servers put in parentheses behind it (nothing, an address, a name)
is passed over. Times are local times of the server: the lab's servers run in UTC.
"""

import calendar
import re
import subprocess
import time

LINE = re.compile(
    r"^\d+:(?P<role>[MSCX]) (?P<second>\d+ \w+ \d+ \d+:\d+:\d+)\.(?P<ms>\d+) (?P<level>[.\-*#]) "
    r"(?P<text>.*)$")

TYPES = {
    "id": (r"[0-9a-f]{40}", r"(?: \([^)]*\))?", str),       # what it matches, what may follow, as
    "number": (r"\d+", "", int),
    "word": (r"\S+?", "", str),
    "rest": (r".*?", "", str),
}

NODE, SHARD = "<about:id>", r"(?: in shard [0-9a-f]{0,40})?"
IGNORED = None

# (expression, kind, members that the words imply)
ROWS = [
    # Life.
    (r"(?:Redis|Valkey) version=<version:word>, .*just started", "started", {}),
    (r"No cluster configuration found, I'm <id:id>", "identity", {"new": True}),
    (r"Node configuration loaded, I'm <id:id>", "identity", {"new": False}),
    (r"Node hard reset, now I'm <id:id>", "identity", {"new": True}),
    (r"Ready to accept connections.*", "ready", {}),
    (r"User requested shutdown\.\.\..*", "shutdown", {}),
    (r"Received SIG(?:TERM|INT) scheduling shutdown\.\.\.", "shutdown", {}),
    (r"Received shutdown signal.*", "shutdown", {}),
    (r"Perform auto failover to replica <replica:word> on shutdown\.", "shutdown-failover", {}),
    (r"Unable to (?:find a replica to )?perform (?:the )?auto failover on shutdown.*",
     "shutdown-failover", {}),

    # Failures: suspected, agreed upon, over.
    (rf"\*\*\* NODE {NODE} possibly failing", "pfail", {}),
    (rf"NODE {NODE} possibly failing\.", "pfail", {}),
    (rf"Node <by:id> reported node {NODE} as not reachable\.", "report", {}),
    (rf"Node <by:id> reported node {NODE} is back online\.", "report-withdrawn", {}),
    (rf"Marking node {NODE} as failing \(quorum reached\)\.", "fail", {"how": "quorum"}),
    (rf"FAIL message received from <by:id> about {NODE}", "fail", {"how": "message"}),
    (rf"Ignoring FAIL message from unknown node <by:id> about {NODE}", "fail-ignored", {}),
    (rf"Clear FAIL state for node {NODE}: ?(?:is|<reason:rest> is) reachable again.*",
     "fail-cleared", {}),

    (rf"PONG contains mismatching sender ID\. About node {NODE}{SHARD} added .*", "other-id", {}),

    # Elections, as the candidate tells.
    (r"Start of election delayed for <delay_ms:number> milliseconds \(rank #<rank:number>, "
     r"(?:primary rank #<primary_rank:number>, )?offset <offset:number>\)\.", "election-delayed",
     {}),
    (r"(?:Replica|Failed primary) rank updated to #<rank:number>, "
     r"added <delay_ms:number> milliseconds of delay\.", "rank-updated", {}),
    (r"(?:Myself become|This is) the best ranked replica.*", "rank-best", {}),
    (r"Starting a failover election for epoch <epoch:number>"
     r"(?:\.|, node config epoch is <config_epoch:number>)", "election-started", {}),
    (r"Failover election in progress for epoch <epoch:number>, but received <reason:rest>"
     r"\. Resetting the election.*", "election-reset", {}),
    (r"Currently unable to failover: <reason:rest>", "election-held", {}),
    (r"Next failover delay: .*", IGNORED, {}),
    (r"Needed quorum: <quorum:number>\. Number of votes received so far: <votes:number>",
     "votes-so-far", {}),
    (r"Failover election won: I'm the new (?:master|primary)\.", "failover-won", {}),
    (r"Failover attempt expired\.", "failover-expired", {}),

    # Votes, as the voter tells.
    (r"Failover auth granted to <to:id> for epoch <epoch:number>", "vote-granted", {}),
    (r"Failover auth denied to <to:id> for epoch <epoch:number>: <reason:rest>",
     "vote-refused", {}),
    (r"Failover auth denied to <to:id>(?: [^ :]*)?: <reason:rest>", "vote-refused", {}),

    # Epochs.
    (r"configEpoch set to <epoch:number> after successful failover", "epoch", {"why": "failover"}),
    (r"configEpoch set to <epoch:number> via CLUSTER SET-CONFIG-EPOCH", "epoch",
     {"why": "command"}),
    (r"configEpoch set to <epoch:number> via CLUSTER RESET HARD", "epoch", {"why": "reset"}),
    (r"New configEpoch set to <epoch:number>", "epoch", {"why": "without agreement"}),
    (r"[cC]onfigEpoch updated after importing slot <slot:number>", "epoch", {"why": "import"}),
    (rf"(?:WARNING: )?configEpoch collision with node {NODE}\. configEpoch set to <epoch:number>",
     "epoch", {"why": "collision"}),

    # Roles: mine, and what I learn of others.
    (rf"Setting myself to primary{SHARD} after failover; my old primary is <old:id>",
     "role", {"role": "primary"}),
    (r"Configuration change detected\. Reconfiguring myself as a replica of "
     rf"(?:node )?<of:id>{SHARD}", "role", {"role": "replica"}),
    (r"I'm a sub-replica! Reconfiguring myself as a replica of (?:grandmaster )?<of:id>.*",
     "role", {"role": "replica"}),
    (rf"Migrating to orphaned (?:master|primary) <of:id>{SHARD}", "role", {"role": "replica"}),
    (r"(?:MASTER|PRIMARY) MODE enabled \(failover request from .*", "role", {"role": "primary"}),
    (r"(?:MASTER|PRIMARY) MODE enabled \(user request from .*", "role", {"role": "primary"}),
    (rf"Node {NODE} is now a replica of node <of:id>{SHARD}", "role-seen", {"role": "replica"}),
    (rf"Reconfiguring node {NODE} as primary for shard .*", "role-seen", {"role": "primary"}),
    (rf"Node {NODE} is no longer (?:master|primary) of shard \w*; "
     r"removed all <slots:number> slot\(s\) it used to own", "slots-lost-seen", {}),
    (rf"A failover occurred in shard \w*; node <old:id>(?: lost <slots:number> slot\(s\))?"
     rf"(?: and failed over)? (?:to|failed over to) node {NODE} "
     r"with a config epoch of <epoch:number>", "failover-seen", {}),
    (r"A failover occurred in migration (?:source|target)\. .*", "migration-updated", {}),
    (r"Failover occurred in migration (?:source|target)\. .*", "migration-updated", {}),

    # The cluster as this node sees it.
    (r"Cluster state changed: <state:word>", "cluster-state", {}),
    (r"Cluster is currently down: <reason:rest>", "cluster-down", {}),
    (r"Cluster meet <target:word> \(user request from .*", "meet", {}),
    (r"Cluster forget <target:word> \(user request from .*", "forget", {}),
    (r"Closing link for node <unknown> \(<unknown>\) that sent a lightweight message of type "
     r"<type:word> as its first message on the link", "link-refused", {}),
    (r"Clusterbus handshake timeout <address:word>", "handshake-timeout", {}),
    (rf"Handshake with node {NODE} completed\.", "handshake", {}),
    (rf"Successfully completed handshake with {NODE}", "handshake", {}),
    (r"IP address for this node updated to <address:word>", "own-address", {}),
    (rf"Address updated for node {NODE}, now <address:word>", "address", {}),
    (rf"Node <to:id> has old slots configuration, sending an UPDATE message about {NODE}",
     "update-sent", {}),
    (rf"Processing UPDATE message received from <by:id>{SHARD} about node {NODE}{SHARD}\. "
     r"old configEpoch <old_epoch:number>, new configEpoch <epoch:number>", "update-received", {}),
    (rf"Ignore stale message from <by:id>{SHARD}; gossip config epoch: <epoch:number>, "
     r"current config epoch: <known_epoch:number>", "stale-ignored", {}),

    # A failover that somebody asked for.
    (r"Manual failover user request accepted.*", "manual-asked", {"how": "agreed"}),
    (r"Forced failover (?:user|primary) request accepted.*", "manual-asked", {"how": "force"}),
    (r"Taking over the (?:master|primary) \(user request.*", "manual-asked", {"how": "takeover"}),
    (r"Manual failover requested by replica <by:id>\.", "manual-requested", {}),
    (r"Received replication offset for paused (?:master|primary) manual failover: <offset:number>",
     "manual-offset", {}),
    (r"All (?:master|primary) replication stream processed, manual failover can start\.",
     "manual-ready", {}),
    (r"Manual failover timed out\.", "manual-expired", {}),

    # Replication, the replica's side …
    (r"(?:MASTER|PRIMARY) <-> REPLICA sync started", "sync-started", {}),
    (r"Trying a partial resynchronization \(request <id:word>:<offset:number>\)\.", "psync-asked",
     {}),
    (r"Full resync from (?:master|primary): <id:word>:<offset:number>", "full-sync", {}),
    (r"Successful partial resynchronization with (?:master|primary)\.", "partial-sync", {}),
    (r"(?:MASTER|PRIMARY) <-> REPLICA sync: Finished with success", "sync-ended", {}),
    (r"Connection with (?:master|primary) lost\.", "primary-lost", {}),
    (r"(?:MASTER|PRIMARY) timeout: no data nor PING received\.\.\.", "primary-lost", {}),
    (r"Timeout (?:connecting to the|receiving bulk data from) (?:MASTER|PRIMARY).*",
     "sync-failed", {}),
    (r"Error condition on socket for SYNC: <reason:rest>", "sync-failed", {}),
    (r"(?:Master|Primary) did not respond to command during SYNC handshake", "sync-failed", {}),
    # … and the primary's.
    (r"Replica <replica:word> asks for synchronization.*", "sync-requested", {}),
    (r"Full resync requested by replica <replica:word>(?: .*)?", "full-sync-requested", {}),
    (r"Partial resynchronization not accepted: <reason:rest>", "partial-refused", {}),
    (r"Unable to partial resync with replica <replica:word> for lack of backlog <reason:rest>",
     "partial-refused", {}),
    (r"Partial resynchronization request from <replica:word> accepted\. "
     r"Sending <bytes:number> bytes of backlog starting from offset <offset:number>\.",
     "partial-accepted", {}),
    (r"Synchronization with replica <replica:word> succeeded", "sync-done", {}),
    (r"Connection with replica (?:\S* )?<replica:word> lost\.", "replica-lost", {}),
    (r"Connection with replica client id #\d+ lost\.", "replica-lost", {}),
    (r"Disconnecting timedout replica \((?:full|streaming) sync\): <replica:word>",
     "replica-timed-out", {}),

    # Slots on their way.
    (r"Migrating slot <slot:number> to node <to:id>", "slot-migrating", {}),
    (r"Importing slot <slot:number> from node <of:id>", "slot-importing", {}),
    (rf"Assigning slot <slot:number> to node <to:id>{SHARD}", "slot-assigned", {}),
    (rf"Slot <slot:number> is migrated from node <of:id>{SHARD} to node <to:id>{SHARD}\.",
     "slot-moved", {}),
    (rf"Slot range \[<slot:number>, <last:number>\] is migrated from node <of:id>{SHARD} "
     rf"to node <to:id>{SHARD}\.", "slot-moved", {}),
    (r"Slot <slot:number> is no longer being (?:imported from|migrated to) node .*", "slot-closed",
     {}),
    (rf"My last slot was migrated to node <to:id>{SHARD}\. I am now an empty primary\.",
     "slots-all-gone", {}),
    (r"I have keys for (?:unassigned )?slot <slot:number>[,.] .*", "slot-with-keys", {}),
    (r"Slot migration initiated through CLUSTER MIGRATESLOTS command: <job:rest> "
     r"\(user request from .*", "migration-asked", {}),
    (r"New slot import job created: <job:rest>\.", "migration-import", {}),
    (r"Slot migration <job:rest> state transition: <old:word> -> <state:word>", "migration", {}),
    (r"Slot migration <job:rest> finished\. State: <state:word>, Message: <reason:rest>",
     "migration-ended", {}),
    (r"Slot migration <job:rest> timed out during slot failover\.", "migration-timed-out", {}),
    (r"Pausing writes \(remaining_repl_size is <bytes:number>\) to allow slot migration <job:rest> "
     r"to finalize failover\.", "migration-paused", {}),
    (r"Received CLUSTER SYNCSLOTS \S*FAILOVER\S* .*", "migration-failed", {}),

    # Buffers that were too full.
    (r"Client <client:rest> (?:scheduled to be )?closed (?:ASAP )?for overcoming of output buffer "
     r"limits\.", "output-limit", {}),
    (r"Freeing cluster link\(<way:word> node <about:id>, used memory: <bytes:number>\) due to "
     r"exceeding send buffer memory limit\.", "link-limit", {}),

    # Words of ours in lines of another kind: what clients ran, and what a command does elsewhere.
    (r"Client closed connection .*", IGNORED, {}),
    (r"FAILOVER (?:requested )?to .*", IGNORED, {}),
    (r"Failover (?:target|request|manually) .*", IGNORED, {}),
]

SUSPECT = re.compile(r"\bFAIL\b|[Ff]ailover|FAILOVER|[Ee]poch|\bvotes?\b|[Ee]lection")


def _compile(expression):
    """The regular expression of a row, and how its members become values."""
    convert = {}

    def member(match):
        name, kind = match.groups()
        pattern, follows, convert[name] = TYPES[kind]
        return f"(?P<{name}>{pattern}){follows}"
    return re.compile(re.sub(r"<(\w+):(\w+)>", member, expression)), convert


_RULES = [(*_compile(expression), kind, implied) for expression, kind, implied in ROWS]


def parse_text(text):
    """The event that a message tells, without time and node; None: none that matters."""
    for expression, convert, kind, implied in _RULES:
        match = expression.fullmatch(text)
        if not match:
            continue
        if kind is IGNORED:
            return None
        told = {n: convert[n](v) for n, v in match.groupdict().items() if v is not None}
        return {"event": kind, **implied, **told}
    return {"event": "unknown"} if SUSPECT.search(text) else None


def line_time(match):
    second = calendar.timegm(time.strptime(match["second"], "%d %b %Y %H:%M:%S"))
    return second + int(match["ms"]) / 1000


def parse(text, node=None):
    """The events of a log, in its order; each says that it is `node`'s."""
    events = []
    for line in text.splitlines():
        match = LINE.match(line)
        told = match and parse_text(match["text"])
        if told:
            events.append({"time": line_time(match), "node": node, **told, "text": match["text"]})
    return events


def read(path):
    """The events of NODE.log or NODE.log.zst."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = subprocess.run(["zstd", "-dcq"], input=data, check=True, capture_output=True).stdout
    return parse(data.decode(errors="replace"), path.name.split(".")[0])
