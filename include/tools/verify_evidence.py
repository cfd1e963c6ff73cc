"""Verify a log of evidence, or a certificate of erasure, with nothing but a public key.

    python verify_evidence.py EXPORT --key KEY                a folder: segments/*.jsonl, checkpoints/*.note
    python verify_evidence.py --certificate FILE --key KEY    the JSON file of a certificate

EXPORT is what `python -m include.privacy evidence export` writes, or a copy of the bucket of evidence. KEY
is a C2SP verifier key (name+id+base64), a file with one, or a PEM file; get it from somebody other than
whoever gave you the files. --tsa CA.pem also checks time stamps (RFC 3161). Exit code 0: everything holds,
1: the lines say what does not, 2: wrong usage.

This program stands alone: Python's standard library and `cryptography`, and no code of the writer.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
BEFORE = timedelta(hours=1)  # a row is in the log at the latest so long after its own instant
AHEAD = timedelta(minutes=5)
MOST_FINDINGS = 50


class NotVerifiedError(Exception):
    """What does not hold."""


# --- canonical JSON (RFC 8785) for the values that evidence has -----------------------------------------


def canonical(value: Any) -> str:
    """One text for one value: sorted keys, no blanks, numbers as ECMAScript writes them."""
    if plain(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def plain(value: Any) -> bool:
    """Whether Python's own encoder writes the same text: no fractions, no names beyond ASCII."""
    if isinstance(value, dict):
        return all(name.isascii() and plain(each) for name, each in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return not isinstance(value, float)


def number(value: float) -> str:
    """Number::toString of ECMAScript: Python's shortest digits in another notation."""
    if value == 0:
        return "0"
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, part = mantissa.partition(".")
    part = "" if part == "0" else part
    digits = (whole + part).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + part) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        text = digits + "0" * (point - count)
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        rest = f".{digits[1:]}" if count > 1 else ""
        text = f"{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return f"-{text}" if value < 0 else text


def strict_json(text: str | bytes) -> Any:
    """JSON without names given twice and without numbers that are none."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a name is given twice")
        return dict(pairs)

    def never(constant: str) -> Any:
        raise ValueError(f"{constant} is no number")

    return json.loads(text, object_pairs_hook=once, parse_constant=never)


# --- hashes and trees (RFC 6962) ------------------------------------------------------------------------


def sha256(content: bytes) -> bytes:
    """The digest."""
    return hashlib.sha256(content).digest()


def parent(left: bytes, right: bytes) -> bytes:
    """The hash of two children."""
    return sha256(b"\x01" + left + right)


class Tree:
    """The perfect subtrees on the right edge of a growing tree."""

    def __init__(self) -> None:
        self.size, self.edge = 0, list[bytes]()

    def add(self, leaf: bytes) -> None:
        """Append a leaf hash."""
        position, node = self.size, leaf
        while position & 1:
            node, position = parent(self.edge.pop(), node), position >> 1
        self.edge.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root now."""
        if not self.edge:
            return sha256(b"")
        node = self.edge[-1]
        for left in self.edge[-2::-1]:
            node = parent(left, node)
        return node


def root_by_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root to which an inclusion proof leads (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise NotVerifiedError(f"entry {index} cannot be in a log of {size}")
    node, here, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            raise NotVerifiedError("the proof is too long")
        if here & 1 or here == last:
            node = parent(sibling, node)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            node = parent(node, sibling)
        here, last = here >> 1, last >> 1
    if last:
        raise NotVerifiedError("the proof is too short")
    return node


# --- keys and signed notes (C2SP) -----------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """A public key; ``name`` and ``id`` are empty when it came without them."""

    public: Ed25519PublicKey
    name: str = ""
    id: bytes = b""

    @classmethod
    def read(cls, given: str) -> Key:
        """From a verifier key, a file that holds one, or a PEM file."""
        if "+" not in given or Path(given).exists():
            content = Path(given).read_bytes()
            if b"-----BEGIN" in content:
                loaded = serialization.load_pem_public_key(content)
                if not isinstance(loaded, Ed25519PublicKey):
                    raise NotVerifiedError(f"{given} is no Ed25519 key")
                return cls(loaded)
            given = content.decode().strip()
        name, id_, encoded = given.split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
        if len(raw) != 33 or raw[0] != 1 or sha256(name.encode() + b"\n" + raw)[:4].hex() != id_:
            raise NotVerifiedError("the verifier key does not fit its own id")
        return cls(Ed25519PublicKey.from_public_bytes(raw[1:]), name, bytes.fromhex(id_))

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed it."""
        try:
            self.public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Checkpoint:
    """What was signed: the log's name, its size and root, and when."""

    where: str
    origin: str
    size: int
    root: bytes
    at: datetime

    @classmethod
    def read(cls, note: str, keys: list[Key], where: str) -> Checkpoint:
        """Check the signature, then the form."""
        body, blank, signatures = note.rpartition("\n\n")
        body += "\n"
        if not blank or not any(cls._by(key, body, line) for line in signatures.split("\n") for key in keys):
            raise NotVerifiedError(f"{where}: no given key signed it as it is")
        lines = body.split("\n")
        try:
            when = next(line for line in lines[3:] if line.startswith("time "))[5:]
            root = base64.b64decode(lines[2], validate=True)
            return cls(where, lines[0], int(lines[1]), root, instant(when))
        except (IndexError, ValueError, StopIteration):
            raise NotVerifiedError(f"{where}: is no checkpoint") from None

    @staticmethod
    def _by(key: Key, body: str, line: str) -> bool:
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.rpartition(" ")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except ValueError:
            return False
        if dash != "—" or (key.id and (name, raw[:4]) != (key.name, key.id)):
            return False
        return key.signed(body.encode(), raw[4:])


def instant(text: str) -> datetime:
    """An instant with its zone."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("an instant without a zone")
    return found.astimezone(UTC)


# --- the log --------------------------------------------------------------------------------------------


@dataclass
class Result:
    """``findings``: what does not hold; ``notes``: what to know besides."""

    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    size: int = 0

    def find(self, what: str) -> None:
        """Add a finding; after the first fifty nothing new is learnt."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(what)


def verify_export(folder: Path, keys: list[Key], tsa: bytes | None = None) -> Result:
    """Everything that can be told about a folder of segments and checkpoints; flat memory."""
    result = Result()
    checkpoints = list(_checkpoints(folder, keys, tsa, result))
    if not checkpoints:
        result.find("there is no valid checkpoint, so nothing shows that the log is complete and unchanged")
    _compare_checkpoints(checkpoints, result)
    reader = Reader(result, list(checkpoints))
    for where, line in _lines(folder, result):
        reader.line(where, line)
    reader.end()
    return result


def _checkpoints(folder: Path, keys: list[Key], tsa: bytes | None, result: Result) -> Iterator[Checkpoint]:
    stamps = 0
    for path in sorted((folder / "checkpoints").glob("*.note")):
        content = path.read_bytes()
        try:
            yield Checkpoint.read(content.decode(), keys, path.name)
            stamp = path.with_suffix(".tsr")
            if stamp.exists() and tsa:
                when = verify_timestamp(stamp.read_bytes(), content, tsa)
                result.notes.append(
                    f"{path.name} existed by {when.isoformat()}, says the time-stamping authority"
                )
            stamps += stamp.exists()
        except (NotVerifiedError, UnicodeDecodeError) as error:
            result.find(str(error) if path.name in str(error) else f"{path.name}: {error}")
    if stamps and not tsa:
        result.notes.append(f"{stamps} time stamps were not checked: give --tsa the authority's certificates")


def _compare_checkpoints(found: list[Checkpoint], result: Result) -> None:
    found.sort(key=lambda each: (each.size, each.at))
    for before, after in pairwise(found):
        if before.origin != after.origin:
            result.find(f"{after.where}: is of another log than {before.where}")
        if before.size == after.size and before.root != after.root:
            result.find(f"{after.where}, {before.where}: one size and two roots: the log was forked")
        if after.at < before.at:
            result.find(f"{after.where}: is larger and older than {before.where}: it was back-dated")


@dataclass
class Reader:
    """Goes through the log once; what it remembers does not grow with it."""

    result: Result
    waiting: list[Checkpoint]
    passed: Checkpoint | None = None
    tree: Tree = field(default_factory=Tree)
    chain: bytes = bytes(32)
    expected: int = 0
    held: int = 0

    def line(self, where: str, line: bytes) -> None:
        """One entry."""
        try:
            entry = strict_json(line)
            index, leaf = entry["index"], entry["leaf"]
            stated, link = bytes.fromhex(entry["hash"]), bytes.fromhex(entry["chain"])
            when = instant(leaf["at"])
            if set(entry) != {"index", "leaf", "hash", "chain"} or type(index) is not int:
                raise ValueError("another form")
        except (ValueError, KeyError, TypeError):
            self.result.find(f"{where}: entry {self.expected} is damaged")
            self.expected += 1
            return
        hash_ = sha256(b"\x00" + canonical(leaf).encode())
        if hash_ != stated:
            self.result.find(f"{where}: entry {index} was changed: its content does not fit its hash")
        if index > self.expected:
            missing = f"entries {self.expected} to {index - 1} are missing before entry {index}"
            self.result.find(f"{where}: {missing}")
        elif index < self.expected:
            after = f"entry {index} comes after entry {self.expected - 1}"
            self.result.find(f"{where}: {after}: reordered or repeated")
        elif sha256(self.chain + stated) != link:
            self.result.find(f"{where}: entry {index} does not follow from the entry before it")
        self._date(where, index, when)
        self.tree.add(hash_)
        self.chain, self.expected = link, max(self.expected, index) + 1
        self._compare()

    def end(self) -> None:
        """Whatever was signed and did not come."""
        self.result.size = self.expected
        for each in self.waiting:
            missing = f"entries {self.expected} to {each.size - 1} were signed at {each.at.isoformat()}"
            self.result.find(f"{each.where}: {missing} and are missing: the log was cut")
        if not self.waiting and self.passed and self.expected > self.passed.size:
            newer = self.expected - self.passed.size
            self.result.notes.append(
                f"{newer} entries are newer than the last checkpoint: nobody signed them yet"
            )

    def _date(self, where: str, index: int, when: datetime) -> None:
        if self.passed and when < self.passed.at - BEFORE:
            said = f"it says {when.isoformat()} and came after {self.passed.where}"
            self.result.find(f"{where}: entry {index} is back-dated: {said}")
        if self.waiting and when > self.waiting[0].at + AHEAD and index < self.waiting[0].size:
            self.result.find(f"{where}: entry {index} is dated after {self.waiting[0].where}, which has it")

    def _compare(self) -> None:
        while self.waiting and self.waiting[0].size <= self.expected:
            self.passed = signed = self.waiting.pop(0)
            if signed.size != self.expected:
                continue  # entries are missing here, which was told
            if self.tree.size == signed.size and self.tree.root() == signed.root:
                self.held = signed.size
                continue
            what = (
                f"the first {signed.size} entries are not those that were signed at {signed.at.isoformat()}"
            )
            among = (
                f"among the entries {self.held} to {signed.size - 1} something was changed, added or dropped"
            )
            self.result.find(f"{signed.where}: {what}: {among}")


def _lines(folder: Path, result: Result) -> Iterator[tuple[str, bytes]]:
    """Every line, once. A publication that broke off leaves a segment that a longer one repeats."""
    segments: dict[str, list[Path]] = {}
    for path in sorted((folder / "segments").glob("*.jsonl")):
        segments.setdefault(path.name.partition("-")[0], []).append(path)
    for begun in segments.values():
        *shorter, longest = sorted(begun, key=lambda path: path.name)
        for path in shorter:
            with path.open("rb") as one, longest.open("rb") as other:
                for n, (a, b) in enumerate(zip(one, other, strict=False), start=1):
                    if a != b:
                        result.find(f"{path.name} line {n} is another one than in {longest.name}: a fork")
                        break
        with longest.open("rb") as lines:
            for n, line in enumerate(lines, start=1):
                yield f"{longest.name} line {n}", line


# --- certificates ---------------------------------------------------------------------------------------


def verify_certificate(document: dict[str, Any], keys: list[Key]) -> dict[str, Any]:
    """The statement of a certificate that holds: signature, place in the log, signed checkpoint.

    Raises :class:`NotVerifiedError` with the first thing that does not.
    """
    try:
        envelope, log = document["envelope"], document["log"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signed = _pae(envelope["payloadType"], payload)
        signatures = [base64.b64decode(each["sig"], validate=True) for each in envelope["signatures"]]
        leaf, index = log["leaf"], log["index"]
        path = [bytes.fromhex(each) for each in log["path"]]
        statement = strict_json(payload)
        request = statement["predicate"]["request"]["id"]
    except (KeyError, TypeError, ValueError):
        raise NotVerifiedError("the file is no certificate of erasure, or was damaged") from None
    if not any(key.signed(signed, each) for key in keys for each in signatures):
        raise NotVerifiedError("no given key signed the statement as it is")
    if envelope["payloadType"] != PAYLOAD_TYPE or statement.get("_type") != STATEMENT_TYPE:
        raise NotVerifiedError("what is signed is no in-toto statement")
    if leaf["body"].get("statement_sha256") != sha256(payload).hex() or leaf["request_id"] != request:
        raise NotVerifiedError("the entry of the log is about another statement")
    checkpoint = Checkpoint.read(log["checkpoint"], keys, "the checkpoint")
    root = root_by_path(sha256(b"\x00" + canonical(leaf).encode()), index, checkpoint.size, path)
    if root != checkpoint.root:
        raise NotVerifiedError("the entry is not in the log that was signed")
    if opening := document.get("opening"):
        _open(opening, statement["predicate"])
    return dict(statement)


def _open(opening: dict[str, str], predicate: dict[str, Any]) -> None:
    """The person's copy has the key of the commitment: it shows that the certificate is about them."""
    try:
        key, value = bytes.fromhex(opening["key"]), opening["reference"]
        made = hmac.digest(key, b"reference\x1f" + value.encode(), "sha256").hex()
        fits = hmac.compare_digest(made, predicate["request"]["reference_commitment"])
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise NotVerifiedError("the certificate is not about the request that the file names")


def _pae(kind: str, payload: bytes) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


# --- time stamps (RFC 3161): as much DER and CMS as a response needs ------------------------------------

_DIGESTS: dict[bytes, hashes.HashAlgorithm] = {
    bytes.fromhex("608648016503040201"): hashes.SHA256(),
    bytes.fromhex("608648016503040202"): hashes.SHA384(),
    bytes.fromhex("608648016503040203"): hashes.SHA512(),
}
_MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")


@dataclass(frozen=True)
class Der:
    """One element: its tag, its content, and all of its bytes."""

    tag: int
    content: bytes
    whole: bytes

    @classmethod
    def read(cls, data: bytes) -> tuple[Der, bytes]:
        """The first element, and what follows it."""
        length, start = data[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[2:start])
        if start + length > len(data):
            raise ValueError("cut short")
        return cls(data[0], data[start : start + length], data[: start + length]), data[start + length :]

    def parts(self) -> list[Der]:
        """What is inside."""
        found, rest = [], self.content
        while rest:
            element, rest = Der.read(rest)
            found.append(element)
        return found


def verify_timestamp(response: bytes, message: bytes, authority: bytes) -> datetime:
    """When an authority with one of these certificates (PEM) saw it. Raises :class:`NotVerifiedError`."""
    try:
        return _timestamp(response, message, authority)
    except (IndexError, StopIteration, KeyError, ValueError):
        raise NotVerifiedError("the time stamp cannot be read") from None


def _timestamp(response: bytes, message: bytes, authority: bytes) -> datetime:
    token = Der.read(response)[0].parts()[1]
    signed = token.parts()[1].parts()[0].parts()
    info = signed[2].parts()[1].parts()[0].content
    embedded = [part for part in signed[3:] if part.tag == 0xA0]
    signer = signed[-1].parts()[0].parts()
    fields = Der.read(info)[0].parts()
    imprint = fields[2].parts()
    if _digest(_DIGESTS[imprint[0].parts()[0].content], message) != imprint[1].content:
        raise NotVerifiedError("the time stamp is of something else")
    attributes = next(part for part in signer if part.tag == 0xA0)
    algorithm = _DIGESTS[signer[2].parts()[0].content]
    stated = next(
        a.parts()[1].parts()[0] for a in attributes.parts() if a.parts()[0].content == _MESSAGE_DIGEST
    )
    if stated.content != _digest(algorithm, info):
        raise NotVerifiedError("the time stamp was changed")
    signature = next(part for part in signer[4:] if part.tag == 0x04).content
    roots = x509.load_pem_x509_certificates(authority)
    for certificate in [
        *roots,
        *(x509.load_der_x509_certificate(c.whole) for e in embedded for c in e.parts()),
    ]:
        if _trusted(certificate, roots) and _made(
            certificate, b"\x31" + attributes.whole[1:], signature, algorithm
        ):
            return datetime.strptime(fields[4].content.decode()[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    raise NotVerifiedError("the time stamp is signed by no authority that was given")


def _trusted(certificate: x509.Certificate, roots: list[x509.Certificate]) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    if x509.oid.ExtendedKeyUsageOID.TIME_STAMPING not in usage:
        return False
    for root in roots:
        try:
            if certificate != root:
                certificate.verify_directly_issued_by(root)
            return True
        except (ValueError, TypeError, InvalidSignature):
            continue
    return False


def _made(certificate: x509.Certificate, message: bytes, signature: bytes, by: hashes.HashAlgorithm) -> bool:
    key = certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), by)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(by))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _digest(algorithm: hashes.HashAlgorithm, content: bytes) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(content)
    return digest.finalize()


def main(arguments: list[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("export", nargs="?", type=Path, help="a folder with segments/ and checkpoints/")
    parser.add_argument("--certificate", type=Path, help="the JSON file of a certificate of erasure")
    parser.add_argument("--key", action="append", required=True, help="a verifier key, or a file with a key")
    parser.add_argument("--tsa", type=Path, help="certificates (PEM) of the time-stamping authority")
    options = parser.parse_args(arguments)
    if (options.export is None) == (options.certificate is None):
        parser.error("name either a folder, or a certificate with --certificate")
    try:
        keys = [Key.read(each) for each in options.key]
        if options.certificate:
            statement = verify_certificate(strict_json(options.certificate.read_bytes()), keys)
            print(json.dumps(statement["predicate"], indent=2, ensure_ascii=False))
            print("holds: signed, and in the signed log", file=sys.stderr)
            return 0
        tsa = options.tsa.read_bytes() if options.tsa else None
        result = verify_export(options.export, keys, tsa)
    except (NotVerifiedError, OSError, ValueError) as error:
        print(f"does not hold: {error}", file=sys.stderr)
        return 1
    for line in [*result.notes, *(f"does not hold: {each}" for each in result.findings)]:
        print(line)
    print(f"{result.size} entries, {len(result.findings)} findings")
    return 1 if result.findings else 0


if __name__ == "__main__":
    sys.exit(main())
