# SPDX-License-Identifier: Apache-2.0
"""Presence in waves: many contacts, several users, and streams that break (REQ-306, REQ-315)."""

from __future__ import annotations

from collections import Counter

import pytest

from gateway.bridge.accounts import Account
from gateway.bridge.attendance import devices
from gateway.bridge.attendance.presence import Presences
from gateway.errors import Forbidden, RateLimited, Transient
from gateway.events import Presence
from gateway.ids import AccountId, RemoteUserId, UserJid
from gateway.store import Transaction, contacts
from gateway.store.contacts import ContactRow, Subscription
from gateway.store.writer import Connection
from tests.scenario.house import GATEWAY, House
from tests.scenario.test_stream import ALICE, bodies, events, running

CAROL = "carol@home.example"
_BOTH = ContactRow(to_user=Subscription.GRANTED, from_user=Subscription.GRANTED)


async def with_contacts(house: House, user: str, number: int) -> list[str]:
    """Give a user that many contacts; returns their JIDs."""
    account = house.bridge.accounts.of(UserJid(user))
    assert account is not None
    names = [RemoteUserId(f"p{index}") for index in range(number)]

    def unit(db: Transaction) -> None:
        for name in names:
            house.bridge.addresses.assign(db, name)
            contacts.put(db, account.id, name, _BOTH)

    await house.store.write(unit)
    await bodies(house)
    return [f"{name}@{GATEWAY}" for name in names]


def shown(house: House) -> list[tuple[str, str, str]]:
    """Who was shown to whom as what, of what waits to be looked at."""
    found = []
    while not house.server.received.empty():
        stanza = house.server.received.get_nowait()
        sender = stanza.get("from", "").partition("/")[0]
        found.append((stanza.get("to", ""), sender, stanza.get("type", "")))
    return found


def probes(user: str, puppets: list[str]) -> str:
    """What the user's server sends when a device came."""
    return "".join(f"<presence type='probe' from='{user}' to='{to}'/>" for to in puppets)


async def test_req_315_a_large_roster_is_paced_and_complete(house: House) -> None:
    await running(house)
    puppets = await with_contacts(house, ALICE, 1000)
    house.server.send(probes(ALICE, puppets))
    each_second = []
    for _ in range(8):
        await house.clock.advance(1)
        each_second.append(shown(house))
    assert max(map(len, each_second)) <= 200
    assert [len(second) for second in each_second[-2:]] == [0, 0]
    told = Counter(sender for second in each_second for _, sender, _ in second)
    assert told == Counter(puppets)


async def test_req_315_nobody_waits_for_anothers_wave(house: House) -> None:
    await running(house)
    await house.link(CAROL, "carol")
    puppets = await with_contacts(house, ALICE, 2000)
    await with_contacts(house, CAROL, 5)
    house.server.send(probes(ALICE, puppets))
    await house.clock.settle()
    shown(house)
    house.server.send(probes(CAROL, puppets[:5]))
    await house.clock.advance(0.1)
    told = [to for to, _, _ in shown(house)]
    assert told.count(CAROL) == 5
    assert told.count(ALICE) <= 40


async def test_req_315_a_wave_that_a_broken_stream_cuts_off_goes_on(house: House) -> None:
    await running(house)
    puppets = await with_contacts(house, ALICE, 600)
    house.server.send(probes(ALICE, puppets))
    await house.clock.advance(1)
    before = shown(house)
    assert 0 < len(before) < 600
    house.server.cut()
    await house.clock.advance(2)
    await house.connected()
    await house.clock.advance(6)
    # What was written last may be lost: all of it comes, once more what came before.
    after = Counter(sender for _, sender, _ in shown(house))
    assert after == Counter(puppets)


async def test_req_318_a_goodbye_that_a_broken_stream_cuts_off_goes_on(house: House) -> None:
    await running(house)
    puppets = await with_contacts(house, ALICE, 300)
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    await house.bridge.logins.unregister(account)
    await house.clock.advance(1)
    shown(house)
    house.server.cut()
    await house.clock.advance(2)
    await house.connected()
    await house.clock.advance(10)
    told = shown(house)
    gone = [sender for _, sender, kind in told if kind == "unavailable"]
    assert set(gone) == {*puppets, GATEWAY}
    assert Counter(kind for _, _, kind in told) == {
        "unavailable": 301,
        "unsubscribe": 301,
        "unsubscribed": 301,
    }
    assert gone[-1] == GATEWAY


async def test_req_318_a_large_log_out_is_paced(house: House) -> None:
    await running(house)
    puppets = await with_contacts(house, ALICE, 500)
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    await house.bridge.logins.log_out(account)
    told = []
    for _ in range(4):
        await house.clock.advance(1)
        second = shown(house)
        assert len(second) <= 200
        told += second
    assert sorted(sender for _, sender, kind in told if kind == "unavailable") == sorted(puppets)
    assert told[-1][1:] == (GATEWAY, "")


async def test_req_223_one_wave_when_the_link_is_gone_for_long(house: House) -> None:
    await running(house)
    puppets = await with_contacts(house, ALICE, 400)
    await house.network.stop()
    await house.clock.advance(299)
    assert {sender for _, sender, _ in shown(house)} == {GATEWAY}
    told = []
    for _ in range(5):
        await house.clock.advance(1)
        second = shown(house)
        assert len(second) <= 200
        told += second
    assert Counter(told) == Counter((ALICE, puppet, "unavailable") for puppet in puppets)


async def test_req_306_a_change_of_the_user_touches_neither_store_nor_network(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    puppets = [*await with_contacts(house, ALICE, 500), GATEWAY]
    for name in ("write", "reader"):
        monkeypatch.setattr(house.store, name, None)
    for show in ("away", "dnd"):
        house.server.send(
            "".join(
                f"<presence from='{ALICE}/phone' to='{to}'><show>{show}</show></presence>"
                for to in puppets
            )
        )
        await house.clock.settle()
    monkeypatch.undo()
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    ((resource, device),) = account.devices
    assert (resource, device.presence.availability) == ("phone", "dnd")
    assert not shown(house)
    assert not [log for log in house.logs if log["log_level"] == "error"]
    assert not house.network.commands


async def test_req_306_devices_are_bounded(house: House) -> None:
    await running(house)
    for number in range(100):
        house.server.send(f"<presence from='{ALICE}/r{number}' to='{GATEWAY}'/>")
    await house.clock.settle()
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    assert len(list(account.devices)) == 32


async def test_req_306_712_puppets_that_have_seen_a_device_are_bounded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_MAX_WITNESSES", 50)
    await running(house)
    for number in range(200):
        house.server.send(f"<presence from='{ALICE}/x' to='nobody{number}@{GATEWAY}'/>")
    await house.clock.settle()
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    assert len(account.devices._elsewhere["x"]) == 50
    # Those that count still do: the last of them takes the device away.
    for number in range(50):
        house.server.send(
            f"<presence type='unavailable' from='{ALICE}/x' to='nobody{number}@{GATEWAY}'/>"
        )
    await house.clock.settle()
    assert not list(account.devices)


async def test_req_137_a_long_list_of_blocked_strangers_is_no_work_on_presence(
    house: House,
) -> None:
    def of_contacts() -> list[tuple[str, str]]:
        return [(sender, kind) for _, sender, kind in shown(house) if sender != GATEWAY]

    await running(house)
    await with_contacts(house, ALICE, 3)
    house.server.send(f"<presence from='{ALICE}/phone' to='{GATEWAY}'/>")
    await house.clock.advance(40)
    shown(house)
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    presences: Presences = house.bridge._presences
    strangers = [f"stranger{number}" for number in range(10_000)]
    house.network.event("alice", "room-ignored", users=[*strangers, "p1"])
    await house.clock.advance(1)
    assert of_contacts() == [(f"p1@{GATEWAY}", "unavailable")]
    house.network.event("alice", "room-ignored", users=strangers)
    await house.clock.advance(1)
    assert of_contacts() == [(f"p1@{GATEWAY}", "")]
    assert len(presences._shown[account.id].contacts) <= 4


async def test_presence_of_a_removed_account_is_not_saved(house: House) -> None:
    await running(house)
    await with_contacts(house, ALICE, 1)
    house.network.shows("alice", "p0", availability="away")
    await house.clock.settle()
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    assert isinstance(account.id, int)
    presences: Presences = house.bridge._presences
    await house.bridge.logins.unregister(account)
    await house.clock.advance(61)
    assert house.query("SELECT count(*) FROM contact_presence") == [(0,)]
    assert AccountId(account.id) not in presences._shown
    assert not [log for log in house.logs if log["log_level"] in ("warning", "error")]


async def gone(house: House) -> None:
    """Alice unregisters."""
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    await house.bridge.logins.unregister(account)


async def test_req_303_a_goodbye_repeated_after_a_break_spares_a_new_account(house: House) -> None:
    await running(house)
    await with_contacts(house, ALICE, 5)
    await gone(house)
    await house.clock.advance(5)
    await house.link(ALICE, "alice")
    puppets = await with_contacts(house, ALICE, 4)
    shown(house)
    house.server.cut()
    await house.clock.advance(2)
    await house.connected()
    await house.clock.advance(10)
    # The fifth is no contact of the new account, so its end still stands.
    ended = {sender for _, sender, kind in shown(house) if "unsubscribe" in kind}
    assert ended == {f"p4@{GATEWAY}"}
    assert puppets[0] not in ended


async def test_req_209_303_a_goodbye_under_way_spares_a_new_account(house: House) -> None:
    await running(house)
    await with_contacts(house, ALICE, 600)
    await gone(house)
    await house.clock.advance(2)
    before = {sender for _, sender, kind in shown(house) if kind == "unsubscribed"}
    assert before
    assert GATEWAY not in before
    await house.link(ALICE, "alice")
    await house.clock.advance(20)
    after = {sender for _, sender, kind in shown(house) if "unsubscribe" in kind}
    assert GATEWAY not in after
    assert len(after) == 600 - len(before)


async def test_req_209_nothing_is_remembered_of_who_has_left(house: House) -> None:
    await running(house)
    await with_contacts(house, ALICE, 300)
    house.server.send(f"<presence from='{ALICE}/phone' to='{GATEWAY}'/>")
    await house.clock.advance(15)
    assert house.bridge._attendance.waves._queues
    for availability in ("away", "dnd"):  # the second waits for its 30 s
        house.network.shows("alice", "p1", availability=availability)
        await house.clock.settle()
    await gone(house)
    await house.clock.advance(60)
    assert not house.bridge._attendance.waves._queues
    assert not house.bridge._attendance.presences._shown


async def test_req_315_a_failing_wave_leaves_others_alone_and_is_logged_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    await house.link(CAROL, "carol")
    hers = await with_contacts(house, CAROL, 100)
    his = await with_contacts(house, ALICE, 100)
    real = contacts.get
    carol = house.bridge.accounts.of(UserJid(CAROL))
    assert carol is not None

    def get(db: Connection, account: AccountId, contact: RemoteUserId) -> ContactRow:
        if account == carol.id and house.clock.monotonic() >= broken_at:
            raise OSError("disk I/O error")
        return real(db, account, contact)

    house.server.send(probes(CAROL, hers) + probes(ALICE, his))
    await house.clock.settle()
    broken_at = house.clock.monotonic()
    monkeypatch.setattr(contacts, "get", get)
    await house.clock.advance(5)
    told = Counter(to for to, _, _ in shown(house))
    assert told[ALICE] == 100
    assert 0 < told[CAROL] < 100
    assert events(house).count("presence_not_told") == 1


async def test_req_317_own_presence_is_told_again_after_a_failure(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    assert account.link is not None
    assert account.link.session is not None
    answers: list[Exception | None] = [
        Transient("busy"),
        RateLimited("slow down", retry_after_s=200),
        None,
        Forbidden("never"),
    ]
    asked = []

    async def set_presence(presence: Presence) -> None:
        asked.append((round(house.clock.monotonic() - start), presence.status))
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    monkeypatch.setattr(account.link.session, "set_presence", set_presence)
    start = house.clock.monotonic()
    device = "<presence from='{}/phone' to='{}'><status>{}</status></presence>"
    house.server.send(device.format(ALICE, GATEWAY, "one"))
    await house.clock.advance(100)
    # What is true then is told, not what could not be told.
    house.server.send(device.format(ALICE, GATEWAY, "two"))
    await house.clock.advance(3600)
    assert asked == [(2, "one"), (32, "one"), (232, "two")]
    # What is refused is not tried again.
    house.server.send(device.format(ALICE, GATEWAY, "three"))
    await house.clock.advance(3600)
    assert asked[3:] == [(3730, "three")]


async def test_req_318_a_large_log_out_is_prepared_in_parts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    await with_contacts(house, ALICE, 3000)
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    looked_at = 0
    real = Presences.of

    def of(self: Presences, account: Account, contact: RemoteUserId) -> Presence:
        nonlocal looked_at
        looked_at += 1
        return real(self, account, contact)

    monkeypatch.setattr(Presences, "of", of)
    presences = house.bridge._attendance.presences
    await house.bridge.logins.log_out(account)
    await house.clock.advance(30)
    told = shown(house)
    assert len(told) == 3001
    assert told[-1][1:] == (GATEWAY, "")
    # Nothing is new for the second one, and what writes nothing takes time as well.
    looked_at = 0
    presences.show_all(account)
    assert 0 < looked_at <= 500
    assert not shown(house)
    await house.clock.advance(1)
    assert looked_at > 6000
    assert shown(house) == [(ALICE, GATEWAY, "")]


async def test_req_209_a_large_goodbye_is_prepared_in_parts(house: House) -> None:
    await running(house)
    puppets = await with_contacts(house, ALICE, 1000)
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    _, say_goodbye = await house.bridge.logins.erase(account)
    say_goodbye()
    assert 0 < len(house.bridge._attendance.waves._queues[UserJid(ALICE)].items) <= 200
    await house.clock.advance(30)
    gone = [sender for _, sender, kind in shown(house) if kind == "unavailable"]
    assert sorted(gone[:-1]) == sorted(puppets)
    assert gone[-1] == GATEWAY


async def test_req_315_the_most_recent_chats_come_first_of_many(house: House) -> None:
    await running(house)
    puppets = await with_contacts(house, ALICE, 1000)
    house.network.says("alice", "p998", "Hello")
    await house.clock.settle()
    house.network.says("alice", "p999", "Hello")
    await house.clock.settle()
    house.server.send(f"<presence from='{ALICE}/phone' to='{GATEWAY}'/>")
    await house.clock.settle()
    shown(house)
    await house.clock.advance(20)  # nobody asks for anything
    told = [sender for _, sender, _ in shown(house)]
    assert told[:2] == [puppets[999], puppets[998]]
    assert set(puppets) <= set(told)
