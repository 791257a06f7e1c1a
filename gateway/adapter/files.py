# SPDX-License-Identifier: Apache-2.0
"""Files on their way. Nobody has the whole of one: it flows in chunks, as fast as it is taken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.events import FileFacts


async def _nothing_is_open() -> None:
    """Whoever has opened it closes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file while it is open: from the network to users, or from where they have put it."""

    chunks: AsyncIterator[bytes] = field(repr=False)
    """To be read once, or not at all. Raises any `AdapterError` where it breaks off."""
    close: Callable[[], Awaitable[None]] = field(default=_nothing_is_open, repr=False)
    """Called once, wherever the reading has ended."""
    size: int | None = None
    """Of the whole file in bytes, if the other side says so."""
    media_type: str = ""
    """Likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A small picture of a file: a PNG or JPEG that the gateway has made, at most 96 KiB."""

    data: bytes = field(repr=False)
    media_type: str
    width: int
    height: int
    """In pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file from a user to the network, while it is open."""

    facts: FileFacts
    """What is known of it now: its size and kind are what they are, and its name is harmless."""
    chunks: AsyncIterator[bytes] = field(repr=False)
    """To be read once. Raises any `AdapterError` where it breaks off; then nothing of it is to be
    shown to anybody."""
    waveform: tuple[int, ...] = ()
    """Of a voice message: how loud its parts are, each from 0 to 1024; empty if that is not
    known."""
    thumbnail: Thumbnail | None = None
    """Of a large picture, or a film, if there is one."""
