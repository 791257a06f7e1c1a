# SPDX-License-Identifier: Apache-2.0
"""Encryption as the session of an account uses it.

What came by /sync is taken before the events of rooms are translated; what it makes readable is
committed together with the keys. Requests of our own are made beside the loop (`run`): an account
receives while the homeserver does not take keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from adapters.matrix.e2e.asking import Asking
from adapters.matrix.e2e.backup import Backup
from adapters.matrix.e2e.keyserver import KeyServer
from adapters.matrix.e2e.megolm import Missing, NoKey, Refused, Repeated, RoomKeys
from adapters.matrix.e2e.olm import CannotDecrypt, FromDevice, NotForUs, Olm
from adapters.matrix.e2e.own import OwnDevice
from adapters.matrix.e2e.people import People
from adapters.matrix.e2e.publishing import Publishing
from adapters.matrix.e2e.requests import Requests
from adapters.matrix.e2e.restoring import Restoring
from adapters.matrix.e2e.sharing import Sharing, unreachable
from adapters.matrix.e2e.signed import is_key
from adapters.matrix.e2e.trust import Trust
from adapters.matrix.e2e.verification import PREFIX
from adapters.matrix.e2e.waiting import AT_ONCE, Received, Waiting
from adapters.matrix.e2e.wedged import Wedged
from adapters.matrix.http import Api
from adapters.matrix.inbound import as_dict, as_dicts
from adapters.matrix.opened import Opened, Unread
from adapters.matrix.rooms import RoomId
from adapters.matrix.secrets import Secrets
from gateway.adapter import AccountContext
from gateway.errors import AdapterError, AuthExpired
from gateway.events import RemoteNotice
from gateway.text.wording import tr

_PEOPLE_AT_ONCE = 500
"""People who have other devices now: each is looked up in the store."""
_LOOKED_AT_ONCE = 2_000
"""Events that are looked at without a pause: a millisecond."""
_AGAIN_S = 30.0
"""After which what the homeserver did not take is tried again."""
_SAID_AGAIN_S = 2.0
"""The same for a comparison of emoji, for which the user waits."""
_LOOK_AGAIN_S = 3_600.0
"""How often the user's backup is asked for keys that did not come: another app may have put them
there later."""


class Machine:
    """One device of one account."""

    def __init__(
        self,
        account: AccountContext,
        api: Api,
        device_id: str,
        secrets: Secrets,
        flush: Callable[[], Awaitable[None]],
        tell: Callable[[Received], Awaitable[None]],
    ) -> None:
        self._account = account
        self._server = KeyServer(api)
        self._flush = flush
        self._tell = tell
        """Commits what was found beside the answers of /sync, together with the keys."""
        self._backup = Backup(api, secrets, account.log)
        self._own = OwnDevice(secrets, account.remote_id, device_id)
        self._people = People(secrets, self._own)
        self._olm = Olm(secrets, self._own)
        self._keys = RoomKeys(secrets, self._is_new)
        self._requests = Requests(account, self._server, self._own, secrets)
        self._publishing = Publishing(account, self._server, self._own, flush)
        self._asking = Asking(account, self._server, self._own, self._people, self._learnt)
        self._sharing = self._made_sharing(account, api)
        self._wedged = Wedged(
            account,
            self._server,
            self._people,
            self._olm,
            ask=self._asking.ask,
            begin=self._sharing.begin,
            flush=flush,
        )
        self._wake = asyncio.Event()
        self.waiting = Waiting(account, self._keys, self._requests, self._wake.set)
        self._restoring = Restoring(
            account, self._backup, self._keys, self._requests, self.waiting, tell
        )
        self._said = asyncio.Event()
        """A person waits for what is to be done: it does not wait behind the exchange of keys."""
        self.trust = self._made_trust(account, api, secrets)

    def _made_sharing(self, account: AccountContext, api: Api) -> Sharing:
        return Sharing(
            account,
            api,
            self._server,
            self._own,
            self._people,
            self._olm,
            self._keys,
            flush=self._flush,
            ask=self._asking.ask,
            signed_only=lambda: self.trust.signed_only,
        )

    def _made_trust(self, account: AccountContext, api: Api, secrets: Secrets) -> Trust:
        return Trust(
            account,
            api,
            self._server,
            self._own,
            self._people,
            self._backup,
            secrets,
            ask=self._asking.ask,
            publish=self._publishing.ensure,
            flush=self._flush,
            opened=self._restoring.all,
            wake=self._said.set,
        )

    # --- what comes -----------------------------------------------------------------------------

    def cursor_was_refused(self) -> None:
        """What has changed since then is not told any more: all lists of devices are old, and so
        is who is in which room."""
        self._people.all_changed()
        self._sharing.all_changed()

    def room_was_cut(self, room_id: RoomId) -> None:
        """Something of a room was left out. Members are loaded lazily, so that somebody has left
        may be told in what is missing, and nowhere else."""
        self._sharing.membership_changed(room_id)

    async def receive(self, answer: Mapping[str, Any]) -> Received:
        """Take what an answer of /sync has for the device. To be committed."""
        lists = as_dict(answer.get("device_lists"))
        for name in ("changed", "left"):
            listed = lists.get(name)
            people = listed if isinstance(listed, list) else []
            for first in range(0, len(people), _PEOPLE_AT_ONCE):
                self._people.changed(people[first : first + _PEOPLE_AT_ONCE])
                await asyncio.sleep(0)
        counts = answer.get("device_one_time_keys_count")
        if isinstance(counts, dict):
            self._own.counted(counts, answer.get("device_unused_fallback_key_types"))
        received = Received()
        events = as_dicts(as_dict(answer.get("to_device")).get("events"))
        for number, event in enumerate(events, start=1):
            self.waiting.apart("device_message_failed", self._to_device, event, received)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        for missing in received.keys:
            await self.waiting.release(missing, received)
        self.waiting.explain(received)
        self._wake.set()
        self._said.set()
        return received

    def _to_device(self, event: Mapping[str, Any], received: Received) -> None:
        kind = event.get("type")
        if kind == "m.room.encrypted":
            self._encrypted(event, received)
        elif isinstance(kind, str) and kind.startswith(PREFIX):
            self._verifies(str(event.get("sender")), kind, as_dict(event.get("content")), received)
        elif kind == "m.room_key.withheld":
            missing = self._requests.withheld(as_dict(event.get("content")))
            if missing is not None:
                received.withheld.add(missing)

    def _verifies(
        self, sender: str, kind: str, content: Mapping[str, Any], received: Received
    ) -> None:
        notice = self.trust.verifies(sender, kind, content)
        if notice is not None:
            received.notices.append(notice)

    def _encrypted(self, event: Mapping[str, Any], received: Received) -> None:
        log = self._account.log
        try:
            opened = self._olm.decrypt(event)
        except CannotDecrypt as error:
            log.info("device_message_not_decrypted", reason=str(error))
            self._wedged.note(event)
        except NotForUs as error:
            log.info("device_message_ignored", reason=str(error))
        else:
            self._opened(opened, received)

    def _opened(self, opened: FromDevice, received: Received) -> None:
        missing = None
        if opened.type == "m.room_key":
            device = self._people.device_by_key(opened.sender, opened.sender_key)
            if device is not None and device.ed25519 != opened.signing_key:
                self._account.log.warning("device_is_not_who_it_claims", user=opened.sender)
                return
            missing = self._keys.add_shared(
                opened.content, opened.sender, opened.sender_key, opened.signing_key
            )
        elif opened.type == "m.forwarded_room_key":
            missing = self._forwarded(opened)
        elif opened.type == "m.dummy":
            self._sharing.began_anew(opened.sender, opened.sender_key)
        elif opened.type == "m.secret.send":
            self.trust.secret(opened)
        elif opened.type.startswith(PREFIX):
            self._verifies(opened.sender, opened.type, opened.content, received)
        if missing is not None:
            self._requests.came(missing)
            received.keys.append(missing)

    def _forwarded(self, opened: FromDevice) -> Missing | None:
        """Only what we asked for, and only of a device that our user has signed."""
        content = opened.content
        asked = Missing(RoomId(str(content.get("room_id"))), str(content.get("session_id")))
        device = self._people.device_by_key(self._own.user_id, opened.sender_key)
        if (
            opened.sender != self._own.user_id
            or device is None
            or not device.is_cross_signed
            or device.ed25519 != opened.signing_key
            or not self._requests.is_asked(asked)
        ):
            self._account.log.info("forwarded_key_ignored")
            return None
        claimed = {"ed25519": content.get("sender_claimed_ed25519_key")}
        return self._keys.add_exported({**content, "sender_claimed_keys": claimed})

    # --- rooms ----------------------------------------------------------------------------------

    async def open(self, rooms: Mapping[RoomId, Sequence[Mapping[str, Any]]]) -> Opened:
        """Decrypt the events of these rooms."""
        opened = Opened()
        count = 0
        for room_id, events in rooms.items():
            for number, event in enumerate(events, start=1):
                if number % _LOOKED_AT_ONCE == 0:
                    await asyncio.sleep(0)
                kind = event.get("type")
                if kind in ("m.room.member", "m.room.encryption"):
                    self._sharing.membership_changed(room_id)
                if kind != "m.room.encrypted" or not as_dict(event.get("content")):
                    continue  # an event without content was removed
                self.waiting.apart("event_not_opened", self._open_one, room_id, event, opened)
                count += 1
                if count % AT_ONCE == 0:
                    await asyncio.sleep(0)
        return opened

    def _open_one(self, room_id: RoomId, event: Mapping[str, Any], opened: Opened) -> None:
        place = room_id, str(event.get("event_id"))
        try:
            opened.clear[place] = self._keys.decrypt(room_id, event)
        except NoKey as error:
            missing = error.missing
            self._requests.note(missing, event)
            self._wake.set()
            opened.unread[place] = Unread(str(missing), self._requests.why(missing))
        except Repeated:
            self._account.log.warning("event_repeated", event_id=place[1])
            opened.clear[place] = {**event, "type": "", "content": {}}
        except Refused as error:
            self._account.log.warning("event_not_decrypted", reason=str(error))
            session_id = as_dict(event.get("content")).get("session_id")
            needs = str(Missing(room_id, session_id if is_key(session_id) else "?"))
            opened.unread[place] = Unread(needs, tr("It cannot be read: {error}.", error=error))

    async def restore(self, needs: Sequence[str]) -> bool:
        """Look for these keys in the user's backup. Returns whether there is one to look in."""
        try:
            return await self._restoring.some(needs)
        except AdapterError as error:
            self._account.log.info("keys_not_restored", reason=error.text)
            return True

    async def encrypt(
        self, room_id: RoomId, kind: str, content: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The content of an ``m.room.encrypted`` event. Raises any `AdapterError`."""
        await self._publishing.ensure()
        return await self._sharing.encrypt(room_id, kind, content)

    async def can_read(self, user_id: str) -> bool:
        """Whether somebody has a device to which we can encrypt."""
        if self._publishing.is_foreign:
            return False
        if self._people.outdated((user_id,)):
            await self._asking.ask((user_id,))
        if not self._people.of(user_id).was_asked:
            raise unreachable((user_id,))
        return bool(self._people.of(user_id).devices)

    # --- beside the loop ------------------------------------------------------------------------

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        works = (
            self._again_and_again(self._wake, self._due, _AGAIN_S),
            self._again_and_again(self._said, self.trust.due, _SAID_AGAIN_S),
            self._remind(),
        )
        tasks = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()

    async def _again_and_again(
        self, due: asyncio.Event, work: Callable[[], Awaitable[None]], again_s: float
    ) -> None:
        while True:
            await due.wait()
            due.clear()
            try:
                await work()
            except AuthExpired:
                return  # the loop of the session says so
            except AdapterError as error:
                self._account.log.info("keys_not_exchanged", reason=error.text)
                await self._account.clock.sleep(again_s)
                due.set()

    async def _remind(self) -> None:
        while True:
            self._restoring.looks_again = True
            self._wake.set()
            await self._account.clock.sleep(_LOOK_AGAIN_S)

    async def _due(self) -> None:
        if self._publishing.is_foreign:
            return
        failed: AdapterError | None = None
        for step in (
            self._publishing.refill,
            self._wedged.mend,
            self._restoring.wanted,
            self._save,
            self._flush,
            self._requests.ask,
            self._restoring.again,
        ):
            try:
                await step()
            except AuthExpired:
                raise
            except AdapterError as error:  # what comes of one request is not the others' fault
                failed = failed or error
            if self._publishing.is_foreign:
                break
        if failed is not None:
            raise failed

    async def _save(self) -> None:
        await self._backup.save(self._keys.exported)

    def _is_new(self, missing: Missing) -> None:
        """A key that the user's backup does not have."""
        self._backup.note(missing)
        self._wake.set()

    async def _learnt(self, notices: Sequence[RemoteNotice]) -> None:
        """Commit what is known of people, and tell what they have changed."""
        await self._tell(Received(notices=list(notices)))
