"""Nothing goes wrong."""

from . import scenario


@scenario("nothing goes wrong")
def healthy(run):
    run.start(captures=("", "n1", "n1-any"))
    run.load("diary", rate=50)
    run.let_pass(12)
