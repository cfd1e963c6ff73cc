"""A drill in a test's own estate, with the sandbox's planter: its clock, and what it left on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.sandbox.drill import SandboxPlanter

if TYPE_CHECKING:
    from include.privacy.drill.planter import Planted
    from include.privacy.ledger.drills import DrillRow
    from tests.runs.conftest import Estate

STEP = timedelta(minutes=30)


@dataclass
class Drilled:
    """``whole``: whether the drill's own runs go through Airflow itself; those of the rights never do."""

    estate: Estate
    as_of: datetime
    whole: bool = False
    planter: SandboxPlanter = field(default_factory=SandboxPlanter)

    def run(self, after: timedelta = STEP) -> Any:
        """The next run of the DAG."""
        self.as_of += after
        self.estate.whole = self.whole
        run = self.estate.run("run_drill", as_of=self.as_of)
        self.estate.whole = False
        return run

    def answer(self, right: str) -> None:
        """The runs of the right's DAGs, as the schedule would start them."""
        assert self.estate.fulfil(right, as_of=self.as_of).state == "success"

    def until(self, state: str) -> Any:
        """Runs of the drill, and answers in between, until it is in the state; the last run of the drill."""
        for _ in range(8):
            run = self.run()
            now = self.latest().state
            if now == state or run.state == "failed":
                return run
            # A failed drill asks for an erasure too.
            self.answer("erasure" if now == "clearing" else now.removeprefix("asked_"))
        raise AssertionError(f"the drill has not come beyond {now}")

    def begin_at(self, state: str, notes: Mapping[str, Any] | None = None) -> Planted:
        """A drill whose person is planted, and whose steps up to ``state`` are taken for granted."""
        from include.privacy.ledger.states import DRILL

        ledger, run = self.estate.ledger, self.open_run()
        drill = ledger.begin_drill(run, self.as_of)
        planted = self.planter.plant(str(drill.id), self.as_of)
        self.planter.close()
        while drill.state != state:
            (following,) = DRILL[drill.state] - {"clearing"}
            drill = ledger.move_drill(
                drill.id, drill.state, following, run, self.as_of, planted=planted.stored(), notes=notes
            )
        return planted

    def open_run(self) -> Any:
        from include.privacy.runtime import runtime

        version = runtime().config().policy.version
        return self.estate.ledger.open_run("test", "begin", self.as_of, False, version, "")

    def latest(self) -> DrillRow:
        found = self.estate.ledger.latest_drill()
        assert found is not None
        return found

    def report(self) -> dict[str, Any]:
        """The summary of the last run."""
        row = self.estate.ledger.latest_run("drill")
        assert row is not None and row.summary is not None
        return dict(row.summary)

    def evidence(self) -> list[dict[str, Any]]:
        """What each step left on record."""
        return [dict(e.body) for e in self.estate.ledger.evidence(kind="drill")]

    def breaches(self) -> dict[tuple[str, str], int]:
        found = self.estate.ledger.open_breaches()
        return {(b.rule, b.store): b.count for b in found if b.rule.endswith(" drill")}

    def copies(self) -> int:
        """Restored databases that exist."""
        names = [f"{getattr(self.estate.platform, store)}_drill" for store in ("accounts", "practice")]
        return int(
            self.estate.value("accounts", "SELECT count(*) FROM pg_database WHERE datname = ANY(%s)", names)
        )
