"""What did one node believe at a moment, and what another: `--to` shows the views of that instant."""

from lib import bustap, captures, findings, scene


def views(path, *args):
    return {(v["observer"], v["node"]): v["view"]
            for v in bustap.analyze(*args, path)["cluster"]["views"]}


def test_views_differ_while_two_do_not_hear_each_other(store):
    play = scene.Scene()
    play.run(3)
    play.split("p1", "p2")
    play.run(6)
    p1, p2 = play.nodes["p1"].id, play.nodes["p2"].id
    assert views(store(play.pcap())) == {(p1, p2): "pfail", (p2, p1): "pfail"}


def test_a_healthy_cluster_holds_nothing_against_anybody(store):
    play = scene.Scene()
    play.run(3)
    assert views(store(play.pcap())) == {}


def test_the_same_capture_at_two_moments():
    """Before n6 announces it, n1 is suspected by some; a second later it is failed to all of them."""
    take = captures.take("partition_minority-redis-7.0.15")
    names = {n["id"]: n["name"] for n in take.truth["topology"]["nodes"]}
    found = findings.only(findings.of(take.path), "node-failed")
    failed = found.span[0] + found.metrics["detection_ms"] / 1000

    def at(seconds):
        told = views(take.path, "--to", bustap.when(round(seconds * 1e9)))
        return {names[who]: view for (who, node), view in told.items() if names[node] == "n1"}
    before, after = at(failed - 0.2), at(failed + 1.0)
    assert before and set(before.values()) == {"pfail"}
    assert set(after.values()) == {"fail"} and set(after) == {"n2", "n3", "n4", "n5", "n6"}
