"""A real Synapse: the Matrix homeserver of the tests and the demo."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from .ports import LOOPBACK, free_port
from .process import PeerError
from .server import Server

_NO_LIMIT = {"per_second": 100_000, "burst_count": 100_000}


class Synapse(Server):
    """A homeserver on SQLite, without federation and without rate limits, with presence."""

    start_timeout = 60.0

    def __init__(
        self,
        directory: Path,
        server_name: str = "localhost",
        *,
        appservices: Sequence[Path] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Set up a homeserver in `directory`; `extra` replaces top-level settings.

        `appservices` are the registration files of application services.
        """
        self.port = free_port()
        super().__init__(directory, [self.port])
        self.server_name = server_name
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.log_file = self.directory / "synapse.log"
        self._shared_secret = secrets.token_hex(16)
        self._appservices = tuple(appservices)
        self._extra = dict(extra or {})

    async def add_user(self, user: str, password: str, *, admin: bool = False) -> str:
        """Make an account with the shared secret and return an access token for it."""
        url = f"{self.url}/_synapse/admin/v1/register"
        async with aiohttp.ClientSession() as http:
            async with http.get(url) as answer:
                nonce: str = (await answer.json())["nonce"]
            role = "admin" if admin else "notadmin"
            signed = "\0".join((nonce, user, password, role)).encode()
            body = {
                "nonce": nonce,
                "username": user,
                "password": password,
                "admin": admin,
                "mac": hmac.new(self._shared_secret.encode(), signed, hashlib.sha1).hexdigest(),
            }
            async with http.post(url, json=body) as answer:
                result = await answer.json()
                if answer.status != 200:
                    raise PeerError(f"Synapse refused to make the user {user}: {result}")
                return str(result["access_token"])

    def user_id(self, user: str) -> str:
        """The full Matrix id of a local user."""
        return f"@{user}:{self.server_name}"

    def _prepare(self) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        (self.directory / "media").mkdir(exist_ok=True)
        key = self.directory / "signing.key"
        if not key.exists():
            seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
            key.write_text(f"ed25519 a_test {seed}\n")
        log_config = self.directory / "log.yaml"
        # JSON is YAML, and needs no thought about quoting.
        log_config.write_text(json.dumps(self._log_settings(), indent=1))
        config = self.directory / "homeserver.yaml"
        config.write_text(json.dumps({**self._settings(), **self._extra}, indent=1))
        command: list[str | Path] = [_python(), "-m", "synapse.app.homeserver", "-c", config]
        # One arena instead of one per thread, and no search of the user's own packages.
        return command, {"PYTHONNOUSERSITE": "1", "MALLOC_ARENA_MAX": "1"}

    def _log_settings(self) -> dict[str, Any]:
        return {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
            "handlers": {
                "file": {
                    "class": "logging.FileHandler",
                    "filename": str(self.log_file),
                    "formatter": "line",
                }
            },
            "root": {"level": "INFO", "handlers": ["file"]},
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "server_name": self.server_name,
            "public_baseurl": self.url + "/",
            "pid_file": str(self.directory / "synapse.pid"),
            "listeners": [
                {
                    "port": self.port,
                    "bind_addresses": [LOOPBACK],
                    "type": "http",
                    "tls": False,
                    "resources": [{"names": ["client", "media"]}],
                }
            ],
            "database": {
                "name": "sqlite3",
                "args": {"database": str(self.directory / "homeserver.db")},
            },
            "log_config": str(self.directory / "log.yaml"),
            "media_store_path": str(self.directory / "media"),
            "signing_key_path": str(self.directory / "signing.key"),
            "macaroon_secret_key": self._shared_secret,
            "form_secret": self._shared_secret,
            "registration_shared_secret": self._shared_secret,
            "report_stats": False,
            "enable_registration": False,
            "trusted_key_servers": [],
            "federation_domain_whitelist": [],
            "send_federation": False,
            "url_preview_enabled": False,
            "presence": {"enabled": True},
            "max_upload_size": "64M",
            "room_list_publication_rules": [{"action": "allow"}],
            "bcrypt_rounds": 4,
            "app_service_config_files": [str(path) for path in self._appservices],
            **_rate_limits(),
        }


def _rate_limits() -> dict[str, Any]:
    """Every limit Synapse has, set so high that no test can reach it."""
    flat = (
        "rc_message rc_registration rc_registration_token_validity rc_admin_redaction"
        " rc_joins_per_room rc_third_party_invite rc_media_create rc_delayed_event_mgmt"
        " rc_room_creation rc_reports rc_user_directory"
    )
    nested = {
        "rc_login": ("address", "account", "failed_attempts"),
        "rc_joins": ("local", "remote"),
        "rc_invites": ("per_room", "per_user", "per_issuer"),
        "rc_presence": ("per_user",),
    }
    return {
        **dict.fromkeys(flat.split(), _NO_LIMIT),
        **{name: dict.fromkeys(parts, _NO_LIMIT) for name, parts in nested.items()},
    }


def _python() -> str:
    """The interpreter that has Synapse: scripts/bootstrap links it into our own environment."""
    named = os.environ.get("SYNAPSE_PYTHON")
    python = Path(named) if named else Path(sys.prefix) / "synapse" / "bin" / "python"
    if not python.exists():
        raise PeerError(f"there is no Synapse at {python}; scripts/bootstrap peers installs it")
    return str(python)
