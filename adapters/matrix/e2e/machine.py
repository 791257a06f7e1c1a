# SPDX-License-Identifier: Apache-2.0
"""Encryption as the session of an account uses it.

What came by /sync is taken before the events of rooms are translated; what it makes readable is
committed together with the keys. Requests of our own are made beside the loop (`run`): an account
receives while the homeserver does not take keys.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from adapters.matrix.e2e.asking import Asking
from adapters.matrix.e2e.backup import Backup
from adapters.matrix.e2e.keyserver import KeyServer
from adapters.matrix.e2e.megolm import Missing, NoKey, Refused, Repeated, RoomKeys
from adapters.matrix.e2e.olm import CannotDecrypt, FromDevice, NotForUs, Olm
from adapters.matrix.e2e.own import OwnDevice
from adapters.matrix.e2e.people import People
from adapters.matrix.e2e.publishing import Publishing
from adapters.matrix.e2e.requests import Requests
from adapters.matrix.e2e.sharing import Sharing, unreachable
from adapters.matrix.e2e.signed import is_key
from adapters.matrix.e2e.trust import Trust
from adapters.matrix.e2e.verification import PREFIX
from adapters.matrix.e2e.wedged import Wedged
from adapters.matrix.http import Api
from adapters.matrix.inbound import as_dict, as_dicts
from adapters.matrix.opened import Opened, Unread
from adapters.matrix.rooms import RoomId
from adapters.matrix.secrets import Secrets
from gateway.adapter import AccountContext
from gateway.errors import AdapterError, AuthExpired
from gateway.events import RemoteNotice, RemoteUndecryptable

_AT_ONCE = 20
"""Events that are decrypted without a pause: a few milliseconds."""
_PEOPLE_AT_ONCE = 500
"""People who have other devices now: each is looked up in the store."""
_LOOKED_AT_ONCE = 2_000
"""Events that are looked at without a pause: a millisecond."""
_AGAIN_S = 30.0
"""After which what the homeserver did not take is tried again."""
_SAID_AGAIN_S = 2.0
"""The same for a comparison of emoji, for which the user waits."""
_MAX_EXPLAINED = 200
_LOOK_AGAIN_S = 3_600.0
"""How often the user's backup is asked for keys that did not come: another app may have put them
there later."""


@dataclass(slots=True)
class Received:
    """What came for the device."""

    keys: list[Missing] = field(default_factory=list)
    """Keys of rooms that came."""
    released: list[tuple[RemoteUndecryptable, Mapping[str, Any]]] = field(default_factory=list)
    """Events that are readable now: as they waited, and in clear."""
    withheld: set[Missing] = field(default_factory=set)
    """Keys that somebody has said that they do not give."""
    explained: list[RemoteUndecryptable] = field(default_factory=list)
    """Events of which it is known now why they are not."""
    notices: list[RemoteNotice] = field(default_factory=list)
    """What the user is to be told."""


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
        self._sharing = Sharing(
            account,
            api,
            self._server,
            self._own,
            self._people,
            self._olm,
            self._keys,
            flush=flush,
            ask=self._asking.ask,
            signed_only=lambda: self.trust.signed_only,
        )
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
        self._said = asyncio.Event()
        """A person waits for what is to be done: it does not wait behind the exchange of keys."""
        self._looked_for: set[Missing] = set()
        """Of the keys that are still to be asked for, those that the backup does not have."""
        self._looks_again = False
        """All that waits is to be looked for in the user's backup."""
        self.trust = Trust(
            account,
            api,
            self._server,
            self._own,
            self._people,
            self._backup,
            secrets,
            ask=self._asking.ask,
            publish=self._publishing.ensure,
            flush=flush,
            opened=self._restore_all,
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
            self._apart("device_message_failed", self._to_device, event, received)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        for missing in received.keys:
            await self._release(missing, received)
        self._explain(received)
        self._wake.set()
        self._said.set()
        return received

    def _explain(self, received: Received) -> None:
        """Why what waits cannot be read: once for each key, and only what is new."""
        for missing in received.withheld:
            if self._keys.has(missing):
                continue
            why = self._requests.why(missing)
            for event in self._account.waiting(str(missing)):
                if event.reason != why and len(received.explained) < _MAX_EXPLAINED:
                    received.explained.append(replace(event, reason=why))

    def _apart(self, trouble: str, work: Callable[..., None], *args: Any) -> None:
        """Do it for one of many events. What goes wrong is that one's trouble, and would come
        again for ever; a panic of the library is no `Exception`."""
        try:
            work(*args)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._account.log.error(trouble, reason=type(error).__name__)

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

    async def _release(self, missing: Missing, received: Received) -> None:
        """The waiting events that a key opens, if it is there."""
        if not self._keys.has(missing):
            return
        waiting = self._account.waiting(str(missing))
        for number, event in enumerate(waiting, start=1):
            self._apart("waiting_not_opened", self._release_one, missing, event, received)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _release_one(
        self, missing: Missing, event: RemoteUndecryptable, received: Received
    ) -> None:
        with suppress(NoKey, Refused, ValueError):
            clear = self._keys.decrypt(missing.room_id, as_dict(json.loads(event.content)))
            received.released.append((event, clear))

    async def overlooked(self, needs: Iterable[str]) -> Received:
        """The waiting events among these whose key is there: it came beside the loop while they
        were on their way to the store, or before a crash. To be committed."""
        received = Received()
        for missing in _missing_of(needs):
            await self._release(missing, received)
        return received

    async def resume(self) -> Received:
        """After a start: open what can be opened, and ask for the keys of the rest, for what was
        to be asked was in memory only. To be committed."""
        waiting = [event for event in self._account.waiting() if event.needs]
        received = await self.overlooked(event.needs for event in waiting)
        opened = {event.id for event, _ in received.released}
        for number, event in enumerate(waiting, start=1):
            if event.id not in opened:
                self._apart("waiting_not_noted", self._note, event)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return received

    def _note(self, event: RemoteUndecryptable) -> None:
        for missing in _missing_of((event.needs,)):
            if is_key(missing.session_id):
                self._requests.note(missing, as_dict(json.loads(event.content)))
                self._wake.set()

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
                self._apart("event_not_opened", self._open_one, room_id, event, opened)
                count += 1
                if count % _AT_ONCE == 0:
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
            opened.unread[place] = Unread(needs, f"It cannot be read: {error}.")

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
            self._looks_again = True
            self._wake.set()
            await self._account.clock.sleep(_LOOK_AGAIN_S)

    async def _due(self) -> None:
        if self._publishing.is_foreign:
            return
        failed: AdapterError | None = None
        for step in (
            self._publishing.refill,
            self._wedged.mend,
            self._restore_wanted,
            self._save,
            self._flush,
            self._requests.ask,
            self._restore_again,
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

    # --- the user's backup ----------------------------------------------------------------------

    async def _restore_wanted(self) -> None:
        wanted = self._requests.wanted()
        self._looked_for &= set(wanted)
        await self._restore([missing for missing in wanted if missing not in self._looked_for])
        if self._backup.is_open:
            self._looked_for.update(wanted)

    async def _restore_again(self) -> None:
        if self._looks_again:
            await self._restore_all()
            self._looks_again = False

    async def _restore_all(self) -> int:
        """Look in the backup for whatever waits. Returns how many messages could be read."""
        if not self._backup.is_open:
            return 0  # what waits may be large
        return await self._restore(_missing_of(event.needs for event in self._account.waiting()))

    async def _restore(self, wanted: Iterable[Missing]) -> int:
        """Look for keys in the backup. Returns how many messages they have opened."""
        if not self._backup.is_open:
            return 0
        received = Received()
        failed: AdapterError | None = None
        for missing in dict.fromkeys(wanted):
            try:
                data = await self._backup.fetch(missing)
            except AdapterError as error:
                failed = error
                break
            if data is not None and self._keys.add_exported(data) is not None:
                self._requests.came(missing)
            # It may have been there already, and begun too late or been overlooked.
            await self._release(missing, received)
        await self._tell(received)
        if failed is not None:
            raise failed
        return len(received.released)

    # --- old events -----------------------------------------------------------------------------

    def named(self, rooms_of: Callable[[str], Sequence[RoomId]]) -> list[RemoteUndecryptable]:
        """Events that an earlier version kept, with the keys that they need."""
        found = []
        for event in self._account.waiting(""):
            try:
                content = as_dict(json.loads(event.content).get("content"))
            except (ValueError, AttributeError):
                continue
            session_id, rooms = content.get("session_id"), rooms_of(event.contact)
            if is_key(session_id) and rooms:
                found.append(replace(event, needs=str(Missing(rooms[0], session_id))))
        return found


def _missing_of(needs: Iterable[str]) -> list[Missing]:
    """The keys that events need, each once. A room's id may have blanks in it."""
    found = [each.rpartition(" ") for each in dict.fromkeys(needs) if each]
    return [Missing(RoomId(room_id), session_id) for room_id, _, session_id in found]
