"""Who a call may name: addresses that can be written to, tokens that mean nothing, nobody twice."""

from __future__ import annotations

from collections.abc import Sequence

from include.privacy.mail.bulk import Addressed, BatchResult
from include.privacy.mail.port import require_opaque
from include.privacy.policy.letters import EMAIL

LONGEST_ADDRESS = 254  # RFC 5321, less the angle brackets
UNUSABLE = "unusable_address"


def usable(address: str) -> bool:
    """Whether both providers can send there; they take ASCII only."""
    return len(address) <= LONGEST_ADDRESS and EMAIL.fullmatch(address) is not None


def normalised(address: str) -> str:
    """The address as records are compared: providers tell no upper from lower case."""
    return address.strip().lower()


def check_call(to: Sequence[Addressed], capacity: int, batch: str) -> None:
    """``ValueError`` for a call that must not be made; its text names no address.

    An address twice would be two letters at Postmark and a refusal of everybody at SendGrid.
    """
    require_opaque(batch)
    for each in to:
        require_opaque(each.reference)
    if not 1 <= len(to) <= capacity:
        raise ValueError(f"a batch has 1 to {capacity} recipients, not {len(to)}")
    if len({normalised(each.address) for each in to}) < len(to):
        raise ValueError("an address is twice in the batch; give each person one message, and each address")
    if len({each.reference for each in to}) < len(to):
        raise ValueError("a reference is twice in the batch; make one for each person")


def in_order(to: Sequence[Addressed], told: dict[str, BatchResult]) -> tuple[BatchResult, ...]:
    """One result for each recipient: what was ``told`` by reference, and who could not be named at all."""
    nowhere = {e.reference: BatchResult(e.reference, False, True, UNUSABLE) for e in to}
    return tuple({**nowhere, **told}[each.reference] for each in to)
