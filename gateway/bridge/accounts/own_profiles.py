# SPDX-License-Identifier: Apache-2.0
"""The name and the picture of users, shown on the network to those who wish that (REQ-349).

Clients publish both with their server, which tells the gateway. What was told to the network is
stored, so that nothing is told twice. A picture or name that the user has there stays as long as
there is none on XMPP: what is taken away is only what came from here, and only if the user has
taken it away here. That none is found means nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import structlog

from gateway.adapter import OwnPicture, Session
from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.ports import OwnProfilePort, Unanswered, XmppPort
from gateway.bridge.splitting import one_line
from gateway.errors import AdapterError, RateLimited, Transient
from gateway.ids import AccountId
from gateway.media.images import BadPicture, Images
from gateway.store import Transaction, own_profiles
from gateway.store.own_profiles import OwnProfile
from gateway.tasks import contained, within

log = structlog.get_logger("own profiles")

_PAUSE_S = 2.0
"""Name and picture often change together, and clients say the same several times."""
_LIMIT_S = 30.0
_FIRST_S, _LONGEST_S = 30.0, 3_600.0
"""Between attempts, if the network does not ask for more."""


class OwnProfiles:
    """Of the users of one network."""

    def __init__(self, ground: Ground, images: Images) -> None:
        self.is_offered = ground.adapter.capabilities.profile
        self._clock = ground.clock
        self._images = images
        self._store = ground.store
        self._tasks = ground.tasks
        self._persist = ground.persist
        self._port: OwnProfilePort
        self._working: dict[AccountId, asyncio.Task[None]] = {}
        self._again: set[AccountId] = set()

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port.own_profiles

    def named(self, account: Account, name: str) -> None:
        """The user's clients say how they are called; empty if not at all."""
        account.published.name = one_line(name)
        self.look(account)

    def pictured(self, account: Account, picture: str) -> None:
        """The user's clients say what their picture is called; empty if there is none."""
        account.published.picture = picture
        self.look(account)

    def look(self, account: Account) -> None:
        """Something may be to be told: the user has set so, or the session is live."""
        if not (self.is_offered and _wishes(account)):
            return
        if account.id in self._working:
            self._again.add(account.id)
        else:
            work = self._tasks.spawn(self._work(account), "own profile")
            self._working[account.id] = work

    async def _work(self, account: Account) -> None:
        wait_s, retry_s = _PAUSE_S, _FIRST_S
        try:
            while True:
                await self._clock.sleep(wait_s)
                self._again.discard(account.id)
                session = account.link.session if account.link is not None else None
                if session is None or not _wishes(account):
                    return
                again_s = await self._try(account, session)
                if again_s is not None:
                    wait_s, retry_s = max(again_s, retry_s), min(retry_s * 2, _LONGEST_S)
                elif account.id in self._again:
                    wait_s, retry_s = _PAUSE_S, _FIRST_S
                else:
                    return
        finally:
            self._again.discard(account.id)
            if self._working.get(account.id) is asyncio.current_task():
                del self._working[account.id]

    async def _try(self, account: Account, session: Session) -> float | None:
        """Returns after how many seconds to try again, if that may help."""
        try:
            await self._ask(account)
            if account.settings.publish_name:
                await self._tell_name(account, session)
            if account.settings.publish_picture:
                await self._tell_picture(account, session)
        except RateLimited as error:
            return error.retry_after_s
        except (Transient, TimeoutError):
            return 0.0
        except AdapterError as error:
            log.info("profile_refused", account=account.id, reason=type(error).__name__)
        except Unanswered:
            log.info("profile_not_read", account=account.id)
        except BadPicture as error:
            log.info("picture_left_out", account=account.id, reason=str(error))
        return None

    async def _ask(self, account: Account) -> None:
        """What nobody has said since the start."""
        published, settings = account.published, account.settings
        if settings.publish_name and published.name is None:
            published.learn(name=one_line(await self._port.name(account.user)))
        if settings.publish_picture and published.picture is None:
            published.learn(picture=await self._port.picture(account.user))

    async def _tell_name(self, account: Account, session: Session) -> None:
        name, told = account.published.name, own_profiles.get(self._store.reader, account.id)
        if name and name != told.name:
            await self._set(session, name=name)
            await self._told(account, name=name)

    async def _tell_picture(self, account: Account, session: Session) -> None:
        wanted, told = account.published.picture, own_profiles.get(self._store.reader, account.id)
        if wanted is None or wanted == told.picture:
            return
        made = OwnPicture()
        if wanted:
            data = await self._port.picture_data(account.user, wanted)
            shown = await self._images.shrink(data, user=account.user, is_awaited=True)
            made = OwnPicture(data=shown.data, media_type=shown.type)
        await self._set(session, picture=made)
        await self._told(account, picture=wanted)

    async def _set(
        self, session: Session, *, name: str | None = None, picture: OwnPicture | None = None
    ) -> None:
        setting = contained(partial(session.set_profile, name=name, picture=picture))
        await within(self._clock, _LIMIT_S, setting)

    async def _told(self, account: Account, **told: str) -> None:
        def unit(db: Transaction) -> None:
            before: OwnProfile = own_profiles.get(db, account.id)
            own_profiles.put(db, account.id, replace(before, **told))

        await self._persist.write(unit)


def _wishes(account: Account) -> bool:
    return account.settings.publish_name or account.settings.publish_picture
