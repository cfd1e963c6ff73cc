"""A letter's whole way through the embedded world: connection, letterhead, SendGrid's client, mailbox."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import psutil
import pytest

from include.privacy.connections import ConnectionInfo
from include.privacy.letters.letter import Letter
from include.privacy.mail import MailUncertainError, SendState
from include.privacy.mail.bulk import Addressed
from include.privacy.policy.loading import ROOT, load_config
from include.privacy.runtime import Runtime
from include.sandbox.processors import SENDGRID
from include.sandbox.processors.control import ProcessorControl
from include.sandbox.processors.mailbox import arrivals, read_mailbox
from include.sandbox.world import open_world

if TYPE_CHECKING:
    from include.sandbox.world import World


@pytest.fixture
def runtime(world: World) -> Runtime:
    """Adapters behind the connections that the world puts into the environment."""

    def connect(conn_id: str) -> ConnectionInfo:
        return ConnectionInfo(conn_id, **json.loads(world.env[f"AIRFLOW_CONN_{conn_id.upper()}"]))

    return Runtime(connect, lambda: load_config(ROOT / "config"))


def test_a_letter_sent_in_the_world_is_in_its_mailbox_in_the_persons_language(
    world: World, runtime: Runtime
) -> None:
    reference = secrets.token_urlsafe(16)
    letter = runtime.letters().render(
        "received",
        {
            "reference": "PR-1",
            "right": "access",
            "received_on": date(2026, 11, 25),
            "due_on": date(2026, 12, 15),
            "verified": True,
        },
        language="de-AT",
    )
    before = datetime.now(UTC)
    receipt = runtime.mail().send("jemand@practice.example", letter, reference=reference)
    (arrived,) = [m for m in read_mailbox(world) if m.reference == reference]
    head = load_config(ROOT / "config").letters.head
    assert arrived.message_id == receipt.provider_id
    assert (arrived.to, arrived.sender) == ("jemand@practice.example", head.sender.address)
    assert arrived.reply_to == head.privacy_contact.address
    assert arrived.subject == "Wir haben Ihren Antrag auf Auskunft über Ihre Daten erhalten"
    assert "spätestens am 15. Dezember 2026" in arrived.text
    assert runtime.mail().find(reference, before, as_of=before) is SendState.sent


def test_the_worlds_switchboard_reaches_the_running_stand_in(world: World, runtime: Runtime) -> None:
    control = ProcessorControl(open_world(world.folder).processor_endpoints[SENDGRID])
    control.fail(kind="reset", when="after")
    letter = runtime.letters().render(
        "withdrawn",
        {
            "reference": "PR-2",
            "right": "erasure",
            "received_on": date(2026, 11, 25),
            "withdrawn_on": date(2026, 11, 26),
        },
    )
    reference = secrets.token_urlsafe(16)
    with pytest.raises(MailUncertainError):
        runtime.mail().send("somebody@practice.example", letter, reference=reference)
    assert [m.to for m in read_mailbox(world) if m.reference == reference] == ["somebody@practice.example"]


def test_the_key_is_in_no_argument_list_that_other_accounts_can_read(world: World) -> None:
    process = world.table.find("processors")
    assert process is not None
    assert world.processor_keys[SENDGRID] not in " ".join(psutil.Process(process.pid).cmdline())
    assert (world.folder / "mailbox").stat().st_mode & 0o077 == 0


def test_one_notice_goes_to_many_through_either_provider_into_one_mailbox(
    world: World, runtime: Runtime
) -> None:
    letter = Letter("policy_notice", "en", "Our policy changes", "Hello\n", "<p>Hello</p>\n")
    batches = {name: secrets.token_urlsafe(16) for name in ("sendgrid", "postmark")}
    for name in ("sendgrid", "postmark"):
        to = [Addressed(secrets.token_urlsafe(16), f"n{n}@{name}.example") for n in range(3)]
        port = runtime.bulk_mail(name)  # type: ignore[arg-type] # one of the two
        assert all(each.accepted for each in port.send(letter, to, batch=batches[name]).results)
        assert len(port.fates(batches[name], datetime.now(UTC), as_of=datetime.now(UTC))) == 3
    assert arrivals(world.folder, batches=batches.values()) == {
        f"n{n}@{name}.example": 1 for n in range(3) for name in ("sendgrid", "postmark")
    }
    runtime.close()
