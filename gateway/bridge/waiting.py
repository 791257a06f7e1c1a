# SPDX-License-Identifier: Apache-2.0
"""What is asked of a network while a user waits for the answer: never kept, never tried again."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

import structlog

from gateway.adapter import Clock, Session
from gateway.bridge.accounts import Account
from gateway.errors import AdapterError, Transient
from gateway.tasks import within
from gateway.text.wording import tr

log = structlog.get_logger("waiting")

T = TypeVar("T")

_LIMIT_S = 20.0


def live(account: Account) -> Session:
    """The account's session. Raises `Transient` if there is none."""
    session = account.link.session if account.link is not None else None
    if session is None:
        raise Transient(tr("There is no connection to the network now. Please try again later."))
    return session


async def answered(clock: Clock, account: Account, kind: str, work: Awaitable[T]) -> T:
    """The answer, within 20 s. Raises any `AdapterError`, with a sentence for the user."""
    try:
        return await within(clock, _LIMIT_S, work)
    except AdapterError:
        raise
    except TimeoutError:
        raise Transient(
            tr(
                "The network did not answer in time. It may have been done or not.",
            )
        ) from None
    except Exception as error:
        log.exception("action_failed", account=account.id, kind=kind)
        raise Transient(tr("Internal error of the gateway.")) from error
