# SPDX-License-Identifier: Apache-2.0
"""The user's own identity: our device is signed by it, so that others trust it.

Matrix spec, "Cross-signing", "POST /keys/signatures/upload".
"""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.matrix.e2e.own import OwnDevice
from adapters.matrix.e2e.people import People
from adapters.matrix.e2e.signed import canonical
from adapters.matrix.http import Api
from gateway.errors import Forbidden, Unsupported
from gateway.text.wording import tr


def _private(seed: bytes) -> tuple[Ed25519PrivateKey, str]:
    """A signing key and its public half as Matrix writes it."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    return private, base64.b64encode(public).rstrip(b"=").decode()


async def sign_own_device(
    api: Api, own: OwnDevice, people: People, self_signing: bytes, master: bytes | None
) -> None:
    """Sign our device in the user's name. ``people`` must be up to date about the user.

    Raises `Unsupported` if the keys are not those of the user's identity at the homeserver.
    """
    person = people.of(own.user_id)
    try:
        private, public = _private(self_signing)
        known_master = master is None or _private(master)[1] == person.master
    except ValueError:
        raise Unsupported(tr("The secrets of your account are damaged.")) from None
    if public != person.self_signing or not known_master:
        raise Unsupported(
            tr(
                "The recovery key opens another identity than the one that your account has now.",
            )
        )
    bare: dict[str, Any] = {k: v for k, v in own.keys.items() if k != "signatures"}
    signature = base64.b64encode(private.sign(canonical(bare))).rstrip(b"=").decode()
    signed = {**bare, "signatures": {own.user_id: {f"ed25519:{public}": signature}}}
    body = {own.user_id: {own.device_id: signed}}
    answer = await api.post("keys", "signatures", "upload", body=body)
    if answer.get("failures"):
        raise Forbidden(tr("The homeserver does not take the signature of this gateway's device."))
