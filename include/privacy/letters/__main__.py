"""``python -m include.privacy.letters --into DIR``: every letter with made-up facts, to be read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from include.privacy.letters.preview import write_previews
from include.privacy.policy.loading import ConfigError, load_config


def main(arguments: Sequence[str] | None = None) -> int:
    """Write them and return the exit code; problems of the texts are told instead, as ``make check`` does."""
    parser = argparse.ArgumentParser(prog="python -m include.privacy.letters", description="Preview letters.")
    parser.add_argument("--into", type=Path, required=True, help="the folder to write into")
    options = parser.parse_args(arguments)
    try:
        config = load_config()
        written = write_previews(config.letters, config.policy.timezone, options.into)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"wrote {written} letters in {', '.join(config.letters.head.languages)} to {options.into}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
