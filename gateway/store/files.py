# SPDX-License-Identifier: Apache-2.0
"""Files of the network that users were told of: what is fetched when they ask for one."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import msgspec

from gateway.events import RemoteFile
from gateway.ids import AccountId, ConversationId, FileId, NetworkName, RemoteMessageId
from gateway.store.writer import Connection, Transaction

_ID_BITS = 47
"""SQLite would give the id of the last one again when that is gone."""
_decoder = msgspec.msgpack.Decoder(RemoteFile)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """A file that users were told of."""

    id: FileId
    conversation: ConversationId
    account: AccountId | None
    """That was told of it; None if it is gone, and others of the room have it still."""
    file: RemoteFile
    stored_at: float


def add(
    db: Transaction,
    conversation: ConversationId,
    account: AccountId,
    message: RemoteMessageId,
    number: int,
    file: RemoteFile,
    now: float,
) -> FileId:
    """From now on users are told of this file, the one with this number in its message. What was
    told of it before keeps its id. No other one ever gets that, when it is gone either: addresses
    that somebody has kept lead to nothing then."""
    id = secrets.randbits(_ID_BITS)
    (id,) = db.execute(
        "INSERT INTO file (id, conversation, account, remote_id, number, facts, stored_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (conversation, remote_id, number)"
        " DO UPDATE SET facts = excluded.facts RETURNING id",
        (id, conversation, account, message, number, msgspec.msgpack.encode(file), now),
    ).fetchone()
    return FileId(id)


def get(db: Connection, id: FileId) -> FileRow | None:
    """A file, if it is still there."""
    found = db.execute(
        "SELECT conversation, account, facts, stored_at FROM file WHERE id = ?", (id,)
    ).fetchone()
    return found and FileRow(
        id=id,
        conversation=ConversationId(found[0]),
        account=None if found[1] is None else AccountId(found[1]),
        file=_decoder.decode(found[2]),
        stored_at=found[3],
    )


def there(db: Connection, ids: Sequence[FileId]) -> set[FileId]:
    """Which of these, 500 at the most, are still there."""
    places = ", ".join("?" * len(ids))
    found = db.execute(f"SELECT id FROM file WHERE id IN ({places})", tuple(ids))
    return {FileId(id) for (id,) in found}


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """What is known of a file that is at the server's upload service."""

    url: str
    sha256: bytes
    size: int
    at: float
    """When it was put there: the service forgets it some days after that, whoever else was told
    of it since."""
    uploader: AccountId | None
    """In whose name, who has the quota and the right to take it away; None is the component."""


def source(network: NetworkName, realm: str, reference: str) -> bytes:
    """Files with the same are the same. What a reference leads to is whatever an account's own
    server says, so it means something only within the realm of the account. The keys in a
    reference cannot be read from it."""
    return hashlib.sha256(f"{network}\0{realm}\0{reference}".encode()).digest()


def set_uploaded(db: Transaction, id: FileId, source: bytes | None, uploaded: Uploaded) -> None:
    """A file is at the upload service."""
    db.execute(
        "UPDATE file SET source = ?, url = ?, sha256 = ?, size = ?, uploaded_at = ?, uploader = ?"
        " WHERE id = ?",
        (source, *astuple(uploaded), id),
    )


def uploaded(
    db: Connection,
    since: float,
    uploader: AccountId | None,
    *,
    source: bytes | None = None,
    sha256: bytes | None = None,
) -> Uploaded | None:
    """The last one of the same source, or with the same content, that was put there after that by
    the component, or in the name of this account. Addresses may say whose name that was, so nobody
    else is told them."""
    key, value = ("source", source) if sha256 is None else ("sha256", sha256)
    found = db.execute(
        f"SELECT url, sha256, size, uploaded_at, uploader FROM file WHERE {key} = ?"
        " AND uploaded_at > ? AND (uploader IS NULL OR uploader = ?)"
        " ORDER BY uploaded_at DESC LIMIT 1",
        (value, since, uploader),
    ).fetchone()
    return found and Uploaded(
        url=found[0], sha256=found[1], size=found[2], at=found[3], uploader=found[4]
    )


def put_before(
    db: Connection, conversation: ConversationId, sha256: bytes, url: str, time: float
) -> FileRow | None:
    """One of a conversation that is told by this address, if it was put there before that."""
    found = db.execute(
        "SELECT id FROM file WHERE sha256 = ? AND conversation = ? AND url = ?"
        " AND uploaded_at <= ? LIMIT 1",
        (sha256, conversation, url, time),
    ).fetchone()
    return found and get(db, FileId(found[0]))


def are_known(
    db: Connection,
    conversation: ConversationId,
    message: RemoteMessageId,
    shown: Sequence[RemoteFile],
) -> bool:
    """Whether these are the files that a message has."""
    found = db.execute(
        "SELECT facts FROM file WHERE conversation = ? AND remote_id = ? ORDER BY number",
        (conversation, message),
    )
    known = [_decoder.decode(facts).reference for (facts,) in found]
    return known == [file.reference for file in shown[: len(known)]]


def count(db: Connection, conversation: ConversationId, message: RemoteMessageId) -> int:
    """How many files a message has."""
    (number,) = db.execute(
        "SELECT count(*) FROM file WHERE conversation = ? AND remote_id = ?",
        (conversation, message),
    ).fetchone()
    return int(number)


def drop(db: Transaction, conversation: ConversationId, message: RemoteMessageId) -> None:
    """A message was taken back: nobody gets its files any more."""
    db.execute(
        "DELETE FROM file WHERE conversation = ? AND remote_id = ?", (conversation, message)
    )
