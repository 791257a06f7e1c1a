# SPDX-License-Identifier: Apache-2.0
"""Finding the room for what the user says to a contact, or making one.

Matrix spec, client-server API, "Direct messaging", "POST /createRoom". A room cannot be made
idempotently, so the intention is committed first; whoever finds it later looks for the room by the
marker in its creation content before making another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from adapters.matrix.errors import code_of
from adapters.matrix.gaps import is_room_id
from adapters.matrix.http import Api
from adapters.matrix.inbound import as_dict
from adapters.matrix.ledger import Ledger
from adapters.matrix.marks import MARKER, marked_contact
from adapters.matrix.rooms import Room, RoomId
from gateway.adapter import AccountContext
from gateway.errors import AdapterError, AuthExpired, Forbidden, NotFound, Transient, Unsupported
from gateway.ids import RemoteUserId
from gateway.text.wording import tr

if TYPE_CHECKING:
    from adapters.matrix.e2e.encryption import Encryption

ENCRYPTED = tr(
    "This conversation is end-to-end encrypted on Matrix. This gateway does "
    "not do that, so nothing was sent.",
)

ENCRYPTION = {
    "type": "m.room.encryption",
    "state_key": "",
    "content": {"algorithm": "m.megolm.v1.aes-sha2"},
}


def is_encryption(content: Mapping[str, Any] | None) -> bool:
    """Whether the state of a room says that it is encrypted; once it was said it stays, so an
    empty one does too. Raises `Transient` for what is no such state: proxies answer anything."""
    if content and not isinstance(content.get("algorithm"), str):
        raise Transient(tr("The homeserver does not tell about the room."))
    return content is not None


class Opening:
    """Rooms on behalf of one account."""

    def __init__(
        self,
        account: AccountContext,
        api: Api,
        ledger: Ledger,
        is_live: Callable[[], bool],
        encryption: Encryption | None,
    ) -> None:
        self._account = account
        self._api = api
        self._ledger = ledger
        self._encryption = encryption
        self._is_live = is_live
        """Whether a change of a room would already have reached the book."""
        self._direct_lock = asyncio.Lock()

    async def room_for(self, contact: RemoteUserId, preferred: RoomId | None) -> RoomId:
        """A room where the contact can read what is said. Raises any `AdapterError`."""
        for room_id in self._ledger.book.invited_to(contact):
            with suppress(NotFound, Forbidden):
                await self.join(room_id)
        encrypted = False
        candidates = self._ledger.book.candidates(contact)
        for room_id in sorted(candidates, key=lambda room_id: room_id != preferred):
            room = await self.inspected(room_id)
            if room.is_candidate and (self._encryption is not None or not room.encrypted):
                await self._list(room_id, room)
                return room_id
            encrypted = encrypted or (room.is_candidate and bool(room.encrypted))
        if encrypted:
            raise Unsupported(ENCRYPTED)
        return await self._open(contact)

    async def inspected(self, room_id: RoomId) -> Room:
        """What is known of a room, after asking for what is not."""
        room = self._ledger.book.room(room_id)
        assert room is not None
        try:
            encrypted = room.encrypted
            if encrypted is None or not (encrypted or self._is_live()):
                encrypted = is_encryption(await self._state(room_id, "m.room.encryption"))
            mine = room.mine or await self._membership(room_id, self._account.remote_id)
            theirs = room.theirs or await self._membership(room_id, room.contact)
        except Forbidden:
            encrypted, mine, theirs = room.encrypted, "leave", room.theirs
        # Encryption that the sync loop saw meanwhile must not be taken back.
        known = self._ledger.book.room(room_id)
        encrypted = True if known is not None and known.encrypted else encrypted
        updated = await self._ledger.update(room_id, encrypted=encrypted, mine=mine, theirs=theirs)
        return updated or room

    async def is_chat_encrypted(self, room_id: RoomId) -> bool:
        """Whether a direct room is; what is not known is taken for it."""
        return (await self.inspected(room_id)).encrypted is not False

    async def is_group_encrypted(self, room_id: RoomId) -> bool:
        """The same of a group: whether it is encrypted is asked, where that may have changed."""
        group = self._ledger.book.group(room_id)
        encrypted = None if group is None else group.encrypted
        if encrypted is None or not (encrypted or self._is_live()):
            encrypted = is_encryption(await self._state(room_id, "m.room.encryption"))
            # As in `inspected`.
            known = self._ledger.book.group(room_id)
            encrypted = True if known is not None and known.encrypted else encrypted
            await self._ledger.update_group(room_id, encrypted=encrypted)
        return encrypted

    async def is_lost(self, room_id: RoomId) -> bool:
        """After a refusal: whether the account is no longer in the room."""
        await self._ledger.update(room_id, mine="", theirs="")
        return not (await self.inspected(room_id)).is_candidate

    async def join(self, room_id: RoomId) -> None:
        """Accept an invitation. Raises `NotFound` or `Forbidden` if it is gone."""
        await self._ledger.update(room_id, invite="")
        try:
            await self._api.post("rooms", room_id, "join")
        except (NotFound, Forbidden):
            await self._ledger.update(room_id, mine="leave")
            raise
        room = await self._ledger.update(room_id, mine="join", unlisted=True)
        if room is not None:
            await self._list(room_id, room)

    async def leave(self, room_id: RoomId) -> None:
        """Leave and forget: declines an invitation, removes a room that nobody uses."""
        before = await self._ledger.update(room_id, invite="")
        with suppress(NotFound, Forbidden):
            await self._api.post("rooms", room_id, "leave")
        after = self._ledger.book.room(room_id)
        if before is not None and after is not None and after.invites == before.invites:
            await self._ledger.update(room_id, mine="leave")
        with suppress(AdapterError):
            await self._api.post("rooms", room_id, "forget")

    # --- making a room ------------------------------------------------------------------------

    async def _open(self, contact: RemoteUserId) -> RoomId:
        if self._ledger.book.is_opening(contact):
            room_id = await self._find(contact, known=())
            if room_id is not None:
                return await self._adopt(room_id, contact, theirs="")
        await self._must_exist(contact)
        known = set(self._ledger.book.rooms())
        await self._ledger.opening(contact, True)
        try:
            answer = await self._api.post("createRoom", body=await self._creation(contact))
        except (Transient, AuthExpired):
            raise
        except AdapterError:
            await self._remove_remains(contact, known)
            raise
        room_id = answer.get("room_id")
        if not is_room_id(room_id):
            raise Transient(tr("The homeserver did not say which room it has made."))
        return await self._adopt(RoomId(str(room_id)), contact, theirs="invite")

    async def _creation(self, contact: RemoteUserId) -> dict[str, Any]:
        """Encrypted, if the contact has a device that can read it, or that is not known."""
        encrypts = False
        if self._encryption is not None:
            try:
                encrypts = await self._encryption.can_read(contact)
            except Transient:
                encrypts = True
        marker = {"instance": self._account.instance, "contact": contact, "encrypted": encrypts}
        return {
            "initial_state": [ENCRYPTION] if encrypts else [],
            "is_direct": True,
            "preset": "trusted_private_chat",
            "invite": [contact],
            "creation_content": {MARKER: marker},
        }

    async def _must_exist(self, contact: RemoteUserId) -> None:
        """Some homeservers let nobody be invited. Raises `NotFound`."""
        with suppress(Forbidden, Unsupported):
            await self._api.get("profile", contact)

    async def _adopt(self, room_id: RoomId, contact: RemoteUserId, *, theirs: str) -> RoomId:
        """Enter a room of ours and make it fit to be used, or remove it."""
        await self._ledger.enter(room_id, contact, theirs)
        try:
            room = await self.inspected(room_id)
            if room.encrypted and self._encryption is None:
                raise Unsupported(ENCRYPTED)
            if room.theirs not in ("join", "invite"):
                await self._api.post("rooms", room_id, "invite", body={"user_id": contact})
                room = await self._ledger.update(room_id, theirs="invite") or room
        except (Unsupported, NotFound, Forbidden):
            await self.leave(room_id)
            raise
        await self._list(room_id, room)
        return room_id

    async def _find(self, contact: RemoteUserId, known: Collection[RoomId]) -> RoomId | None:
        """A joined room with our marker for this contact, and not a known one."""
        joined = (await self._api.get("joined_rooms")).get("joined_rooms")
        for room_id in joined if isinstance(joined, list) else ():
            if not is_room_id(room_id) or room_id in known:
                continue
            room = self._ledger.book.room(room_id)
            if room is not None and room.contact != contact:
                continue
            with suppress(Forbidden):
                creation = await self._state(room_id, "m.room.create")
                if marked_contact(as_dict(creation), self._account.instance) == contact:
                    return room_id
        return None

    async def _remove_remains(self, contact: RemoteUserId, known: Collection[RoomId]) -> None:
        """Synapse makes the room, then refuses the invitation, and leaves the room as it is."""
        room_id = await self._find(contact, known)
        if room_id is not None:
            await self.leave(room_id)
        await self._ledger.opening(contact, False)

    # --- asking -------------------------------------------------------------------------------

    async def _state(self, room_id: RoomId, *key: str) -> dict[str, Any] | None:
        """None only if the homeserver says so: a proxy answers 404 for reasons of its own."""
        try:
            return await self._api.get("rooms", room_id, "state", *key)
        except NotFound as error:
            if code_of(error) != "M_NOT_FOUND":
                raise Transient(tr("The homeserver does not tell about the room.")) from error
            return None

    async def _membership(self, room_id: RoomId, user_id: RemoteUserId) -> str:
        content = await self._state(room_id, "m.room.member", user_id) or {}
        membership = content.get("membership")
        return membership if membership in ("join", "invite") else "leave"

    async def _list(self, room_id: RoomId, room: Room) -> None:
        """Enter a room in ``m.direct``, so that other clients show it as a chat.

        A message does not depend on it: what fails is tried again with the next one.
        """
        if not room.unlisted:
            return
        path = ("user", self._account.remote_id, "account_data", "m.direct")
        try:
            async with self._direct_lock:
                try:
                    direct = await self._api.get(*path)
                except NotFound:
                    direct = {}
                listed = direct.get(room.contact)
                listed = listed if isinstance(listed, list) else []
                if room_id not in listed:
                    await self._api.put(*path, body={**direct, room.contact: [*listed, room_id]})
            await self._ledger.update(room_id, unlisted=False)
        except AdapterError as error:
            self._account.log.warning("direct_room_not_listed", reason=type(error).__name__)
