# SPDX-License-Identifier: Apache-2.0
"""Signed JSON. Matrix spec, appendices, "Canonical JSON", "Signing JSON"."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from vodozemac import Account, Ed25519PublicKey, Ed25519Signature

from adapters.matrix.inbound import as_dict

_KEY = re.compile(r"[A-Za-z0-9+/_=-]{1,100}")


def is_key(text: object) -> TypeGuard[str]:
    """Whether this may be a key or the id of a session: what strangers send may be anything."""
    return isinstance(text, str) and _KEY.fullmatch(text) is not None


def canonical(value: Mapping[str, Any]) -> bytes:
    """The one form of an object that is signed."""
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return written.encode()


def _bare(value: Mapping[str, Any]) -> bytes:
    return canonical({k: v for k, v in value.items() if k not in ("signatures", "unsigned")})


def sign(account: Account, value: Mapping[str, Any], user_id: str, key_id: str) -> dict[str, Any]:
    """The object with our signature added."""
    signature = account.sign(_bare(value)).to_base64()
    signatures = {**as_dict(value.get("signatures"))}
    signatures[user_id] = {**as_dict(signatures.get(user_id)), key_id: signature}
    return {**value, "signatures": signatures}


def is_signed(value: Mapping[str, Any], user_id: str, key: str, key_name: str = "") -> bool:
    """Whether an object from a stranger has a good signature of this Ed25519 key.

    ``key_name`` is the part of the key's id after ``ed25519:``, if that is not the key itself.
    """
    signatures = as_dict(as_dict(value.get("signatures")).get(user_id))
    signature = signatures.get(f"ed25519:{key_name or key}")
    if not isinstance(signature, str):
        return False
    try:
        bare = _bare(value)
    except (ValueError, RecursionError):  # half a character, too deep: nobody signs that
        return False
    return verifies(key, bare, signature)


def verifies(key: str, message: bytes, signature: str) -> bool:
    """Whether a signature is one of this key; whatever is malformed is none."""
    try:
        Ed25519PublicKey.from_base64(key).verify_signature(
            message, Ed25519Signature.from_base64(signature)
        )
    except ValueError:
        return False
    return True
