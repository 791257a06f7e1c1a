# SPDX-License-Identifier: Apache-2.0
"""Pictures. Matrix spec, client-server API, "Content repository", "m.room.avatar".

What the gateway is told of a picture is its ``mxc:`` URI: the same URI is always the same picture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from adapters.matrix.errors import code_of, status_of
from adapters.matrix.http import MIB, Api, TooMuch
from gateway.errors import AdapterError, NotFound, TooLarge

_URI = re.compile(r"mxc://([A-Za-z0-9.:\[\]-]{1,255})/([A-Za-z0-9_=.~-]{1,255})")
_LIMIT = 4 * MIB
"""Of a thumbnail: homeservers that cannot make one may send the whole picture."""
_EDGE = "256"


def avatar_in(content: Mapping[str, object], key: str) -> str:
    """The picture that an event or a profile names; empty if it names none."""
    uri = content.get(key)
    return uri if isinstance(uri, str) and _URI.fullmatch(uri) else ""


class Media:
    """Of one account."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._is_old = False
        """The homeserver does not know authenticated media yet."""

    async def thumbnail(self, uri: str) -> bytes:
        """A small picture, as the homeserver makes it. Raises any `AdapterError`."""
        found = _URI.fullmatch(uri)
        if found is None:
            raise NotFound("This is no picture of Matrix.")
        try:
            return await self._thumbnail(*found.groups())
        except TooMuch as error:
            raise TooLarge("The picture is too large.") from error
        except AdapterError as error:
            if self._is_old or not _is_unknown(error):
                raise
        self._is_old = True
        return await self._thumbnail(*found.groups())

    async def _thumbnail(self, server: str, media_id: str) -> bytes:
        query = {"width": _EDGE, "height": _EDGE, "method": "scale", "timeout_ms": "20000"}
        path = ("thumbnail", server, media_id)
        answer = await self._api.media(*path, query=query, is_old=self._is_old, limit=_LIMIT)
        return answer.body

    async def upload(self, data: bytes, kind: str) -> str:
        """Returns its URI. Raises any `AdapterError`."""
        uri = await self._api.upload(data, kind)
        if not _URI.fullmatch(uri):
            raise NotFound("The homeserver did not say what it calls the picture.")
        return uri


def _is_unknown(error: AdapterError) -> bool:
    """Spec, "Common error codes": no such path there."""
    return code_of(error) == "M_UNRECOGNIZED" or (status_of(error) == 404 and not code_of(error))
