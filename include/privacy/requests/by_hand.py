"""What staff see of a task at a processor that no interface does: the objects, and the words to send."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RecipientTaskRow, RequestRow


def describe(request: RequestRow, task: RecipientTaskRow) -> Iterator[str]:
    """Lines of text. What to send is written by the processor's module, where it has such a text."""
    mapped = runtime().config().processors[task.recipient]
    until = f" until {task.until.date().isoformat()}" if task.until else ""
    yield f"{mapped.title}, {task.action} for request {request.id}: {task.state}{until}"
    for outcome in task.outcomes:
        more = [outcome[name] for name in ("basis", "code", "until") if outcome.get(name)]
        yield f"  {outcome['count']:>4} {outcome['kind']}: {' '.join([outcome['state'], *more])}"
    if task.person is None:
        yield "  settled; whom it was about is forgotten"
        return
    module = import_module(f"include.privacy.processors.{mapped.processor}")
    if task.state == "manual" and hasattr(module, "notice"):
        information = runtime().config().policy.information
        controller = information.controller.name if information else "the controller"
        yield ""
        yield module.notice(
            request.external_id, controller, request.received_at.date(), task.action, task.person
        )
