"""``make bench``: runs everything, or the parts named on the command line, and stores the figures."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from include.sandbox.bench import airflow, buckets, databases, evidence, notices, processors, requests
from include.sandbox.bench.measure import Report
from include.sandbox.world import World

PARTS: dict[str, Callable[[World, Report], None]] = {
    "purge": databases.purge,
    "record_age": databases.record_age,
    "sweep": buckets.sweep,
    "cohorts": requests.cohorts,
    "export": requests.export,
    "processors": processors.erasures,
    "notices": notices.announcements,
    "evidence": evidence.log,
    "parse": airflow.parse,
    "overhead": airflow.overhead,
}
RESULTS = Path(".sandbox") / "bench.json"


def main() -> None:
    """Starts a world of its own, so that neither the demo nor its data take part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"any of {', '.join(PARTS)}; all when none is named")
    chosen = parser.parse_args().parts or list(PARTS)
    unknown = sorted(set(chosen) - set(PARTS))
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    report = Report()
    folder = Path(tempfile.mkdtemp(prefix="privacy-bench-"))
    try:
        with World(folder, tied=True) as world:
            for name in chosen:
                PARTS[name](world, report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(report.to_json() + "\n")
    print(f"stored in {RESULTS}")


if __name__ == "__main__":
    main()
