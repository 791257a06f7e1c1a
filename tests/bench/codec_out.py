# SPDX-License-Identifier: Apache-2.0
"""Codec out: from a row of the journal to bytes behind the single exit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

from gateway.events import ChatMessage, Delivery, Receipt
from gateway.ids import ConversationId, RemoteUserId, RowId, StanzaId, stanza_id
from gateway.store.journal import InboundRow
from tests.bench import sink, stanzas
from tests.bench.measure import Figure, Group, rates
from tests.bench.stock import PLUGINS, StockComponent

_USERS = 100
_COUNT = 10_000
_STOCK_COUNT = 1_000
Work = Callable[[], Awaitable[None]]
Prepare = Callable[[int], Work]

_TURN = 200
"""Rows that are written before the loop gets its turn."""
_GOAL = 100_000


async def measure(directory: Path, repetitions: int) -> Group:
    """Messages, and the receipts that answer messages."""
    async with sink.component(directory, _USERS) as bench:
        figures = [
            Figure(
                what=what,
                unit="/s",
                values=await rates(_COUNT, repetitions, _ours(bench, make)),
                goal=_GOAL,
                raw=await rates(_COUNT, repetitions, _raw(raw)),
                stock=await _stock(stock, repetitions),
            )
            for what, make, raw, stock in (
                ("chat message, 3 extensions", _message, _raw_chat, StockComponent.write_chat),
                ("delivery receipt", _receipt, _raw_receipt, StockComponent.write_receipt),
            )
        ]
    return Group(
        title="Codec out, no server",
        note=(
            "Journal row → stanza → checked bytes in one write per turn; per second of CPU. "
            "Raw: an f-string with escaped text. Stock: make_message and send, "
            f"{len(PLUGINS)} plugins."
        ),
        figures=figures,
    )


def _message(sid: StanzaId) -> Delivery:
    return ChatMessage(id=sid, body=stanzas.BODY, sent_at=time.time())


def _receipt(sid: StanzaId) -> Delivery:
    return Receipt(id=sid, message=StanzaId(f"id-{sid}"))


def _ours(bench: sink.Bench, make: Callable[[StanzaId], Delivery]) -> Prepare:
    def prepare(first: int) -> Work:
        rows = [_row(bench, make, number) for number in range(first, first + _COUNT)]

        async def work() -> None:
            for start in range(0, _COUNT, _TURN):
                for row in rows[start : start + _TURN]:
                    bench.component.port.write(row)
                await asyncio.sleep(0)

        return work

    return prepare


def _row(bench: sink.Bench, make: Callable[[StanzaId], Delivery], number: int) -> InboundRow:
    account = bench.accounts[number % _USERS]
    sid = stanza_id("bench", number)
    return InboundRow(
        id=RowId(number),
        account=account.id,
        conversation=ConversationId(int(account.id)),
        user=account.user,
        contact=RemoteUserId(stanzas.contact(number % _USERS)),
        stanza_id=sid,
        delivery=make(sid),
        committed_at=time.time(),
    )


def _raw_chat(sender: str, to: str, sid: str) -> str:
    return (
        f"<message from='{sender}' to='{to}' type='chat' id='{sid}'>"
        f"<body>{escape(stanzas.BODY)}</body><origin-id xmlns='urn:xmpp:sid:0' id='{sid}'/>"
        "<markable xmlns='urn:xmpp:chat-markers:0'/>"
        "<active xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )


def _raw_receipt(sender: str, to: str, sid: str) -> str:
    return (
        f"<message from='{sender}' to='{to}' type='chat' id='{sid}'>"
        f"<received xmlns='urn:xmpp:receipts' id='id-{sid}'/>"
        "<store xmlns='urn:xmpp:hints'/></message>"
    )


def _raw(make: Callable[[str, str, str], str]) -> Prepare:
    async def work(first: int) -> None:
        end = sink.Sink()
        for start in range(first, first + _COUNT, _TURN):
            data = [
                make(_sender(number), stanzas.user(number % _USERS), f"id-{number:08x}").encode()
                for number in range(start, start + _TURN)
            ]
            end.write(b"".join(data))

    return lambda first: partial(work, first)


def _sender(number: int) -> str:
    return f"{stanzas.contact(number % _USERS)}@{stanzas.COMPONENT}/scripted"


async def _stock(
    write: Callable[[StockComponent, str, str, str, str], Awaitable[None]], repetitions: int
) -> list[float]:
    stock = StockComponent()

    async def work(first: int) -> None:
        for number in range(first, first + _STOCK_COUNT):
            sid = f"id-{number:08x}"
            await write(stock, _sender(number), stanzas.user(number % _USERS), sid, stanzas.BODY)
            if number % _TURN == 0:
                await stock.idle()
        await stock.idle()

    try:
        return await rates(_STOCK_COUNT, min(repetitions, 3), lambda first: partial(work, first))
    finally:
        stock.close()
