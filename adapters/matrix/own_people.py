# SPDX-License-Identifier: Apache-2.0
"""The people of an account: of its direct rooms, and those whom it ignores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from adapters.matrix.errors import code_of, status_of
from adapters.matrix.http import Api
from adapters.matrix.inbound import as_dict
from adapters.matrix.marks import IGNORED
from adapters.matrix.rooms import Book
from gateway.adapter import ListedContact
from gateway.errors import AdapterError, NotFound, Unsupported
from gateway.ids import RemoteUserId
from gateway.text.wording import tr


def listed(book: Book) -> list[ListedContact]:
    """Matrix has no list of contacts: they are the people of the direct rooms."""
    talked: dict[RemoteUserId, bool] = {}
    for room in book.rooms().values():
        was_said = bool(room.used or room.message)
        talked[room.contact] = talked.get(room.contact, False) or was_said
    return [
        ListedContact(id=contact, name=book.name(contact), was_talked_with=was_talked_with)
        for contact, was_talked_with in talked.items()
    ]


async def report(api: Api, contact: RemoteUserId, reason: str) -> None:
    """Tell the admins of the homeserver. Spec, "POST /users/{userId}/report" (since 1.14)."""
    try:
        await api.post("users", contact, "report", body={"reason": reason})
    except AdapterError as error:
        if code_of(error) == "M_UNRECOGNIZED":
            raise Unsupported(tr("Your homeserver takes no reports of people.")) from error
        raise


class Blocking:
    """The list of those whom the account ignores. Spec, "Ignoring Users"."""

    def __init__(self, account: str, api: Callable[[], Api]) -> None:
        self._path = ("user", account, "account_data", IGNORED)
        self._api = api
        self._one_by_one = asyncio.Lock()
        """The list can be set only as a whole."""

    async def set(self, contact: RemoteUserId, is_blocked: bool) -> None:
        """Put somebody into the list, or out of it."""
        async with self._one_by_one:
            content = await self._content()
            users = dict(as_dict(content.get("ignored_users")))
            if (contact in users) == is_blocked:
                return
            if is_blocked:
                users[contact] = {}
            else:
                del users[contact]
            await self._api().put(*self._path, body={**content, "ignored_users": users})

    async def _content(self) -> dict[str, object]:
        try:
            return await self._api().get(*self._path)
        except NotFound:
            return {}
        except AdapterError as error:
            if status_of(error) == 404:
                return {}
            raise
