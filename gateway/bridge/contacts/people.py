# SPDX-License-Identifier: Apache-2.0
"""Looking for people of the network, for a user who waits."""

from __future__ import annotations

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.splitting import one_line
from gateway.errors import AdapterError, Transient, Unsupported
from gateway.events import FoundPerson, SearchPeople
from gateway.tasks import contained, within
from gateway.text.wording import tr

log = structlog.get_logger("people")

_LIMIT_S = 20.0


class People:
    """Those of one network."""

    def __init__(self, ground: Ground) -> None:
        self.can_search = ground.adapter.capabilities.people_search
        self._clock = ground.clock

    async def search(self, account: Account, wanted: SearchPeople) -> list[FoundPerson]:
        """Those whom the account may find. Raises any `AdapterError`, with a sentence for the
        user."""
        if not self.can_search:
            raise Unsupported(tr("People of this network cannot be searched for."))
        session = account.link.session if account.link is not None else None
        if session is None:
            raise Transient(
                tr(
                    "There is no connection to the network now. Please try again later.",
                )
            )
        try:
            work = contained(session.search_people, wanted)
            found = await within(self._clock, _LIMIT_S, work)
        except AdapterError:
            raise
        except TimeoutError:
            raise Transient(tr("The network did not answer in time.")) from None
        except Exception as error:
            log.exception("people_search_failed", account=account.id)
            raise Transient(tr("Internal error of the gateway.")) from error
        listed = (FoundPerson(user=one.user, name=one_line(one.name)) for one in found if one.user)
        return list(listed)[: wanted.most]
