# SPDX-License-Identifier: Apache-2.0
"""Requests about keys, and messages to devices.

Matrix spec, "POST /keys/upload", "POST /keys/query", "POST /keys/claim", "PUT /sendToDevice".
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from adapters.matrix.http import MIB, Api
from adapters.matrix.inbound import as_dict
from gateway.errors import Transient
from gateway.text.wording import tr

T = TypeVar("T")

_QUERY_LIMIT = 16 * MIB
_CLAIMED_AT_ONCE = 100
_SENT_AT_ONCE = 50
"""Devices in one request: each message has a key in it, and a request has its limit."""
_SERVERS_MS = 10_000
"""How long the homeserver may wait for the servers of others."""


class KeyServer:
    """What the homeserver does with keys."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def upload(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give it keys of our device."""
        answer = await self._api.post("keys", "upload", body=body)
        return _with(answer, "one_time_key_counts")

    async def query(
        self, user_ids: Iterable[str], on_large: Callable[[], None] | None = None
    ) -> dict[str, Any]:
        """The devices and identities of people. Those whose server is away are missing."""
        asked: dict[str, list[str]] = {user_id: [] for user_id in user_ids}
        body = {"device_keys": asked, "timeout": _SERVERS_MS}
        answer = await self._api.post(
            "keys", "query", body=body, limit=_QUERY_LIMIT, on_large=on_large
        )
        return _with(answer, "device_keys")

    async def claim(
        self, devices: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], dict[str, Any]]:
        """A one-time key of each of these devices, by user and device, of those that have any."""
        claimed: dict[tuple[str, str], dict[str, Any]] = {}
        for some in _pieces(devices, _CLAIMED_AT_ONCE):
            wanted: dict[str, dict[str, str]] = {}
            for user_id, device_id in some:
                wanted.setdefault(user_id, {})[device_id] = "signed_curve25519"
            body = {"one_time_keys": wanted, "timeout": _SERVERS_MS}
            answer = await self._api.post("keys", "claim", body=body)
            given = as_dict(_with(answer, "one_time_keys")["one_time_keys"])
            for user_id, device_id in some:
                keys = as_dict(as_dict(given.get(user_id)).get(device_id))
                for key in keys.values():
                    claimed[user_id, device_id] = as_dict(key)
        return claimed

    async def send(self, kind: str, messages: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        """Messages to devices, by user and device."""
        for some in _pieces(messages.items(), _SENT_AT_ONCE):
            sorted_: dict[str, dict[str, Any]] = {}
            for (user_id, device_id), content in some:
                sorted_.setdefault(user_id, {})[device_id] = content
            path = ("sendToDevice", kind, uuid.uuid4().hex)
            await self._api.put(*path, body={"messages": sorted_})


def _with(answer: dict[str, Any], name: str) -> dict[str, Any]:
    """An answer that has this; others come from something that is not the homeserver."""
    if not isinstance(answer.get(name), dict):
        raise Transient(tr("The homeserver's answer is not one of Matrix."))
    return answer


def _pieces(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece
