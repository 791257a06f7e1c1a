# SPDX-License-Identifier: Apache-2.0
"""Places for files at the upload service of the server, and in whose name they are asked for."""

from __future__ import annotations

from gateway.bridge.accounts.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.ports import Slot, SlotRefused, WantedSlot, XmppPort
from gateway.ids import AccountId, UserJid
from gateway.store import rooms
from gateway.store.files import FileRow

_LOOK_EVERY_S = 1.0


class Slots:
    """For the files of one network."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._port: XmppPort

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    async def ready(self, file: FileRow) -> None:
        """Wait until our server can be asked, and it is known what it grants."""
        account = self.in_whose_name(file)
        user = None if account is None else account.user
        while not (self._port.is_up() and (user is None or self._port.knows_grants(user))):
            await self._ground.clock.sleep(_LOOK_EVERY_S)

    def count(self, file: FileRow) -> None:
        """One more is to go there. Raises `SlotRefused` if there were too many for a while."""
        account = None if file.account is None else self._ground.accounts.by_id(file.account)
        # What is left of a shared room when that account is gone has one limit for all.
        if not self._port.may_upload(UserJid("") if account is None else account.user):
            raise SlotRefused("limits.uploads", 0.0)

    async def slot(self, file: FileRow, wanted: WantedSlot) -> tuple[Slot, AccountId | None]:
        """By the first way by which there is one, and in the name of which account; None is the
        component's. Raises `SlotRefused`, as that of them by which there may be one soonest."""
        settings = self._ground.settings
        refused = SlotRefused("nobody may ask for a place", None)
        for uploader in settings.uploaders:
            account = self.in_whose_name(file) if uploader == "user" else None
            if uploader == "user" and account is None:
                continue
            user = None if account is None else account.user
            try:
                slot = await self._port.slot(settings.upload_service, wanted, user)
            except SlotRefused as error:
                refused = _soonest(refused, error)
            else:
                return slot, None if account is None else account.id
        raise refused

    def in_whose_name(self, file: FileRow) -> Account | None:
        """In that of its user it may be. What several are told of is nobody's alone."""
        account = None if file.account is None else self._ground.accounts.by_id(file.account)
        room = rooms.of_conversation(self._ground.store.reader, file.conversation)
        is_of_several = room is not None and room.is_shared
        return None if is_of_several else account


def _soonest(before: SlotRefused, then: SlotRefused) -> SlotRefused:
    """What is refused for a while by one way is not refused for good by all of them."""
    if before.again_at is None:
        return then
    return before if then.again_at is None or before.again_at <= then.again_at else then
