/* limits.h - every cap of the program, one row each: its name, its value, and what happens when
 * it is hit. The rows make the constants below and the table that `bustap list limits` prints.
 * Each cap is counted where it is hit, and tests/ has a case that makes it count. */
#ifndef BUSTAP_BASE_LIMITS_H
#define BUSTAP_BASE_LIMITS_H

/* CAP(name, value, what is counted when it is hit) */
#define LIMITS(CAP)                                                                               \
    CAP(READ_BLOCK, 1 << 20,                                                                      \
        "a file reader's block, of all files together; a longer record grows it")                 \
    CAP(RECORD, 64 << 20, "longest record of a capture file; a longer one is damage")             \
    CAP(INTERFACES, 1024, "interfaces of one pcapng section; a further one is damage")            \
    CAP(ZSTD_WINDOW_LOG, 27, "largest zstd window (128 MiB); a larger one is refused")            \
    CAP(EXPANSION, 2000, "decompressed bytes per compressed byte; a larger file is refused")      \
    CAP(EXPANSION_FREE, 1 << 30, "decompressed bytes before EXPANSION is looked at")              \
    CAP(SOURCES, 256, "capture files read at once; more are refused")                             \
    CAP(TAPS, 16, "interfaces captured from at once; more are refused")                           \
    CAP(LOCAL_SERVERS, 256, "server processes of this host captured from; more are left out")     \
    CAP(LEARNT_PORTS, 64,                                                                         \
        "ports captured because nodes announce them; no further ones are, which is said")         \
    CAP(NET_DEPTH, 8, "nested headers before TCP; anomaly net-too-deep")                          \
    CAP(FRAGMENTS, 64, "datagrams under reassembly; the oldest goes, anomaly fragment-dropped")   \
    CAP(FLOWS, 32768, "connections followed; half-open and closed ones go first, flow-evicted")   \
    CAP(REORDER_BYTES, 256 << 10,                                                                 \
        "bytes held out of order in one stream; then a gap, or as captured")                      \
    CAP(REORDER_SEGMENTS, 1024, "segments held out of order in one stream; likewise")             \
    CAP(HELD, 12 << 20, "bytes held in all streams together; then gaps, and held-cap")            \
    CAP(ACKS, 4 << 20, "bytes of memory for messages that wait for their ACKs, in all streams")   \
    CAP(SNIFF_BYTES, 64 << 10, "bytes of a stream looked at to tell its protocol; then opaque")   \
    CAP(BUS_HOLD, 256 << 10, "bytes of one bus message decoded; the rest only counted")           \
    CAP(BUS_PLAUSIBLE, 64 << 20, "longest bus message believed when searching after a gap")       \
    CAP(BUS_UNACKED, 65536, "bus messages of a stream waiting for their ACK; then not followed")  \
    CAP(RESP_DEPTH, 24, "nested aggregates of a RESP value; a deeper one is none: out of step")   \
    CAP(RESP_COUNT, 1 << 30, "items of one RESP aggregate; more are none: out of step")           \
    CAP(RESP_LINE, 1 << 20, "bytes of one RESP line; a longer one is none: out of step")          \
    CAP(TRIAL, 256 << 10,                                                                         \
        "bytes kept of a joined connection until it is certain whose the replies are; then not")  \
    CAP(PENDING, 65536, "requests of a connection waiting for replies; then told by number only") \
    CAP(CHANNEL_SHOWN, 256, "bytes of a channel's name kept; a longer one is shown cut")          \
    CAP(NODES, 2048, "nodes of the model; further ones are counted, not followed")                \
    CAP(LINKS, 65536, "ordered pairs of nodes; further ones are counted, not followed")           \
    CAP(CONTESTS, 256,                                                                            \
        "double claims of slots kept, once they have ended; further ones are counted")            \
    CAP(SERVERS, 1024, "answering ends kept apart; further ones share one row")                   \
    CAP(SERVER_COMMANDS, 8192, "commands of all servers kept apart; others share one row")        \
    CAP(CLIENTS, 16384, "addresses of clients kept apart; further ones share one row")            \
    CAP(FURTHER_CLIENTS, 512,                                                                     \
        "of those further ones the heaviest; the lightest gives way, which is its heir's error")  \
    CAP(HOT_KEYS, 256, "keys of the most requests; likewise")                                     \
    CAP(BIG_KEYS, 256, "commands of servers that moved big keys; further ones are counted")       \
    CAP(REDIRECTS, 65536, "answers MOVED and ASK remembered; the oldest of a set is forgotten")   \
    CAP(REPLICATIONS, 1024,                                                                       \
        "replication links kept; the oldest that is over is forgotten, else others are counted")  \
    CAP(FOLLOWERS, 2048, "primaries with replicas, and replicas, followed; others are counted")   \
    CAP(ELECTIONS, 256, "elections and promotions followed; further ones are counted")            \
    CAP(WRITES, 131072,                                                                           \
        "writes remembered until all replicas have them; the oldest are forgotten")               \
    CAP(WRITE_KEYS, 8 << 20, "bytes of memory for their keys; then likewise")                     \
    CAP(LISTED_WRITES, 16384, "lost writes listed one by one in a finding; others only counted")  \
    CAP(MIGRATIONS, 256, "migrations followed; further ones are counted")                         \
    CAP(MOVES, 65536, "requests that move keys remembered at once; further ones are counted")     \
    CAP(MOVE_KEYS, 8 << 20, "bytes of memory for their keys; then likewise")                      \
    CAP(LOAD_SAMPLES, 4096, "samples of the traffic beside a migration; the oldest go")           \
    CAP(OPEN_SLOTS, 16384, "slots kept that were open for long; further ones are counted")        \
    CAP(WORDS, 64, "kinds of error, or of push, of one server; further ones are counted")         \
    CAP(SUSPICIONS, 1024, "times that a node was suspected; later ones are not followed")         \
    CAP(TIMELINE, 20000, "state changes kept for a report; later ones are counted")               \
    CAP(FINDINGS, 1024, "findings kept for a report; later ones are counted")                     \
    CAP(FINDING, 1 << 20, "bytes of one finding; its lists end there, and a caveat says so")      \
    CAP(NEWS, 512, "findings and changes that --tui lists; the oldest go")                        \
    CAP(EVIDENCE, 24, "packets named as evidence for one finding; the first ones stay")

#define CAP_ENUM(name, value, help) CAP_##name = (value),
enum limit { LIMITS(CAP_ENUM) };
#undef CAP_ENUM

#endif
