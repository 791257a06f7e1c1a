# SPDX-License-Identifier: Apache-2.0
"""Which name of a contact is better than another one."""

from __future__ import annotations

import pytest

from gateway.bridge.contacts.names import Rank, better, rank
from gateway.bridge.contacts.reserved import Reserved, look
from gateway.ids import RemoteUserId

BOB = RemoteUserId("@bob:example.org")


@pytest.mark.parametrize(
    ("name", "worth"),
    [
        ("", Rank.NONE),
        ("@bob:example.org", Rank.ID),
        ("bob@example.org", Rank.ID),
        ("BOB example org", Rank.ID),
        ("+49 151 2345678", Rank.ID),
        ("(0151) 234-5678", Rank.ID),
        ("…", Rank.ID),
        ("bob", Rank.NAME),
        ("Bob", Rank.NAME),
        ("Agent 007", Rank.NAME),
        ("張偉", Rank.NAME),
    ],
)
def test_req_333_what_a_name_is_worth(name: str, worth: Rank) -> None:
    assert rank(name, BOB) is worth


@pytest.mark.parametrize(
    ("known", "told", "then"),
    [
        ("", "", ""),
        ("", "@bob:example.org", "@bob:example.org"),
        ("@bob:example.org", "", "@bob:example.org"),
        ("@bob:example.org", "Bob", "Bob"),
        ("Bob", "", "Bob"),
        ("Bob", "@bob:example.org", "Bob"),
        ("Bob", "+49 151 2345678", "Bob"),
        ("Bob", "Robert", "Robert"),
        ("+49 151 2345678", "@bob:example.org", "@bob:example.org"),
    ],
)
def test_req_333_a_name_is_never_replaced_by_a_worse_one(known: str, told: str, then: str) -> None:
    assert better(known, told, BOB, Reserved()) == then


@pytest.mark.parametrize(
    "name",
    [
        *("Matrix", "MATRIX", " M a t r i x ", "Matríx!", "Matr1x", "Matrlx", "Matrix 🤖"),
        "Mat\u200brix",
        "\uff2datrix",
        "\u041c\u0430tr\u0456\u0445",  # Cyrillic
        "\u039c\u03b1\u03c4r\u03b9\u03c7",  # Greek
    ],
)
def test_req_708_a_name_that_looks_like_the_gateways_has_the_id_behind_it(name: str) -> None:
    reserved = Reserved.of(["Matrix"], ["max"])
    assert reserved.is_gateways(name)
    assert better("", name, BOB, reserved) == f"{name} (@bob:example.org)"


@pytest.mark.parametrize("name", ["Matrix Fan", "Bob", "Max", "", "🤖", "Матрица", "マトリックス"])
def test_req_708_other_names_stay_as_they_are(name: str) -> None:
    reserved = Reserved.of(["Matrix", "🤖"], ["max"])
    assert better("", name, BOB, reserved) == name
    assert reserved.is_ours(name) == (name == "Max")


def test_req_708_what_looks_alike_is_alike_and_nothing_else() -> None:
    assert look("Bernard") == look("\u0412em\u0430rd")
    assert look("Anna") != look("Ann")
