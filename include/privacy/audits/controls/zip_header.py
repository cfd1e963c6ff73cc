"""What the first bytes of a ZIP say of its encryption (PKWARE APPNOTE 4.3.7; WinZip AE-1 and AE-2)."""

from __future__ import annotations

import struct

BYTES = 256
"""Enough for the header of the first member and its extra fields."""
_LOCAL_HEADER = b"PK\x03\x04"
_ENCRYPTED = 1
_AES_METHOD, _AES_FIELD = 99, 0x9901
_BITS = {1: 128, 2: 192, 3: 256}


def aes_bits(head: bytes) -> int | None:
    """The length of the key that the first member is encrypted with; ``None``: no ZIP, or no AES."""
    if len(head) < 30 or not head.startswith(_LOCAL_HEADER):
        return None
    _, flags, method = struct.unpack_from("<HHH", head, 4)
    name, extra = struct.unpack_from("<HH", head, 26)
    if not flags & _ENCRYPTED or method != _AES_METHOD:
        return None
    fields = head[30 + name : 30 + name + extra]
    while len(fields) >= 4:
        kind, size = struct.unpack_from("<HH", fields)
        if kind == _AES_FIELD and size >= 7 and len(fields) >= 11:
            return _BITS.get(fields[8])
        fields = fields[4 + size :]
    return None
