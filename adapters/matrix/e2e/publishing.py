# SPDX-License-Identifier: Apache-2.0
"""Giving the homeserver the keys of our own device. Matrix spec, "POST /keys/upload"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from adapters.matrix.e2e.keyserver import KeyServer
from adapters.matrix.e2e.own import OwnDevice
from adapters.matrix.errors import code_of, status_of
from adapters.matrix.inbound import as_dict
from gateway.adapter import AccountContext
from gateway.errors import AdapterError, Unsupported
from gateway.text.wording import tr

FOREIGN = tr(
    "This login belongs to an app that encrypts by itself, so the gateway "
    "cannot encrypt with it. Log in with your password for encrypted "
    "conversations.",
)


class Publishing:
    """Of one account."""

    def __init__(
        self,
        account: AccountContext,
        server: KeyServer,
        own: OwnDevice,
        flush: Callable[[], Awaitable[None]],
    ) -> None:
        self._account = account
        self._server = server
        self._own = own
        self._flush = flush
        self.is_foreign = False
        """The device is another program's: nothing of ours can be published."""

    async def ensure(self) -> None:
        """Our device has its keys at the homeserver. Raises `Unsupported` if it cannot, and what
        the homeserver makes of the request."""
        if self.is_foreign:
            raise Unsupported(FOREIGN)
        if not self._own.is_published:
            await self._upload()

    async def refill(self) -> None:
        """Upload what the homeserver lacks. Raises as `ensure` does."""
        if self._own.needs_upload():
            await self._upload()

    async def _upload(self) -> None:
        own = self._own
        if not own.is_published and await self._belongs_to_another():
            self.is_foreign = True
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

    async def _belongs_to_another(self) -> bool:
        """Another program has given this device its keys."""
        own = self._own
        answer = await self._server.query((own.user_id,))
        listed = as_dict(as_dict(answer.get("device_keys")).get(own.user_id))
        keys = as_dict(as_dict(listed.get(own.device_id)).get("keys"))
        return bool(keys.get(f"ed25519:{own.device_id}", own.ed25519) != own.ed25519)
