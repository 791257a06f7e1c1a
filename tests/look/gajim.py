"""Gajim 1.7 (Debian 12): its settings as it would have written them, and what one does there."""

import json
import os
import pwd
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.look.desktop import Desktop
from tests.peers.ports import LOOPBACK
from tests.peers.xmpp_server import XmppServer

_SCHEMA = """
CREATE TABLE settings (name TEXT UNIQUE, settings TEXT);
CREATE TABLE account_settings (account TEXT UNIQUE, settings TEXT);
PRAGMA user_version = 5;
"""
_ONLINE = "State: 5"
_WORKSPACE = "00000000-0000-4000-8000-000000000001"
_APP: Mapping[str, Any] = {
    "use_keyring": False,  # else the password is not looked for in the settings
    "check_for_update": False,
    "show_notifications": False,
    "sounds_on": False,
    "show_trayicon": False,
    "autoaway": False,
    "autoxa": False,
    "use_speller": False,
    "show_help_start_chat": False,
    "confirm_on_window_delete": False,
    "dark_theme": 0,
    "mainwin_width": 1_190,
    "mainwin_height": 790,
    "workspace_order": [_WORKSPACE],
}
_INPUT = (770, 758)
_ACCOUNT = (34, 757)
_CHATS = (34, 117)


class Gajim(Desktop):
    """One user's Gajim."""

    def __init__(
        self,
        directory: Path,
        server: XmppServer,
        user: str,
        password: str,
        chats: Sequence[str] = (),
    ) -> None:
        """``chats`` are bare JIDs that are open when it starts."""
        super().__init__(directory)
        self._server = server
        self._user = user
        self._password = password
        self._chats = chats

    async def _begin(self) -> None:
        self._write_settings()
        before = []
        if os.getuid() == 0:  # as root it refuses to run
            nobody = pwd.getpwnam("nobody")
            before = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}"]
            before += ["--clear-groups", "--"]
            self.home.parent.chmod(0o711)
            (self.home / "run").mkdir(mode=0o700)
            for path in (self.home, *self.home.rglob("*")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        log = ("-l", "gajim=INFO,nbxmpp=INFO")
        self.launch("gajim", "-c", self.home / "gajim", *log, before=before)
        await self.until_logged(_ONLINE)

    def _write_settings(self) -> None:
        folder = self.home / "gajim"
        trusted = folder / "cert_store"
        trusted.mkdir(parents=True)
        shutil.copy(self._server.ca_file.parent / "server.pem", trusted / "server")
        account = {
            "name": self._user,
            "account_label": self._user,
            "hostname": self._server.domain,
            "password": self._password,
            "savepass": True,
            "active": True,
            "autoconnect": True,
            "use_custom_host": True,
            "custom_host": LOOPBACK,
            "custom_port": self._server.c2s_port,
            "custom_type": "START TLS",
        }
        open_chats = [
            {
                "account": self._user,
                "jid": {"__type": "JID", "value": jid},
                "type": "contact",
                "pinned": True,
                "position": position,
            }
            for position, jid in enumerate(self._chats)
        ]
        workspace = {"name": "All", "color": "", "avatar_sha": "", "chats": open_chats}
        rows = {
            "app": _APP,
            "soundevents": {},
            "status_presets": {},
            "proxies": {},
            "plugins": {},
            "workspaces": {_WORKSPACE: workspace},
        }
        database = sqlite3.connect(folder / "settings.sqlite")
        with database:
            database.executescript(_SCHEMA)
            database.executemany(
                "INSERT INTO settings VALUES (?, ?)",
                [(name, json.dumps(value)) for name, value in rows.items()],
            )
            settings = json.dumps({"account": account, "contact": {}, "group_chat": {}})
            database.execute("INSERT INTO account_settings VALUES (?, ?)", (self._user, settings))
        database.close()

    async def open(self, number: int) -> None:
        """The chat that is so far down the list, from 1 on."""
        await self.screen.key(f"alt+{number}")

    async def say(self, text: str) -> None:
        """Write into the open chat."""
        await self.screen.click(*_INPUT)
        await self.screen.types(text)
        await self.screen.key("Return")

    async def correct(self, text: str) -> None:
        """Correct what was said last."""
        await self.screen.click(*_INPUT)
        await self.screen.key("ctrl+Up", "ctrl+a")
        await self.screen.types(text)
        await self.screen.key("Return")

    async def account(self) -> None:
        """The page with the contacts, and with requests that wait."""
        await self.screen.click(*_ACCOUNT)

    async def chats(self) -> None:
        """The list of open chats, if another page was shown."""
        await self.screen.click(*_CHATS)
