"""Notes as C2SP describes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from include.privacy.evidence.notes import Checkpoint, NoteError, NoteSigner, open_note

SIGNER = NoteSigner("example.com/foo", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
CHECKPOINT = Checkpoint("example.com/foo", 7, bytes(32), datetime(2026, 11, 25, 4, 50, tzinfo=UTC))


def test_a_note_is_opened_with_its_verifier_key() -> None:
    note = SIGNER.sign(CHECKPOINT.body())
    assert note.startswith("example.com/foo\n7\nAAAA")
    assert note.split("\n\n")[1].startswith("— example.com/foo ")
    assert Checkpoint.parse(open_note(note, [SIGNER.verifier_key])) == CHECKPOINT


def test_the_key_of_another_implementation_is_understood() -> None:
    # The example of the specification of signed notes, and of Go's package note.
    key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE"
        "6RyyBwJnAM=\n"
    )
    assert open_note(note, [key]).startswith("If you think")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda n: n.replace("\n7\n", "\n8\n"), "was changed"),
        (lambda n: n.replace("— example", "— another"), "signed by no key"),
        (lambda n: n.split("\n\n")[0], "no signature"),
        (lambda n: n.replace("— ", "- "), "signed by no key"),
    ],
)
def test_whatever_is_changed_in_a_note_shows(change: object, told: str) -> None:
    assert callable(change)
    with pytest.raises(NoteError, match=told):
        open_note(change(SIGNER.sign(CHECKPOINT.body())), [SIGNER.verifier_key])


def test_a_key_that_was_copied_badly_is_refused() -> None:
    name, id_, key = SIGNER.verifier_key.split("+", 2)
    with pytest.raises(NoteError, match="does not fit its own id"):
        open_note("a\n\n— b c\n", [f"{name}+00000000+{key}"])
    assert len(id_) == 8


@pytest.mark.parametrize("body", ["", "a\n1\n", "a\nx\nAAAA\ntime 2026-11-25T00:00:00Z\n", "a\n1\nA\n\n\n"])
def test_what_is_no_checkpoint_is_told_so(body: str) -> None:
    with pytest.raises(NoteError, match="no checkpoint"):
        Checkpoint.parse(body)
