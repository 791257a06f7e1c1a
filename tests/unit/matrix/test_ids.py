"""Addresses: readable, and read back (REQ-260, REQ-261, REQ-266)."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.ids import address_of, contact_at, is_user_id
from adapters.matrix.people import called
from gateway.ids import RemoteUserId

_LOCAL = st.text(string.ascii_lowercase + string.digits + "._=-/+", min_size=1, max_size=40)
_SERVER = st.one_of(
    st.from_regex(r"[a-z0-9]{1,10}(\.[a-z0-9]{1,10}){0,2}(:[0-9]{1,5})?", fullmatch=True),
    st.from_regex(r"\[[0-9a-f:]{2,39}\](:[0-9]{1,5})?", fullmatch=True),
)


@given(local=_LOCAL, server=_SERVER)
def test_ids_of_the_present_grammar_have_an_address_that_reads_back(
    local: str, server: str
) -> None:
    user_id = RemoteUserId(f"@{local}:{server}")
    address = address_of(user_id)
    assert address == f"{local}%{server}"
    assert contact_at(address) == user_id
    assert contact_at(address.upper()) == user_id
    assert contact_at(user_id) == user_id


@given(st.text(max_size=60) | st.from_regex(r"@.{1,20}:.{1,20}"))
def test_any_text_has_no_address_or_one_that_reads_back(text: str) -> None:
    address = address_of(RemoteUserId(text))
    assert address is None or contact_at(address) == text


@given(st.text(max_size=60) | st.from_regex(r"[^%]{1,20}%.{1,20}"))
def test_an_address_leads_to_a_user_id_or_nowhere(text: str) -> None:
    contact = contact_at(text)
    assert contact is None or is_user_id(contact)


@given(st.lists(st.from_regex(r"@[!-9;-~]{1,5}:[a-zA-Z.]{1,5}", fullmatch=True), min_size=2))
def test_different_ids_never_share_an_address(ids: list[str]) -> None:
    addresses = [address_of(RemoteUserId(user_id)) for user_id in set(ids)]
    readable = [address for address in addresses if address is not None]
    assert len(readable) == len(set(readable))


@pytest.mark.parametrize(
    "user_id",
    ["@Bob:example.org", "@bob:Example.org", "@b%c:example.org", "@b!:hs", "@:hs", "@bob",
     "bob:hs", "", "@bob:", "@bob:hs:x", "@bób:hs", "@a b:hs", "@b\n:hs",
     "@" + "a" * 250 + ":hs.example"],
)  # fmt: skip
def test_other_ids_have_no_readable_address(user_id: str) -> None:
    assert address_of(RemoteUserId(user_id)) is None


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("bob%example.org", "@bob:example.org"),
        ("BOB%Example.ORG", "@bob:example.org"),
        ("@Bob:Example.org", "@Bob:example.org"),
        ("bob%example.org:8448", "@bob:example.org:8448"),
        ("bob%[2001:db8::1]:8448", "@bob:[2001:db8::1]:8448"),
        ("bob", None),
        ("bob@example.org", "@bob:example.org"),
        ("bob@exa%mple.org", None),
        ("b%c%example.org", None),
        ("%example.org", None),
        ("bob%", None),
        ("bob%exa mple", None),
        ("#room%example.org", None),
    ],
)
def test_what_addresses_say(typed: str, expected: str | None) -> None:
    assert contact_at(typed) == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("@bob:example.org", "@bob:example.org"),
        ("@Bob:Example.org", "@Bob:example.org"),
        ("bob:example.org", "@bob:example.org"),
        ("Bob:Example.org", "@bob:example.org"),
        (" @bob : example.org\n", "@bob:example.org"),
        ("bob%example.org", "@bob:example.org"),
        ("bob@example.org", "@bob:example.org"),
        ("https://matrix.to/#/@bob:example.org", "@bob:example.org"),
        ("https://matrix.to/#/%40bob%3Aexample.org?via=x.example", "@bob:example.org"),
        ("HTTPS://app.element.io/#/user/@bob:example.org", "@bob:example.org"),
        ("matrix:u/bob:example.org", "@bob:example.org"),
        ("matrix:u/bob:example.org?action=chat", "@bob:example.org"),
        ("matrix:/user/bob:example.org", "@bob:example.org"),
        ("MATRIX:u/bob:example.org:8448", "@bob:example.org:8448"),
        ("matrix:r/tea:example.org", None),
        ("https://matrix.to/#/#tea:example.org", None),
        ("https://matrix.to/", None),
        ("https://[/#/@bob:example.org", None),
        ("https:example.org", None),
        ("#tea:example.org", None),
        ("!id:example.org", None),
        ("bob", None),
        ("", None),
        ("@", None),
        ("matrix:", None),
        ("b" * 100_000, None),
    ],
)
def test_req_227_what_people_type(typed: str, expected: str | None) -> None:
    assert called(typed) == expected
