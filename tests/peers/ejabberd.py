"""A real ejabberd: the other XMPP server of the tests."""

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .federation import S2S_PORT, Federation
from .ports import LOOPBACK
from .process import PeerError
from .xmpp_server import XmppServer

_LIBRARIES = "/usr/lib"
_API_TIMEOUT_S = 10
_CONFLICT = 409
_MAX_STANZA_BYTES = 1024 * 1024

# fmt: off
_PLAIN_MODULES = (
    "mod_adhoc", "mod_admin_extra", "mod_blocking", "mod_bosh", "mod_caps", "mod_carboncopy",
    "mod_client_state", "mod_disco", "mod_http_api", "mod_last", "mod_ping", "mod_privacy",
    "mod_private", "mod_register", "mod_time", "mod_vcard", "mod_vcard_xupdate", "mod_version",
)
# fmt: on

# Without the first line Erlang's resolver asks whom /etc/resolv.conf names, whatever else is said.
_INETRC = """{{resolv_conf,""}}.
{{hosts_file,""}}.
{{nameserver,{{127,0,0,1}},{port}}}.
{{lookup,[file,native]}}.
"""


class Ejabberd(XmppServer):
    """ejabberd with one virtual host, one MUC service, file upload, and external components.

    It is run by `erl` itself, without distribution between nodes: so there is no second process,
    no epmd, and any user can start it.
    """

    def __init__(
        self,
        directory: Path,
        domain: str = "localhost",
        components: Mapping[str, str] | None = None,
        *,
        privileged: bool = True,
        federation: Federation | None = None,
        file_bytes: int = 64 << 20,
        quota_bytes: int | None = None,
        options: Mapping[str, Any] | None = None,
        global_routes: bool = False,
    ) -> None:
        """Set up a server in `directory`; `options` are more top-level settings, or other ones.

        With `global_routes`, which ejabberd has unless it is told otherwise, the connection of
        each component gets a share of the stanzas for all of them. Version 23.01 knows an older
        form of the privileges (`urn:xmpp:privilege:1`). The quota, by default none, is one of
        whole MiB: for the next file, the oldest ones are deleted.
        """
        super().__init__(
            directory,
            domain,
            components,
            privileged=privileged,
            federation=federation,
            file_bytes=file_bytes,
            quota_bytes=quota_bytes,
        )
        self.log_file = self.directory / "log" / "ejabberd.log"
        self.config_file = self.directory / "ejabberd.yml"
        self._options = dict(options or {})
        self._global_routes = global_routes
        self._users: dict[str, str] = {}

    def add_user(self, user: str, password: str) -> str:
        """Make an account, or give it another password, and return its bare JID."""
        self._users[user] = password
        if self.running:
            self._register(user, password)
        return f"{user}@{self.domain}"

    async def start(self) -> None:
        """Start it and return when it takes connections and knows its users.

        A killed ejabberd has forgotten the accounts of its last second.
        """
        await super().start()
        for user, password in self._users.items():
            self._register(user, password)

    def _register(self, user: str, password: str) -> None:
        account = {"user": user, "host": self.domain}
        try:
            self.call("register", **account, password=password)
        except urllib.error.HTTPError as error:
            if error.code != _CONFLICT:
                raise PeerError(f"the account {user} was refused: {error.read()!r}") from error
            self.call("change_password", **account, newpass=password)

    def call(self, command: str, **arguments: Any) -> Any:
        """Ask for a command of its HTTP interface; returns the decoded answer."""
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.http_port}/api/{command}",
            json.dumps(arguments).encode(),
            {"Content-Type": "application/json"},
        )
        # No proxy that the environment may name.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_API_TIMEOUT_S) as answer:
            return json.loads(answer.read())

    def _prepare(self) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        program = shutil.which("erl")
        beams = sorted(Path(_LIBRARIES).glob("*/ejabberd-*/ebin"))
        if program is None or not beams:
            raise PeerError("ejabberd is not installed; scripts/bootstrap peers installs it")
        for name in ("home", "log", "mnesia", "upload"):
            (self.directory / name).mkdir(exist_ok=True)
        # JSON is YAML, and needs no thought about quoting.
        self.config_file.write_text(json.dumps(self._config(), indent=1))
        env = {
            "EJABBERD_CONFIG_PATH": str(self.config_file),
            "EJABBERD_LOG_PATH": str(self.log_file),
            "ERL_CRASH_DUMP": str(self.directory / "log" / "erl_crash.dump"),
            "ERL_LIBS": str(beams[-1].parent.parent),
            "HOME": str(self.directory / "home"),
        }
        if self._federation is not None:
            names = self.directory / "inetrc"
            names.write_text(_INETRC.format(port=self._federation.dns_port))
            env["ERL_INETRC"] = str(names)
        mnesia = f'"{self.directory / "mnesia"}"'
        return [program, "-noinput", "-mnesia", "dir", mnesia, "-s", "ejabberd"], env

    def _config(self) -> dict[str, Any]:
        certificates, quota_mib = self._certificates, (self._quota_bytes or 1 << 40) >> 20
        return {
            "hosts": [self.domain],
            "loglevel": "info",
            "certfiles": [str(certificates.certificate), str(certificates.key)],
            "ca_file": str(certificates.ca),
            "auth_method": "internal",
            "auth_password_format": "plain",
            "s2s_access": "all" if self._federation else "none",
            "s2s_use_starttls": "required",
            # As the documentation tells admins to set it: by default 300 s, during which ejabberd
            # refuses to connect to a server that could not be reached.
            "s2s_max_retry_delay": 5,
            "outgoing_s2s_families": ["ipv4"],
            "registration_timeout": "infinity",
            "listen": self._listeners(),
            "acl": {"gateways": {"server": sorted(self.components)}},
            "access_rules": {
                "gateways": {"allow": "gateways"},
                "upload": {"allow": "all"},
            },
            "api_permissions": {
                "this machine": {
                    "from": ["mod_http_api"],
                    "who": {"ip": "127.0.0.0/8"},
                    "what": "*",
                }
            },
            "shaper_rules": {
                "max_user_sessions": 50,
                "max_user_offline_messages": 5000,
                "soft_upload_quota": quota_mib,
                "hard_upload_quota": quota_mib,
            },
            "modules": self._modules(),
            **self._options,
        }

    def _listeners(self) -> list[dict[str, Any]]:
        limit = {"max_stanza_size": _MAX_STANZA_BYTES}
        federated = []
        if self._federation is not None:
            federated.append(
                {
                    "port": S2S_PORT,
                    "ip": self._federation.address(self.domain),
                    "module": "ejabberd_s2s_in",
                    **limit,
                }
            )
        return [
            *federated,
            {
                "port": self.c2s_port,
                "ip": LOOPBACK,
                "module": "ejabberd_c2s",
                "starttls_required": True,
                **limit,
            },
            {
                "port": self.component_port,
                "ip": LOOPBACK,
                "module": "ejabberd_service",
                "global_routes": self._global_routes,
                "hosts": {host: {"password": secret} for host, secret in self.components.items()},
            },
            {
                "port": self.http_port,
                "ip": LOOPBACK,
                "module": "ejabberd_http",
                "request_handlers": {
                    "/api": "mod_http_api",
                    "/http-bind": "mod_bosh",
                    "/upload": "mod_http_upload",
                    "/xmpp-websocket": "ejabberd_http_ws",
                },
            },
        ]

    def _modules(self) -> dict[str, Any]:
        modules: dict[str, Any] = {name: {} for name in _PLAIN_MODULES}
        modules |= {
            "mod_http_upload": {
                "put_url": f"http://{LOOPBACK}:{self.http_port}/upload",
                "docroot": str(self.directory / "upload"),
                "access": "upload",
                "max_size": self._file_bytes,
                "external_secret": "",
                # Clients in browsers ask whether they may.
                "custom_headers": {
                    "Access-Control-Allow-Origin": "*",
                    "Access-Control-Allow-Methods": "GET,HEAD,PUT,OPTIONS",
                    "Access-Control-Allow-Headers": "Content-Type",
                },
            },
            "mod_mam": {"assume_mam_usage": True, "default": "always"},
            "mod_muc": {"access_mam": "all", "default_room_options": {"persistent": True}},
            "mod_offline": {"access_max_user_messages": "max_user_offline_messages"},
            "mod_pubsub": {"access_createnode": "all", "plugins": ["flat", "pep"]},
            "mod_roster": {"versioning": True},
            "mod_stream_mgmt": {"resend_on_timeout": "if_offline", "resume_timeout": 60},
        }
        if self._quota_bytes is not None:
            modules["mod_http_upload_quota"] = {}
        if self._privileged:
            # As the documentation tells admins to set it.
            modules["mod_privilege"] = {"message": {"outgoing": "gateways"}}
        return modules
