"""How a synthetic person comes into the stores: the platform's business, behind one protocol.

The planter also looks for the person afterwards, by its own means: the drill does not believe the engine
alone. Values that it returns are of nobody, but they are treated as if they were of a person.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol, cast
from uuid import UUID

from include.privacy.runtime import runtime
from include.privacy.steps.runs import ParameterError

Right = str


@dataclass(frozen=True)
class Planted:
    """The synthetic person. ``markers``: by store or processor, words that only their data there have,
    and that an access archive must show. ``corrections``: fields of the data map and the values they shall
    get. ``memo``: whatever the planter needs to find the person again (JSON).
    """

    account: str = field(repr=False)
    markers: Mapping[str, str] = field(repr=False)
    corrections: Mapping[str, str] = field(repr=False)
    memo: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def stored(self) -> dict[str, Any]:
        """As JSON, to be sealed."""
        return asdict(self)


class Planter(Protocol):
    """Plants a person, clicks for them, and looks for them without the engine.

    Every method may be called twice: a task may crash after it and before what it did is on record. Errors
    must name no value of the person.
    """

    def plant(self, reference: str, as_of: datetime) -> Planted:
        """Put the person into every store and processor, once for each ``reference``."""

    def ask(
        self, planted: Planted, request_id: UUID, right: Right, details: Mapping[str, Any], as_of: datetime
    ) -> None:
        """The click in a signed-in session: a row in the inbox under this id, and the doorbell."""

    def answers(self, planted: Planted, request_id: UUID) -> Mapping[str, Mapping[str, Any]]:
        """What the outbox has for the request: body by kind."""

    def values(self, planted: Planted, name: str) -> Mapping[str, Sequence[str]]:
        """What each store and processor says now for a field of ``corrections``; only those that have it."""

    def residue(self, planted: Planted) -> Mapping[str, int]:
        """How many rows or objects of the person each store and processor holds; 0 where there is none."""

    def back_up(self, planted: Planted, as_of: datetime) -> datetime | None:
        """When the backup was captured that has the person in it; ``None``: there is none yet."""

    def restore(self, planted: Planted, captured_at: datetime) -> Mapping[str, str] | None:
        """Restore that backup into closed databases, in place of earlier copies: connection by store.

        ``None``: it is under way, to be asked again. Empty: there is no way to do it here.
        """

    def residue_in(self, planted: Planted, restored: Mapping[str, str]) -> Mapping[str, int]:
        """As :meth:`residue`, in restored databases."""

    def drop(self) -> None:
        """Drop every restored copy that there is, however far its restore has come; none is no error."""

    def close(self) -> None:
        """Give back what holds connections; called at the end of each task."""


class NoPlanterError(ParameterError):
    """``planter`` of config/drill.yaml names nothing that can be used."""


def load_planter() -> Planter | None:
    """The planter of ``config/drill.yaml``; ``None``: the drill is off. Raises :class:`NoPlanterError`."""
    path = runtime().config().drill.planter
    if path is None:
        return None
    module, _, name = path.partition(":")
    try:
        made = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise NoPlanterError(
            f"config/drill.yaml: planter {path!r} cannot be loaded ({type(error).__name__}: {error}); write "
            "module:Class of a planter, or leave it out to switch the drill off"
        ) from None
    return cast("Planter", made)


def planted_of(stored: Mapping[str, Any]) -> Planted:
    """What :meth:`Planted.stored` made."""
    return Planted(**stored)
