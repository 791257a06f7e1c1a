# SPDX-License-Identifier: Apache-2.0
"""An answer that is read piece by piece, as fast as somebody takes it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import aiohttp

from adapters.matrix.errors import unreachable
from adapters.matrix.http import READ_BYTES
from gateway.errors import Transient
from gateway.text.wording import tr

_CHUNK = 2 * READ_BYTES
"""As much as there can be: each chunk costs some turns of the loop."""
_PLACE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")


class Stream:
    """The bytes of a file, from ``start`` on."""

    def __init__(self, answer: aiohttp.ClientResponse, start: int) -> None:
        """Raises `Transient` if the answer has other bytes."""
        self._answer = answer
        self._unwanted = start
        length: int | None = answer.content_length
        if answer.status == 206:
            place = _PLACE.fullmatch(answer.headers.get("Content-Range", ""))
            if place is None or int(place[1]) != start:
                raise Transient(
                    tr("The homeserver sent another part of the file than was wanted.")
                )
            self._unwanted = 0
            length = None if place[2] == "*" else int(place[2])
        is_packed = answer.headers.get("Content-Encoding", "identity") != "identity"
        self.size = None if is_packed else length
        """Of the whole."""
        self.media_type = answer.content_type

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises `Transient` where it breaks off."""
        try:
            async for chunk in self._answer.content.iter_chunked(_CHUNK):
                wanted = chunk[self._unwanted :]
                self._unwanted = max(self._unwanted - len(chunk), 0)
                if wanted:
                    yield wanted
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(str(self._answer.url.host), error) from error

    async def close(self) -> None:
        """Also the connection, if something is still to come on it."""
        self._answer.close()
