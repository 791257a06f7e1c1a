# SPDX-License-Identifier: Apache-2.0
"""What fuzzing has found, each as small as it can be said. More of it is in scenario scripts:
`req-460-a-text-with-a-stray-privilege` and `req-209-a-text-while-unregistering`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from gateway.events import RemoteFile, RemoteMessage, RemoteUndecryptable
from gateway.ids import RemoteMessageId, RemoteUserId, UserJid
from tests.scenario.house import House, Options
from tests.scripted.adapter import ScriptedSession

ALICE = UserJid("alice@home.example")
_BODY = "{jabber:component:accept}body"


def _errors(house: House) -> list[str]:
    return [log["event"] for log in house.logs if log["log_level"] == "error"]


@pytest.mark.parametrize("sent_at", [math.nan, math.inf, -math.inf, -1e18, 1e300])
async def test_a_time_that_cannot_be_costs_no_text(tmp_path: Path, sent_at: float) -> None:
    """It was stored as NULL, or could not be written as a stamp: a dead letter for a good text."""
    async with House(tmp_path) as house:
        await house.start()
        await house.connected()
        await house.link(ALICE, "alice")
        account = house.bridge.accounts.of(ALICE)
        assert account is not None
        assert account.link is not None
        who, one, two = RemoteUserId("bob"), RemoteMessageId("1"), RemoteMessageId("2")
        session = account.link.session
        assert isinstance(session, ScriptedSession)
        await session._account.commit(
            [
                RemoteMessage(contact=who, id=one, body="hello", sent_at=sent_at),
                RemoteUndecryptable(contact=who, id=two, sent_at=sent_at, content="{}"),
            ]
        )
        await house.clock.settle()
        received = vars(house.server.received)["_queue"]
        assert "hello" in [element.findtext(_BODY) for element in received]
        assert not _errors(house)


@pytest.mark.parametrize(
    "said",
    [{"page": "https://a.example/\ud800"}, {"duration_s": math.inf}, {"media_type": "a/\udfff"}],
    ids=["page", "duration", "type"],
)
async def test_nonsense_that_is_said_of_a_file_costs_no_file(
    tmp_path: Path, said: dict[str, Any]
) -> None:
    """It could not be stored, or not be written as a stanza: a dead letter for a good file."""
    async with House(tmp_path, Options(has_pages=True)) as house:
        await house.start()
        await house.connected()
        await house.link(ALICE, "alice")
        account = house.bridge.accounts.of(ALICE)
        assert account is not None
        assert account.link is not None
        session = account.link.session
        assert isinstance(session, ScriptedSession)
        file = RemoteFile(reference="f", name="f.bin", **said)
        who, id = RemoteUserId("bob"), RemoteMessageId("1")
        await session._account.commit(
            [RemoteMessage(contact=who, id=id, body="", sent_at=1.0, files=(file,))]
        )
        await house.clock.settle()
        bodies = [each.findtext(_BODY) or "" for each in vars(house.server.received)["_queue"]]
        assert any(body.endswith("/f.bin") for body in bodies)
        assert not _errors(house)


async def test_a_stanza_that_is_too_deep_and_not_for_us_has_no_answer(tmp_path: Path) -> None:
    """It was answered in another domain's name, which the single exit refused (REQ-702)."""
    async with House(tmp_path) as house:
        await house.start()
        await house.connected()
        deep = "<x xmlns='urn:x'>" * 150 + "</x>" * 150
        house.server.send(
            f"<message from='{ALICE}/a' to='bob@other.example' id='1'>{deep}</message>"
        )
        await house.clock.settle()
        assert house.server.received.empty()
        assert not _errors(house)
        assert "not_for_us" in [log["event"] for log in house.logs]
