# SPDX-License-Identifier: Apache-2.0
"""Asking the homeserver for the devices of people. Matrix spec, "POST /keys/query"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from adapters.matrix.answers import beside, dismantle
from adapters.matrix.e2e.keyserver import KeyServer
from adapters.matrix.e2e.own import OwnDevice
from adapters.matrix.e2e.people import People
from adapters.matrix.garbage import Pause
from adapters.matrix.inbound import as_dict
from gateway.adapter import AccountContext
from gateway.events import RemoteNotice
from gateway.ids import RemoteMessageId, RemoteUserId

_AGAIN_S = 30.0
_MANY = 200
"""Devices in an answer that is not freed in one step."""
_AT_ONCE = 500
"""People in one question."""

OTHER_IDENTITY = (
    "{who} has another identity than before: their keys were set up anew, or somebody pretends to "
    "be them. Ask them if you are in doubt."
)


class Asking:
    """On behalf of one account."""

    def __init__(
        self,
        account: AccountContext,
        server: KeyServer,
        own: OwnDevice,
        people: People,
        tell: Callable[[Sequence[RemoteNotice]], Awaitable[None]],
    ) -> None:
        self._account = account
        self._server = server
        self._own = own
        self._people = people
        self._tell = tell
        """Commits what was learnt."""
        self._in_vain: dict[str, float] = {}
        """People whose server did not answer, and when that was."""

    async def ask(self, user_ids: Iterable[str]) -> None:
        """Ask for the devices of these people. Those whose server did not answer are left for a
        while: each question waits for it."""
        late = self._account.clock.monotonic() - _AGAIN_S
        self._in_vain = {user: at for user, at in self._in_vain.items() if at > late}
        asked = [user_id for user_id in dict.fromkeys(user_ids) if user_id not in self._in_vain]
        for first in range(0, len(asked), _AT_ONCE):
            await self._ask(asked[first : first + _AT_ONCE])

    async def _ask(self, asked: Sequence[str]) -> None:
        with Pause() as pause, self._people.asking() as since:
            answer = await self._server.query(asked, pause.begin)
            changed = await self._people.answered(asked, answer, since)
            listed = as_dict(answer.get("device_keys"))
            now = self._account.clock.monotonic()
            self._in_vain |= {user_id: now for user_id in asked if user_id not in listed}
            if self._own.user_id in asked and self._own.user_id in listed:
                self._own.signed(self._people.has_signed_us(answer))
            is_large = sum(map(len, map(as_dict, listed.values()))) > _MANY
            await beside(is_large, dismantle, answer)
        masters = {user_id: self._people.of(user_id).master for user_id in changed}
        await self._tell(list(map(self._notice, changed)))
        for user_id, master in masters.items():
            self._people.told(user_id, master)

    def _notice(self, user_id: str) -> RemoteNotice:
        person = self._people.of(user_id)
        return RemoteNotice(
            contact=None if user_id == self._own.user_id else RemoteUserId(user_id),
            id=RemoteMessageId(f"identity {user_id} {person.master}"),
            text=OTHER_IDENTITY.format(who=user_id),
        )
