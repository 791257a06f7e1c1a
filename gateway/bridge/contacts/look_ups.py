# SPDX-License-Identifier: Apache-2.0
"""Who somebody is whom a user wants to see: what is known, or what the network says.

The network is asked for one contact of an account after the other, since contact lists have
hundreds, and again while it gives no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from gateway.adapter import Contact
from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.splitting import one_line
from gateway.errors import AdapterError, Forbidden, NotFound, RateLimited, Transient
from gateway.ids import AccountId, RemoteUserId
from gateway.store import contacts, conversations
from gateway.store.contacts import Subscription
from gateway.store.conversations import GATEWAY
from gateway.tasks import contained, within
from gateway.text.wording import tr

log = structlog.get_logger("contacts")

_FIND_LIMIT_S = 5.0
_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 60.0


class LookUps:
    """Of the contacts of one network."""

    def __init__(
        self,
        ground: Ground,
        *,
        granted: Callable[[Account, RemoteUserId, str, str | None], None],
        refused: Callable[[Account, RemoteUserId, str], None],
    ) -> None:
        """What follows when somebody was found, with name and picture, or not, with a sentence."""
        self._network = ground.network
        self._store = ground.store
        self._clock = ground.clock
        self._tasks = ground.tasks
        self._granted = granted
        self._refused = refused
        self._waiting: dict[AccountId, dict[RemoteUserId, None]] = {}
        """Ordered, and each contact once."""

    def name(self, account: Account, contact: RemoteUserId) -> str:
        """The contact's name, or nothing."""
        return contacts.get(self._store.reader, account.id, contact).name

    def is_known(self, account: Account, contact: RemoteUserId) -> bool:
        """Whether the contact was seen before, so that nobody has to be asked."""
        row = contacts.get(self._store.reader, account.id, contact)
        return (
            contact == GATEWAY
            or row.to_user is Subscription.GRANTED
            or row.invited
            or bool(row.name)
            or conversations.has_messages(self._store.reader, account.id, contact)
        )

    async def find(self, account: Account, contact: RemoteUserId) -> Contact:
        """Look a contact up, within 5 s (REQ-119). Raises `NotFound` or `Transient`."""
        row = contacts.get(self._store.reader, account.id, contact)
        if row is not contacts.UNKNOWN:
            return Contact(name=row.name)
        session = account.link.session if account.link is not None else None
        if session is None:
            raise Transient(tr("The network cannot be asked now."))
        try:
            return await within(self._clock, _FIND_LIMIT_S, contained(session.find, contact))
        except TimeoutError:
            raise Transient(tr("The network did not answer in time.")) from None
        except Forbidden:  # people may hide their profile
            return Contact()

    def begin(self, account: Account, contact: RemoteUserId) -> None:
        """The user waits for the contact to let itself be seen."""
        waiting = self._waiting.get(account.id)
        if waiting is None:
            waiting = self._waiting[account.id] = {}
            self._tasks.spawn(self._look_up_all(account, waiting), "look-ups")
        waiting.setdefault(contact)

    def forget(self, account: Account) -> None:
        """The account was removed."""
        self._waiting.pop(account.id, None)

    async def _look_up_all(self, account: Account, waiting: dict[RemoteUserId, None]) -> None:
        wait_s = _FIRST_RETRY_S
        try:
            while waiting and self._waiting.get(account.id) is waiting:
                contact = next(iter(waiting))
                again_s = await self._resolve(account, contact)
                del waiting[contact]
                if again_s is None:
                    wait_s = _FIRST_RETRY_S
                    continue
                if account.link is None or account.link.session is None:
                    break  # all of them are asked for again when the link is live
                waiting[contact] = None  # after the others
                await self._clock.sleep(max(again_s, wait_s))
                wait_s = min(wait_s * 2, _LONGEST_RETRY_S)
        finally:
            if self._waiting.get(account.id) is waiting:
                del self._waiting[account.id]

    def _is_asked(self, account: Account, contact: RemoteUserId) -> bool:
        """Whether the user still waits; they may have removed the contact meanwhile."""
        row = contacts.get(self._store.reader, account.id, contact)
        return row.to_user is Subscription.ASKED

    async def _resolve(self, account: Account, contact: RemoteUserId) -> float | None:
        """Answer one request. Returns after how many seconds to ask again, if that is needed."""
        session = account.link.session if account.link is not None else None
        if session is None:
            return 0.0
        answer: Callable[[], None]
        try:
            found = await within(self._clock, _FIND_LIMIT_S, contained(session.find, contact))
            answer = partial(self._granted, account, contact, one_line(found.name), found.avatar)
        except NotFound as error:
            answer = partial(self._refused, account, contact, error.text)
        except Forbidden:  # people may hide their profile; that is no reason not to write to them
            answer = partial(self._granted, account, contact, "", None)
        except RateLimited as error:
            return error.retry_after_s
        except (AdapterError, TimeoutError) as error:
            log.info(
                "contact_not_resolved",
                network=self._network,
                account=account.id,
                reason=str(error),
            )
            return 0.0
        except Exception:
            log.exception("look_up_failed", network=self._network, account=account.id)
            return _LONGEST_RETRY_S
        if self._is_asked(account, contact):
            answer()
        return None
