"""``python -m include.sandbox.gcs --port N --data DIR``."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from include.sandbox.gcs.server import HOST, GcsServer


def main() -> None:
    """Serve until interrupted or terminated. State is in memory and ends with the process."""
    parser = argparse.ArgumentParser(
        prog="include.sandbox.gcs", description="Our model of Cloud Storage's JSON API"
    )
    parser.add_argument("--port", type=int, required=True, help=f"port on {HOST}; 0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="folder for the bytes of larger objects")
    arguments = parser.parse_args()
    with GcsServer(arguments.port, arguments.data) as server, contextlib.suppress(KeyboardInterrupt):
        print(f"listening on http://{HOST}:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
