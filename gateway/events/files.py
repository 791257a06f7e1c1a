# SPDX-License-Identifier: Apache-2.0
"""Files, in both directions. Their bytes are in no record: they flow when somebody wants them."""

from __future__ import annotations

import enum

from gateway.events.record import Record
from gateway.ids import FileId


class FileKind(enum.StrEnum):
    """As what a file is shown."""

    FILE = "file"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    VOICE = "voice"
    """Spoken for this conversation."""
    ANIMATION = "animation"
    """A picture that moves, or a short film without sound that begins again."""
    STICKER = "sticker"
    VIDEO_NOTE = "video-note"
    """Filmed for this conversation, and shown in a circle."""


class FileFacts(Record, frozen=True, kw_only=True):
    """What is said of a file. It may all be wrong."""

    kind: FileKind = FileKind.FILE
    name: str = ""
    media_type: str = ""
    size: int | None = None
    """In bytes."""
    width: int | None = None
    height: int | None = None
    """In pixels."""
    duration_s: float | None = None
    description: str = ""
    """What there is to be seen, for those who cannot; of a sticker the emoji."""
    is_spoiler: bool = False
    """It is shown only to who asks for it."""


class RemoteFile(FileFacts, frozen=True, kw_only=True):
    """A file that the network has."""

    reference: str
    """By which `gateway.adapter.Session.download` finds it, now or in a year, with all that is
    needed to read it; at most 4,000 characters."""
    page: str = ""
    """Where people see it in an app of the network, if that is known."""
    thumbnail: RemoteFile | None = None
    """A small picture of it, if the network has one; what is said of that is its reference, type
    and size."""
    content: bytes = b""
    """All of it, where it is so small that nobody has to be asked for it: at most 64 KiB."""


class SharedFile(FileFacts, frozen=True, kw_only=True):
    """The same as users are told of it."""

    url: str
    """Where it is found; empty if it has no address, or none yet."""
    sha256: bytes = b""
    """Of all its bytes, if somebody has read them."""
    upload: FileId | None = None
    """Which one it is in the store, as long as it is not decided whether it can be put where the
    server has the files of its users. Until then it is told to nobody but who asks an archive."""
    thumbnail: SharedFile | None = None
    """A small picture of it, at the gateway's own address."""


class SentFile(FileFacts, frozen=True, kw_only=True):
    """A file that a user sends; `gateway.adapter.AccountContext.open` opens it."""

    url: str
    """Where the user's client has put it: https, or aesgcm with the key (XEP-0454)."""
    sha256: str = ""
    """Of the file, in hex, if the client has said it."""
    as_file: bool = False
    """The user wants it to be shown as a file, whatever it is."""
