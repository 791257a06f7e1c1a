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
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from adapters.matrix.e2e.backup import Backup
from adapters.matrix.e2e.keyserver import KeyServer
from adapters.matrix.e2e.megolm import Missing, NoKey, Refused, Repeated, RoomKeys
from adapters.matrix.e2e.olm import CannotDecrypt, FromDevice, NotForUs, Olm
from adapters.matrix.e2e.own import OwnDevice
from adapters.matrix.e2e.people import People
from adapters.matrix.e2e.requests import Requests
from adapters.matrix.e2e.sharing import Sharing, unreachable
from adapters.matrix.e2e.signed import is_key
from adapters.matrix.e2e.trust import Trust
from adapters.matrix.e2e.verification import PREFIX
from adapters.matrix.errors import code_of, status_of
from adapters.matrix.http import Api
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import as_dict, as_dicts
from adapters.matrix.opened import Opened, Unread
from adapters.matrix.rooms import RoomId
from adapters.matrix.secrets import Secrets
from gateway.adapter import AccountContext
from gateway.errors import AdapterError, AuthExpired, Unsupported
from gateway.events import RemoteNotice, RemoteUndecryptable
from gateway.ids import RemoteMessageId, RemoteUserId

_AT_ONCE = 20
"""Events that are decrypted without a pause: a few milliseconds."""
_AGAIN_S = 30.0
"""After which what the homeserver did not take is tried again."""
_MAX_WEDGED = 200
_MAX_EXPLAINED = 200
_UNWEDGED_S = 3_600.0
"""Spec, "Recovering from undecryptable messages": not more than one new session an hour."""

OTHER_IDENTITY = (
    "{who} has another identity than before: their keys were set up anew, or somebody pretends to "
    "be them. Ask them if you are in doubt."
)
FOREIGN = (
    "This login belongs to an app that encrypts by itself, so the gateway cannot encrypt with it. "
    "Log in with your password for encrypted conversations."
)


@dataclass(slots=True)
class Received:
    """What came for the device."""

    released: list[tuple[RemoteUndecryptable, Mapping[str, Any]]] = field(default_factory=list)
    """Events that are readable now: as they waited, and in clear."""
    withheld: set[Missing] = field(default_factory=set)
    """Keys that somebody has said that they do not give."""
    explained: list[RemoteUndecryptable] = field(default_factory=list)
    """Events of which it is known now why they are not."""


class Machine:
    """One device of one account."""

    def __init__(
        self,
        account: AccountContext,
        api: Api,
        device_id: str,
        secrets: Secrets,
        flush: Callable[[], Awaitable[None]],
        tell: Callable[[Received, Sequence[RemoteNotice]], Awaitable[None]],
    ) -> None:
        self._account = account
        self._server = KeyServer(api)
        self._flush = flush
        self._tell = tell
        """Commits what was found beside the answers of /sync, together with the keys."""
        self._backup = Backup(api, secrets)
        self._own = OwnDevice(secrets, account.remote_id, device_id)
        self._people = People(secrets, self._own)
        self._olm = Olm(secrets, self._own)
        self._keys = RoomKeys(secrets)
        self._requests = Requests(account, self._server, self._own, secrets)
        self._sharing = Sharing(
            account,
            api,
            self._server,
            self._own,
            self._people,
            self._olm,
            self._keys,
            flush=flush,
            ask=self._ask,
            signed_only=lambda: self.trust.signed_only,
        )
        self._wedged: set[tuple[str, str]] = set()
        """Devices that cannot be understood any more: user and Curve25519 key."""
        self._unwedged: dict[tuple[str, str], float] = {}
        self._in_vain: dict[str, float] = {}
        """People whose server did not answer, and when that was."""
        self._wake = asyncio.Event()
        self._trouble = ""
        self.trust = Trust(
            account,
            api,
            self._server,
            self._own,
            self._people,
            self._backup,
            secrets,
            ask=self._ask,
            publish=self._publish,
            flush=flush,
            opened=lambda: self._restore(_missing_of(event.needs for event in account.waiting())),
            wake=self._wake.set,
        )

    # --- what comes -----------------------------------------------------------------------------

    def cursor_was_refused(self) -> None:
        """What has changed since then is not told any more: all lists of devices are old."""
        self._people.all_changed()

    async def receive(self, answer: Mapping[str, Any]) -> Received:
        """Take what an answer of /sync has for the device. To be committed."""
        lists = as_dict(answer.get("device_lists"))
        for name in ("changed", "left"):
            listed = lists.get(name)
            self._people.changed(listed if isinstance(listed, list) else ())
        counts = answer.get("device_one_time_keys_count")
        if isinstance(counts, dict):
            self._own.counted(counts, answer.get("device_unused_fallback_key_types"))
        received = Received()
        events = as_dicts(as_dict(answer.get("to_device")).get("events"))
        for number, event in enumerate(events, start=1):
            self._apart("device_message_failed", self._to_device, event, received)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        self._explain(received)
        self._wake.set()
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
            self.trust.verifies(str(event.get("sender")), kind, as_dict(event.get("content")))
        elif kind == "m.room_key.withheld":
            missing = self._requests.withheld(as_dict(event.get("content")))
            if missing is not None:
                received.withheld.add(missing)

    def _encrypted(self, event: Mapping[str, Any], received: Received) -> None:
        log = self._account.log
        try:
            opened = self._olm.decrypt(event)
        except CannotDecrypt as error:
            log.info("device_message_not_decrypted", reason=str(error))
            self._note_wedged(event)
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
        elif opened.type == "m.secret.send":
            self.trust.secret(opened)
        elif opened.type.startswith(PREFIX):
            self.trust.verifies(opened.sender, opened.type, opened.content)
        if missing is not None:
            self._requests.came(missing)
            received.released += self.released(missing)

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

    def released(self, missing: Missing) -> list[tuple[RemoteUndecryptable, Mapping[str, Any]]]:
        """The waiting events that a key opens."""
        found: list[tuple[RemoteUndecryptable, Mapping[str, Any]]] = []
        for event in self._account.waiting(str(missing)):
            try:
                clear = self._keys.decrypt(missing.room_id, as_dict(json.loads(event.content)))
            except (NoKey, Refused, ValueError):
                continue
            found.append((event, clear))
        return found

    def _release(self, missing: Missing, received: Received) -> None:
        if self._keys.has(missing):
            received.released += self.released(missing)

    async def overlooked(self, needs: Iterable[str]) -> Received:
        """The waiting events among these whose key is there: it came beside the loop while they
        were on their way to the store, or before a crash. To be committed."""
        received = Received()
        for missing in _missing_of(needs):
            self._apart("waiting_not_opened", self._release, missing, received)
            await asyncio.sleep(0)
        return received

    async def resume(self) -> Received:
        """After a start: open what can be opened, and ask for the keys of the rest, for what was
        to be asked was in memory only. To be committed."""
        waiting = [event for event in self._account.waiting() if event.needs]
        received = await self.overlooked(event.needs for event in waiting)
        opened = {event.id for event, _ in received.released}
        for event in waiting:
            if event.id not in opened:
                self._apart("waiting_not_noted", self._note, event)
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
            for event in events:
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
        await self._publish()
        return await self._sharing.encrypt(room_id, kind, content)

    async def can_read(self, user_id: str) -> bool:
        """Whether somebody has a device to which we can encrypt."""
        if self._trouble:
            return False
        if self._people.outdated((user_id,)):
            await self._ask((user_id,))
        if not self._people.of(user_id).was_asked:
            raise unreachable((user_id,))
        return bool(self._people.of(user_id).devices)

    # --- beside the loop ------------------------------------------------------------------------

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._due()
            except AuthExpired:
                return  # the loop of the session says so
            except AdapterError as error:
                self._account.log.info("keys_not_exchanged", reason=error.text)
                await self._account.clock.sleep(_AGAIN_S)
                self._wake.set()

    async def _due(self) -> None:
        if self._trouble:
            return
        if self._own.needs_upload():
            await self._upload()
        await self.trust.due()
        await self._unwedge()
        await self._restore(self._requests.wanted())
        await self._requests.ask()

    async def _publish(self) -> None:
        """Our device has its keys at the homeserver. Raises `Unsupported` if it cannot."""
        if self._trouble:
            raise Unsupported(self._trouble)
        if not self._own.is_published:
            await self._upload()

    async def _upload(self) -> None:
        own = self._own
        if not own.is_published and await self._is_foreign():
            self._trouble = FOREIGN
            self._account.log.warning("login_encrypts_elsewhere")
            raise Unsupported(FOREIGN)
        body = own.upload()
        await self._flush()
        try:
            answer = await self._server.upload(body)
        except AdapterError as error:
            if status_of(error) != 400 or code_of(error) not in ("M_UNKNOWN", "M_INVALID_PARAM"):
                raise
            own.refused()
        else:
            own.uploaded(answer)
        await self._flush()

    async def _is_foreign(self) -> bool:
        """Another program has given this device its keys."""
        own = self._own
        answer = await self._server.query((own.user_id,))
        listed = as_dict(as_dict(answer.get("device_keys")).get(own.user_id))
        keys = as_dict(as_dict(listed.get(own.device_id)).get("keys"))
        return bool(keys.get(f"ed25519:{own.device_id}", own.ed25519) != own.ed25519)

    async def _ask(self, user_ids: Iterable[str]) -> None:
        """Ask for the devices of people. Those whose server did not answer are left for a while:
        each question waits for it."""
        now = self._account.clock.monotonic()
        late = now - _AGAIN_S
        self._in_vain = {user: at for user, at in self._in_vain.items() if at > late}
        asked = [user_id for user_id in user_ids if user_id not in self._in_vain]
        if not asked:
            return
        with self._people.asking() as since:
            answer = await self._server.query(asked)
        listed = as_dict(answer.get("device_keys"))
        self._in_vain |= {user_id: now for user_id in asked if user_id not in listed}
        changed = self._people.answered(asked, answer, since)
        if self._own.user_id in asked and self._people.has_signed_us(answer):
            self._own.signed()
        await self._tell(Received(), list(map(self._notice, changed)))

    def _notice(self, user_id: str) -> RemoteNotice:
        person = self._people.of(user_id)
        return RemoteNotice(
            contact=None if user_id == self._own.user_id else RemoteUserId(user_id),
            id=RemoteMessageId(f"identity {user_id} {person.master}"),
            text=OTHER_IDENTITY.format(who=user_id),
        )

    # --- the user's backup ----------------------------------------------------------------------

    async def _restore(self, wanted: Iterable[Missing]) -> int:
        """Look for keys in the backup. Returns how many messages they have opened."""
        if not self._backup.is_open:
            return 0
        received = Received()
        for missing in dict.fromkeys(wanted):
            data = await self._backup.fetch(missing)
            if data is not None and self._keys.add_exported(data) is not None:
                self._requests.came(missing)
            # It may have been there already, and begun too late or been overlooked.
            self._apart("waiting_not_opened", self._release, missing, received)
        await self._tell(received, ())
        return len(received.released)

    # --- devices that do not understand us ------------------------------------------------------

    def _note_wedged(self, event: Mapping[str, Any]) -> None:
        sender, key = event.get("sender"), as_dict(event.get("content")).get("sender_key")
        if is_user_id(sender) and is_key(key) and len(self._wedged) < _MAX_WEDGED:
            self._wedged.add((sender, key))

    async def _unwedge(self) -> None:
        """Spec, "Recovering from undecryptable messages"."""
        wedged, self._wedged = self._wedged, set()
        now = self._account.clock.monotonic()
        if len(self._unwedged) > _MAX_WEDGED:
            late = now - _UNWEDGED_S
            self._unwedged = {who: at for who, at in self._unwedged.items() if at > late}
        for user_id, key in wedged:
            if now - self._unwedged.get((user_id, key), -_UNWEDGED_S) < _UNWEDGED_S:
                continue
            self._unwedged[user_id, key] = now
            if self._people.outdated((user_id,)) or not self._people.device_by_key(user_id, key):
                await self._ask((user_id,))
            device = self._people.device_by_key(user_id, key)
            if device is None:
                continue
            self._olm.forget(device)
            recipient = (user_id, device.id)
            await self._sharing.begin({recipient: device})
            if self._olm.can_send(device):
                content = self._olm.encrypt(user_id, device, "m.dummy", {})
                await self._flush()
                await self._server.send("m.room.encrypted", {recipient: content})

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
