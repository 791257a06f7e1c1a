# SPDX-License-Identifier: Apache-2.0
"""Keys that did not come: asking for them, and why they are withheld.

Matrix spec, "Key requests" (m.room_key_request), "Reporting that decryption keys are withheld".
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.matrix.e2e.keyserver import KeyServer
from adapters.matrix.e2e.megolm import ALGORITHM, Missing
from adapters.matrix.e2e.own import OwnDevice
from adapters.matrix.e2e.signed import is_key
from adapters.matrix.gaps import is_room_id
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import as_dict
from adapters.matrix.secrets import Secrets
from gateway.adapter import AccountContext
from gateway.text.wording import tr

_PATIENCE_S = 5.0
"""A key is often on its way when the message is there."""
_AT_ONCE = 50
_MAX_WAITING = 1_000
_MAX_WITHHELD = 1_000

_WHY = {
    "m.blacklisted": tr("The sender does not give keys to this gateway."),
    "m.unverified": tr("The sender's app gives keys to verified devices only: see “encryption”."),
    "m.unauthorised": tr("The sender's app says that you may not read it."),
    "m.unavailable": tr("The sender's app no longer has the key."),
    "m.no_olm": tr("The sender's app could not reach this gateway safely."),
}
_SENT = " sent"
"""After the id of a question that the homeserver has taken."""
_WITHHELD = tr("The sender's app withholds the key.")


@dataclass(frozen=True, slots=True)
class _Wanted:
    sender: str
    device_id: str


class Requests:
    """Of one account."""

    def __init__(
        self, account: AccountContext, server: KeyServer, own: OwnDevice, secrets: Secrets
    ) -> None:
        self._account = account
        self._server = server
        self._own = own
        self._secrets = secrets
        self._wanted: dict[Missing, _Wanted] = {}
        self._withheld: OrderedDict[Missing, str] = OrderedDict()
        """Codes. In memory only: anybody can send them."""

    # --- withheld -------------------------------------------------------------------------------

    def withheld(self, content: Mapping[str, Any]) -> Missing | None:
        """A device tells that it does not give a key. Returns which, if it says so."""
        room_id, session_id = content.get("room_id"), content.get("session_id")
        code = content.get("code")
        if not (is_room_id(room_id) and is_key(session_id)):
            return None
        missing = Missing(room_id, session_id)
        self._withheld[missing] = code if isinstance(code, str) else ""
        if len(self._withheld) > _MAX_WITHHELD:
            self._withheld.popitem(last=False)
        return missing

    def why(self, missing: Missing) -> str:
        """Why a key does not come, in a sentence for the user; empty if nobody has said."""
        code = self._withheld.get(missing)
        return "" if code is None else _WHY.get(code, _WITHHELD)

    # --- asking ---------------------------------------------------------------------------------

    def note(self, missing: Missing, event: Mapping[str, Any]) -> None:
        """A message waits for this key."""
        if missing in self._wanted or self._is_sent(missing):
            return
        if len(self._wanted) >= _MAX_WAITING:
            return
        sender, device_id = event.get("sender"), as_dict(event.get("content")).get("device_id")
        self._wanted[missing] = _Wanted(
            sender=sender if is_user_id(sender) else "",
            device_id=device_id if is_key(device_id) else "",
        )

    def wanted(self) -> list[Missing]:
        """Keys that are to be asked for."""
        return list(self._wanted)

    def came(self, missing: Missing) -> None:
        """The key is there."""
        self._wanted.pop(missing, None)
        if self.is_asked(missing):
            self._secrets.put(f"asked:{missing}", None)
        self._withheld.pop(missing, None)

    def is_asked(self, missing: Missing) -> bool:
        """Whether we have asked for this key, or were about to."""
        return self._secrets.get(f"asked:{missing}", str) is not None

    def _is_sent(self, missing: Missing) -> bool:
        """Whether the homeserver has taken the question: others may commit that we ask before."""
        return (self._secrets.get(f"asked:{missing}", str) or "").endswith(_SENT)

    async def ask(self) -> None:
        """Ask our user's other devices, and the one that sent the message."""
        if not self._wanted:
            return
        await self._account.clock.sleep(_PATIENCE_S)
        for missing, wanted in list(self._wanted.items())[:_AT_ONCE]:
            if missing not in self._wanted:
                continue  # it has come while others were asked for
            request_id = uuid.uuid4().hex
            self._secrets.put(f"asked:{missing}", request_id)
            content = {
                "action": "request",
                "request_id": request_id,
                "requesting_device_id": self._own.device_id,
                "body": {
                    "algorithm": ALGORITHM,
                    "room_id": missing.room_id,
                    "session_id": missing.session_id,
                },
            }
            messages = {(self._own.user_id, "*"): content}
            if wanted.device_id and wanted.sender not in ("", self._own.user_id):
                messages[wanted.sender, wanted.device_id] = content
            await self._server.send("m.room_key_request", messages)
            if self._wanted.pop(missing, None) is not None:  # else it has come meanwhile
                self._secrets.put(f"asked:{missing}", request_id + _SENT)
