# SPDX-License-Identifier: Apache-2.0
"""Secrets at rest, and the key file: made once, never overwritten."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.adapter import Linked
from gateway.bridge.accounts import Accounts
from gateway.errors import SecretUnreadable, StoreUnavailable
from gateway.ids import NetworkName, RemoteUserId, UserJid
from gateway.store import Store, accounts
from gateway.store.accounts import AccountStatus
from gateway.store.secrets import SecretBox
from gateway.tasks import SystemClock

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
NETWORK = NetworkName("net")
ALICE = UserJid("alice@example.org")


@given(st.binary(), st.text())
def test_what_is_sealed_can_be_opened(plain: bytes, context: str) -> None:
    box = SecretBox(KEY)
    sealed = box.seal(plain, context)
    assert box.open(sealed, context) == plain
    assert SecretBox(KEY).open(sealed, context) == plain


def test_a_seal_hides_and_never_repeats() -> None:
    box = SecretBox(KEY)
    first, second = (box.seal(b"a token of alice", "account 1") for _ in range(2))
    assert first != second
    assert b"token" not in first
    assert KEY not in first


def test_another_key_opens_nothing() -> None:
    sealed = SecretBox(KEY).seal(b"token", "account 1")
    with pytest.raises(SecretUnreadable, match="key"):
        SecretBox(OTHER_KEY).open(sealed, "account 1")


def test_a_secret_belongs_to_its_place() -> None:
    """Nobody gets another one's account by copying a column."""
    sealed = SecretBox(KEY).seal(b"token", "account 1")
    with pytest.raises(SecretUnreadable):
        SecretBox(KEY).open(sealed, "account 11")


@given(st.data())
def test_a_damaged_secret_is_not_opened(data: st.DataObject) -> None:
    sealed = bytearray(SecretBox(KEY).seal(b"token", "account 1"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SecretUnreadable):
        SecretBox(KEY).open(bytes(sealed), "account 1")


@given(st.binary(max_size=40))
def test_what_was_never_sealed_is_not_opened(noise: bytes) -> None:
    with pytest.raises(SecretUnreadable):
        SecretBox(KEY).open(noise, "account 1")


# --- the key file -----------------------------------------------------------------------------


def test_the_key_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "key"
    box = SecretBox.load(path, has_secrets=False)
    assert path.stat().st_mode & 0o777 == 0o600
    key = path.read_bytes()
    assert len(key) == 32
    again = SecretBox.load(path, has_secrets=False)
    assert path.read_bytes() == key
    assert again.open(box.seal(b"token", "x"), "x") == b"token"
    assert SecretBox.load(tmp_path / "other", has_secrets=False) is not None
    assert (tmp_path / "other").read_bytes() != key


def test_a_key_that_is_missing_later_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "key"
    box = SecretBox.load(path, has_secrets=True)
    assert not path.exists()
    with pytest.raises(SecretUnreadable, match="admin"):
        box.seal(b"token", "x")
    with pytest.raises(SecretUnreadable):
        box.open(SecretBox(KEY).seal(b"token", "x"), "x")


_MALFORMED = pytest.mark.parametrize("content", [b"", b"short", bytes(33)])


def _key_file(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@_MALFORMED
def test_a_malformed_key_of_secrets_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = _key_file(tmp_path / "key", content)
    with capture_logs() as logs:
        box = SecretBox.load(path, has_secrets=True)
    assert [entry["event"] for entry in logs] == ["key_file_malformed"]
    assert path.read_bytes() == content
    with pytest.raises(SecretUnreadable):
        box.seal(b"token", "x")


@_MALFORMED
def test_a_malformed_key_of_no_secrets_is_replaced_and_kept(
    tmp_path: Path, content: bytes
) -> None:
    path = _key_file(tmp_path / "key", content)
    with capture_logs() as logs:
        sealed = SecretBox.load(path, has_secrets=False).seal(b"token", "x")
    assert [entry["event"] for entry in logs] == ["key_file_replaced"]
    assert Path(logs[0]["old"]).read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert SecretBox.load(path, has_secrets=True).open(sealed, "x") == b"token"


_KILLED = """
import os, sys
from pathlib import Path
from gateway.store.secrets import SecretBox

name, times = sys.argv[2], int(sys.argv[3])
original = getattr(os, name)

def killed(*arguments):
    global times
    times -= 1
    if times < 0:
        os._exit(7)
    return original(*arguments)

setattr(os, name, killed)
SecretBox.load(Path(sys.argv[1]), has_secrets=False)
"""


@pytest.mark.parametrize("malformed", [False, True])
@pytest.mark.parametrize("point", ["fsync 0", "link 0", "unlink 1", "fsync 1"])
def test_killed_at_any_point_there_is_a_key_or_none(
    tmp_path: Path, point: str, malformed: bool
) -> None:
    path = tmp_path / "key"
    if malformed:
        _key_file(path, b"")
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(path), *point.split()], check=False
    )
    assert killed.returncode == 7
    left = path.read_bytes() if path.exists() else b""
    assert len(left) == 32 or malformed or not path.exists()
    box = SecretBox.load(path, has_secrets=False)
    assert path.read_bytes().startswith(left)
    assert box.open(box.seal(b"token", "x"), "x") == b"token"
    assert SecretBox.load(path, has_secrets=True).open(box.seal(b"t", "x"), "x") == b"t"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("folder", "cannot be read: Is a directory"),
        ("file/key", "cannot be read: Not a directory"),
        ("missing/key", "cannot be made: No such file or directory"),
    ],
)
def test_a_key_file_that_cannot_be_is_refused_with_a_sentence(
    tmp_path: Path, name: str, sentence: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=sentence):
        SecretBox.load(tmp_path / name, has_secrets=False)


def test_a_directory_that_cannot_be_written_is_refused_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(StoreUnavailable, match="cannot be made: Permission denied"):
        SecretBox.load(tmp_path / "key", has_secrets=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_reach_is_complained_of(tmp_path: Path, mode: int) -> None:
    path = _key_file(tmp_path / "key", KEY, mode)
    with capture_logs() as logs:
        box = SecretBox.load(path, has_secrets=True)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("key_file_exposed", "warning")
    ]
    assert "chmod 600" in logs[0]["advice"]
    assert box.open(SecretBox(KEY).seal(b"token", "x"), "x") == b"token"


# --- what it means for accounts ---------------------------------------------------------------


async def _link(store: Store, box: SecretBox) -> None:
    linked = Linked(realm="realm", remote_id=RemoteUserId("@alice"), secret=b"token")
    await Accounts(NETWORK, store, box, SystemClock()).link(ALICE, linked)


def _load(store: Store, key: Path) -> tuple[AccountStatus, bytes | None]:
    box = SecretBox.load(key, has_secrets=accounts.any_secret(store.reader))
    (account,) = Accounts(NETWORK, store, box, SystemClock()).load()
    return account.status, account.secret


async def test_without_its_key_an_account_has_to_log_in_again(store: Store) -> None:
    key = store.path.with_suffix(".key")
    await _link(store, SecretBox.load(key, has_secrets=False))
    assert _load(store, key) == (AccountStatus.LINKED, b"token")
    hidden = key.rename(key.with_suffix(".hidden"))
    assert _load(store, key) == (AccountStatus.EXPIRED, None)
    assert not key.exists()
    key.write_bytes(OTHER_KEY)
    assert _load(store, key) == (AccountStatus.EXPIRED, None)
    assert key.read_bytes() == OTHER_KEY
    # With the right key put back the account just works again.
    hidden.rename(key)
    assert _load(store, key) == (AccountStatus.LINKED, b"token")


async def test_no_secret_lies_in_the_files(database: Path) -> None:
    store = await Store.open(database)
    await _link(store, SecretBox(KEY))
    await store.close()
    files = [path for path in database.parent.iterdir() if path.is_file()]
    assert files
    assert all(b"token" not in path.read_bytes() for path in files)
