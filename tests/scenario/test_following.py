# SPDX-License-Identifier: Apache-2.0
"""Accounts that are connected only while their user is there: what if that is not known?"""

from __future__ import annotations

from gateway.bridge.accounts.settings import FIELDS
from gateway.bridge.links.link import LinkState
from gateway.ids import UserJid
from tests.scenario.house import GATEWAY, House
from tests.scenario.test_requests import tell
from tests.scenario.test_stream import ALICE, running

_PHONE = f"{ALICE}/phone"
_PROBE = f"{GATEWAY} -> {ALICE}"


def phase(house: House) -> LinkState:
    """Of Alice's link."""
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    assert account.link is not None
    return account.link.phase


async def sends(house: House, stanza: str) -> None:
    """Alice's server sends that."""
    house.server.send(stanza)
    await house.clock.settle()


async def follows(house: House) -> None:
    """Alice lets the gateway see her, and wants to be connected only while she is there."""
    await running(house)
    await sends(house, f"<presence type='subscribed' from='{ALICE}' to='{GATEWAY}'/>")
    await house.change_setting(ALICE, "follow_presence", "1")


async def leaves(house: House) -> None:
    """Alice's phone comes and goes, and nothing wants to be connected any more."""
    await sends(house, f"<presence from='{_PHONE}' to='{GATEWAY}'/>")
    await sends(house, f"<presence type='unavailable' from='{_PHONE}' to='{GATEWAY}'/>")
    await house.clock.advance(31)
    assert phase(house) is LinkState.WAITING


async def test_req_221_what_is_not_known_is_asked_and_disconnects_nobody(house: House) -> None:
    await follows(house)
    assert house.server.probes == [_PROBE]
    await house.clock.advance(3600)
    assert phase(house) is LinkState.LIVE


async def test_req_221_the_answer_that_nobody_is_there_disconnects(house: House) -> None:
    await follows(house)
    await sends(house, f"<presence type='unavailable' from='{ALICE}' to='{GATEWAY}'/>")
    await house.clock.advance(29)
    assert phase(house) is LinkState.LIVE
    await house.clock.advance(2)
    assert phase(house) is LinkState.WAITING


async def test_req_221_one_text_of_somebody_unseen_connects_for_five_minutes(
    house: House,
) -> None:
    await follows(house)
    await leaves(house)
    text = (
        f"<message type='chat' id='m' from='{_PHONE}' to='bob@{GATEWAY}'><body>x</body></message>"
    )
    await sends(house, text)
    assert phase(house) is LinkState.LIVE
    await house.clock.advance(200)
    await sends(house, text.replace("'m'", "'n'"))
    await house.clock.advance(200)
    assert phase(house) is LinkState.LIVE
    await house.clock.advance(101)
    assert phase(house) is LinkState.WAITING


async def test_req_221_who_comes_within_the_five_minutes_stays(house: House) -> None:
    await follows(house)
    await leaves(house)
    await tell(house, "status")
    await sends(house, f"<presence from='{_PHONE}' to='{GATEWAY}'/>")
    await house.clock.advance(3600)
    assert phase(house) is LinkState.LIVE


async def test_req_221_a_command_after_a_restart_connects(house: House) -> None:
    await follows(house)
    await house.stop()
    await house.start()
    await house.connected()
    await house.clock.advance(60)
    assert phase(house) is LinkState.WAITING
    await tell(house, "status")
    await house.clock.advance(5)
    assert phase(house) is LinkState.LIVE
    assert house.server.probes[-1] == _PROBE


async def test_req_221_who_cannot_be_seen_stays_connected_and_is_told(house: House) -> None:
    await running(house)
    groups = list(dict.fromkeys(field.group for field in FIELDS))
    group = next(field.group for field in FIELDS if field.name == "follow_presence")
    number = 1 + [one.name for one in FIELDS if one.group == group].index("follow_presence")
    section = str(1 + groups.index(group))
    said = await tell(house, "settings", section, str(number), "yes")
    assert "The gateway cannot see when you are online" in said[-1]
    await house.stop()
    await house.start()
    await house.connected()
    await house.clock.advance(3600)
    assert phase(house) is LinkState.LIVE
    # The moment it may see them, it asks.
    before = len(house.server.probes)
    await sends(house, f"<presence type='subscribed' from='{ALICE}' to='{GATEWAY}'/>")
    assert len(house.server.probes) == before + 1
    await sends(house, f"<presence type='unavailable' from='{ALICE}' to='{GATEWAY}'/>")
    await house.clock.advance(31)
    assert phase(house) is LinkState.WAITING
