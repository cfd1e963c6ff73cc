"""``python -m include.sandbox.processors --data DIR name=port …``; keys are in the environment."""

from __future__ import annotations

import argparse
import os
import threading
from functools import partial
from importlib import import_module
from pathlib import Path

from include.sandbox.processors import HOST, KEY_VARIABLE, MAKERS
from include.sandbox.processors.server import StandIn, StandInServer


def make(name: str, data: Path, key: str) -> StandIn:
    """The stand-in of that name; only those that are wanted are imported."""
    module, _, maker = MAKERS[name].partition(":")
    made: StandIn = getattr(import_module(module), maker)(data, key)
    return made


def main() -> None:
    """Serve until terminated. What a person may read is in the folder, all else ends with the process."""
    parser = argparse.ArgumentParser(prog="include.sandbox.processors", description="Stand-ins of processors")
    parser.add_argument("--data", type=Path, required=True, help="the folder of the world")
    parser.add_argument("stand_ins", nargs="+", metavar="name=port", help=f"one of {', '.join(MAKERS)}")
    arguments = parser.parse_args()
    threads = []
    for wanted in arguments.stand_ins:
        name, _, port = wanted.partition("=")
        if name not in MAKERS or not port.isdigit():
            parser.error(f"{wanted!r} is not name=port with a name of {', '.join(MAKERS)}")
        key = os.environ.get(f"{KEY_VARIABLE}{name.upper()}", "")
        if not key:
            parser.error(f"{KEY_VARIABLE}{name.upper()} is not set: the stand-in would take any key")
        server = StandInServer(int(port), partial(make, name, arguments.data, key))
        print(f"{name} listens on http://{HOST}:{server.server_address[1]}", flush=True)
        threads.append(threading.Thread(target=server.serve_forever, daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
