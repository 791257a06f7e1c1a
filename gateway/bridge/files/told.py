# SPDX-License-Identifier: Apache-2.0
"""Files of the network, as users are told of them; `gateway.bridge.files.downloads` fetches them.

Runs inside the writer's transaction, as `gateway.bridge.inbound.inbound`. Nothing is fetched then:
users are told an address of the gateway, which asks the network when somebody comes there. So no
conversation waits for a file, whatever its size (REQ-446). Where the admin wants files to be at
the server's upload service, `gateway.bridge.files.uploads` tries that before a message is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from msgspec import structs

from gateway.bridge import previews
from gateway.bridge.put_before import M, put_before
from gateway.bridge.rooms.mentions import of_part
from gateway.bridge.splitting import one_line, split_styled
from gateway.events import (
    FileFacts,
    LinkPreview,
    Mention,
    RemoteFile,
    RemoteMessage,
    RemoteRoomMessage,
    SharedFile,
)
from gateway.ids import AccountId, ConversationId, FileId
from gateway.media.names import safe_name
from gateway.media.types import MEASURED
from gateway.store import Transaction, files
from gateway.store.files import FileRow, Uploaded
from gateway.text import Span, clean

N = TypeVar("N", int, float)
_LONGEST_DESCRIPTION = 1_000
_MOST = 50
"""Of one message have an address."""
_ENDINGS = {
    "image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif",
    "audio/ogg": ".ogg", "audio/mpeg": ".mp3", "audio/mp4": ".m4a", "video/mp4": ".mp4",
    "video/webm": ".webm", "application/pdf": ".pdf",
}  # fmt: skip
"""Of names, by which clients see what a link leads to (REQ-441)."""


class FileLinks(Protocol):
    """See `gateway.media.links`."""

    def url(self, file: FileId, name: str, *, is_thumbnail: bool = False) -> str: ...


@dataclass(frozen=True, slots=True)
class Files:
    """Of one account."""

    account: AccountId
    links: FileLinks | None
    """None if the gateway has no address."""
    uploads: bool = False
    """They are to be at the server's upload service."""

    @property
    def have_addresses(self) -> bool:
        """Whether there are any addresses of files."""
        return self.links is not None or self.uploads

    def readable(self, event: M) -> M:
        """The message as it can be told: files that get no address are words before its own."""
        kept = event.files[:_MOST] if self.have_addresses else ()
        others = event.files[len(kept) :]
        if not others:
            return event
        before = "\n".join(map(in_words, others))
        return put_before(structs.replace(event, files=kept), before)

    def told(
        self,
        db: Transaction,
        conversation: ConversationId,
        event: RemoteMessage | RemoteRoomMessage,
        now: float,
    ) -> list[SharedFile]:
        """The files of a message."""
        told: list[SharedFile] = []
        if not self.have_addresses:
            return told
        for number, file in enumerate(event.files):
            known = _legal(file)
            id = files.add(db, conversation, self.account, event.id, number, known, now)
            shared = self._shared(id, known)
            upload = id if self.uploads else None
            told.append(structs.replace(shared, upload=upload, thumbnail=self._small(id, known)))
        return told

    def _small(self, id: FileId, file: RemoteFile) -> SharedFile | None:
        """Only the gateway has an address for it."""
        if file.thumbnail is None or self.links is None:
            return None
        return self._shared(id, file.thumbnail, is_thumbnail=True)

    def _shared(self, id: FileId, file: RemoteFile, *, is_thumbnail: bool = False) -> SharedFile:
        name = with_ending(file)
        url = "" if self.links is None else self.links.url(id, name, is_thumbnail=is_thumbnail)
        facts = {name: getattr(file, name) for name in FileFacts.__struct_fields__}
        return SharedFile(url=url, **facts)


class Words(NamedTuple):
    """A part of a message of a chat."""

    body: str
    spans: tuple[Span, ...] = ()
    file: SharedFile | None = None
    mentions: tuple[Mention, ...] = ()
    previews: tuple[LinkPreview, ...] = ()


def in_parts(shared: Sequence[SharedFile], event: RemoteMessage) -> list[Words]:
    """A message as it is told: each file for itself, then what is said of them (REQ-443)."""
    parts = [Words(mark(file), file=file) for file in shared]
    if event.body or not parts:
        begin = 0
        for body, spans in split_styled(clean(event.body), event.spans):
            named = tuple(of_part(event.mentions, begin, begin + len(body)))
            of_links = previews.shown(event.previews, body, spans)
            parts.append(Words(body, spans, mentions=named, previews=of_links))
            begin += len(body)
    return parts


def mark(file: FileFacts) -> str:
    """A file in a line of text."""
    return f"📎 {one_line(file.name or file.description or file.kind)}"


def at(shared: SharedFile, there: Uploaded) -> SharedFile:
    """A file that is at the upload service."""
    return structs.replace(
        shared, url=there.url, size=there.size, sha256=there.sha256, upload=None
    )


def on_its_way(shared: SharedFile, file: FileRow, links: FileLinks | None) -> SharedFile:
    """A file that is to be put there once more."""
    url = "" if links is None else links.url(file.id, with_ending(file.file))
    return structs.replace(shared, url=url, sha256=b"", upload=file.id)


def in_words(file: RemoteFile) -> str:
    """For who has no way to it but an app of the network."""
    size = "" if file.size is None else f" ({_size(file.size)})"
    return clean(f"{mark(file)}{size}\n{file.page}".strip())


def _size(size: int) -> str:
    """For people."""
    number = float(size)
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"


def _legal(file: RemoteFile) -> RemoteFile:
    """As it can stand in a stanza. What makes no sense was not said."""
    small = None if file.thumbnail is None else _legal(file.thumbnail)
    return structs.replace(
        file,
        name=safe_name(file.name, ""),
        page=clean(file.page),
        media_type=clean(one_line(file.media_type.partition(";")[0].strip().lower(), 100)),
        description=clean(file.description[:_LONGEST_DESCRIPTION]),
        size=_at_least(file.size, 0),
        width=_at_least(file.width, 1),
        height=_at_least(file.height, 1),
        duration_s=_at_least(file.duration_s, 0),
        thumbnail=small if small is not None and _is_picture(small) else None,
    )


def _is_picture(small: RemoteFile) -> bool:
    """Which clients may fetch of themselves."""
    return not small.media_type or small.media_type in MEASURED


def with_ending(file: FileFacts) -> str:
    """A name for the address: stickers and the like have none, and some no ending."""
    name = safe_name(file.name, str(file.kind))
    return name if "." in name else name + _ENDINGS.get(file.media_type, "")


def _at_least(number: N | None, least: int) -> N | None:
    return number if number is not None and least <= number < 1 << 53 else None
