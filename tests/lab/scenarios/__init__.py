"""The scenarios: one small function each, in any file of this folder.

    @scenario("one line that says what happens")
    def name(run):
        cluster = run.start()
        …
"""

import importlib
import pathlib

ALL = {}                                # name: (function, what happens)


def scenario(what, **arguments):
    """Registers a function under its name. `arguments` are passed to it, and NAME in `name` is
    taken instead of the function's."""
    name = arguments.pop("name", None)

    def register(function):
        def begin(run):
            return function(run, **arguments)
        title = name or function.__name__
        if title in ALL:
            raise ValueError(f"two scenarios are called {title}")
        ALL[title] = (begin, what)
        return function
    return register


def load_all():
    for path in sorted(pathlib.Path(__file__).parent.glob("*.py")):
        if path.stem != "__init__":
            importlib.import_module(f"{__name__}.{path.stem}")
    return ALL
