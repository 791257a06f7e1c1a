# SPDX-License-Identifier: Apache-2.0
"""Text of strangers, made harmless: any string in, one that every store and codec takes out."""

from __future__ import annotations

import re

_NEWLINES = re.compile(r"\r\n?")
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_QUOTED = re.compile(r"> ?(?:\* ?)?<@[^>\n]*>")

SHORTENED = "… [shortened]"


def clean(text: str, max_bytes: int) -> str:
    """Without control characters and lone surrogates, and cut (saying so) at ``max_bytes``."""
    long = len(text) > max_bytes
    text = _SURROGATES.sub("\ufffd", text[:max_bytes] if long else text)
    text = _UNWANTED.sub("", _NEWLINES.sub("\n", text))
    encoded = text.encode()
    if not long and len(encoded) <= max_bytes:
        return text
    keep = max(max_bytes - len(SHORTENED.encode()), 0)
    return encoded[:keep].decode("utf-8", "ignore") + SHORTENED


def cleaned(text: str, max_bytes: int) -> str:
    """The same of what may be a sentence of ours, which can be said in another language as long as
    nothing of it had to be changed."""
    found = clean(text, max_bytes)
    return text if found == text else found


def without_reply_fallback(body: str) -> str:
    """Take the quotation off that older clients put before a reply.

    Client-server API up to 1.12, "Stripping the fallback". Only what looks like the fallback is
    taken: a person may have quoted something by hand.
    """
    if not _QUOTED.match(body):
        return body
    lines = body.split("\n")
    index = 0
    while index < len(lines) and lines[index].startswith(">"):
        index += 1
    if index < len(lines) and not lines[index].strip():
        index += 1
    return "\n".join(lines[index:])
