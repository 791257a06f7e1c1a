# SPDX-License-Identifier: Apache-2.0
"""What contacts show of themselves, as the gateway was told: not again with each message. No I/O.

One person may be two contacts; see `adapters.telegram.ids`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import structs

from adapters.telegram import ids
from adapters.telegram.pictures import Faces
from gateway.events import RemoteEvent, RemoteProfile
from gateway.ids import RemoteUserId

Shown = tuple[str, str]
"""A name, and a picture; to say that there is none is the same as to say nothing."""
_MOST = 5_000


class Profiles:
    """Of one session."""

    def __init__(self, faces: Faces) -> None:
        self._faces = faces
        self._told: dict[RemoteUserId, Shown] = {}

    def news(
        self, found: Iterable[RemoteEvent]
    ) -> tuple[list[RemoteEvent], Mapping[RemoteUserId, Shown]]:
        """What there is to tell, with the pictures of those who are told of; and what they show
        then, for `told`."""
        if len(self._told) > _MOST:
            self._told.clear()
        news: list[RemoteEvent] = []
        shown: dict[RemoteUserId, Shown] = {}
        for event in found:
            if isinstance(event, RemoteProfile):
                contact, picture = event.contact, self._faces.seen(ids.face_of(event.contact))
                now = event.name, picture or ""
                if shown.get(contact, self._told.get(contact)) == now:
                    continue
                shown[contact] = now
                event = structs.replace(event, avatar=picture)
            news.append(event)
        return news, shown

    def told(self, shown: Mapping[RemoteUserId, Shown]) -> None:
        """That is durable."""
        self._told.update(shown)

    def pictured(self, user: RemoteUserId) -> Iterator[RemoteProfile]:
        """Somebody has another picture; as contacts who were told of, they show it."""
        for contact in (user, ids.in_own_chat(int(user))):
            if contact in self._told:
                yield RemoteProfile(contact=contact, name=self._told[contact][0])
