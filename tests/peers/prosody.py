"""A real Prosody: the XMPP server of the tests and the demo."""

import grp
import os
import pwd
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from .federation import S2S_PORT, Federation
from .ports import LOOPBACK
from .process import PeerError
from .xmpp_server import XmppServer

# fmt: off
_MODULES = (
    "admin_shell", "blocklist", "bookmarks", "bosh", "carbons", "csi_simple", "disco",
    "external_services", "lastactivity", "mam", "offline", "pep", "ping", "private", "register",
    "roster", "saslauth", "smacks", "time", "tls", "uptime", "vcard4", "vcard_legacy", "version",
    "websocket",
)
# fmt: on

# What a privileged component may do (XEP-0356), as the documentation tells admins to set it.
_PRIVILEGES = """{
    roster = "both"; message = "outgoing"; presence = "managed_entity";
    iq = {
        ["http://jabber.org/protocol/pubsub#owner"] = "set";
        ["urn:xmpp:http:upload:0"] = "get";
    };
}"""

_BOOKMARKS = '["http://jabber.org/protocol/pubsub"] = "both";'

_PRIVILEGE_SOURCES = (
    Path("/usr/lib/prosody/modules/mod_privilege/mod_privilege.lua"),
    Path("/usr/lib/prosody/modules/mod_privilege.lua"),
)


class Prosody(XmppServer):
    """Prosody with one virtual host, one MUC service, file upload, and external components."""

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
        fix_privilege: bool = False,
        bookmarks: bool = False,
        extra_global: str = "",
        extra_host: str = "",
    ) -> None:
        """Set up a server in `directory`; `components` are hosts with their secrets. The quota is
        one of a day; by default ten files of the largest size.

        Debian's module for privileges nests the `<namespace/>` elements of the iq permission in
        one another; `fix_privilege` loads a copy with that put right. With `bookmarks` components
        may read and set those of users. `extra_global` and `extra_host` are added to the
        configuration.
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
        self.log_file = self.directory / "prosody.log"
        self.config_file = self.directory / "prosody.cfg.lua"
        self._fix_privilege = fix_privilege
        self._bookmarks = bookmarks
        self._extra_global = extra_global
        self._extra_host = extra_host

    def add_user(self, user: str, password: str) -> str:
        """Make an account, also while the server runs, and return its bare JID.

        The file is written as Prosody itself would: that takes no time, its own tool a third of
        a second.
        """
        folder = self.directory / "data" / _file_name(self.domain) / "accounts"
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{_file_name(user)}.dat"
        draft = target.with_suffix(".new")
        draft.write_text(f"return {{ password = {_lua(password)} }};\n")
        draft.replace(target)
        return f"{user}@{self.domain}"

    def _prepare(self) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        program = shutil.which("prosody")
        if program is None:
            raise PeerError("prosody is not installed; scripts/bootstrap peers installs it")
        (self.directory / "data").mkdir(exist_ok=True)
        modules = self.directory / "modules"
        shutil.rmtree(modules, ignore_errors=True)
        modules.mkdir()
        if self._privileged and self._fix_privilege:
            (modules / "mod_privilege.lua").write_text(_repaired_privilege_module())
        self.config_file.write_text(self._config())
        return [program, "--config", self.config_file, "-F"], {}

    def _config(self) -> str:
        certificates = self._certificates
        hosts = {self.domain, *self.components}
        grants = "".join(f"[{_lua(host)}] = privileges; " for host in self.components)
        privilege = '"privilege"' if self._privileged else ""
        bookmarks = f"iq = {{ {_BOOKMARKS}" if self._bookmarks else "iq = {"
        privileges = _PRIVILEGES.replace("iq = {", bookmarks)
        components = "".join(
            f"""
Component {_lua(host)}
    component_secret = {_lua(secret)}
    modules_enabled = {{ {privilege} }}
"""
            for host, secret in self.components.items()
        )
        return f"""-- written by tests/peers/prosody.py
run_as_root = true
prosody_user = {_lua(pwd.getpwuid(os.getuid()).pw_name)}
prosody_group = {_lua(grp.getgrgid(os.getgid()).gr_name)}
daemonize = false
pidfile = {_lua(self.directory / "prosody.pid")}
data_path = {_lua(self.directory / "data")}
plugin_paths = {{ {_lua(self.directory / "modules")} }}
certificates = {_lua(certificates.ca.parent)}
ssl = {{
    certificate = {_lua(certificates.certificate)}; key = {_lua(certificates.key)};
    cafile = {_lua(certificates.ca)};
}}
network_backend = "epoll"
interfaces = {{ "{LOOPBACK}" }}; local_interfaces = {{ "{LOOPBACK}" }}
c2s_ports = {{ {self.c2s_port} }}; c2s_direct_tls_ports = {{ }}
component_ports = {{ {self.component_port} }}; component_interfaces = {{ "{LOOPBACK}" }}
http_ports = {{ {self.http_port} }}; http_interfaces = {{ "{LOOPBACK}" }}
https_ports = {{ }}; https_interfaces = {{ }}
c2s_require_encryption = true
consider_websocket_secure = true; consider_bosh_secure = true
authentication = "internal_plain"
storage = "internal"
archive_expires_after = "never"
smacks_hibernation_time = 60
-- a client that is told of no STUN server asks one on the internet
external_services = {{ {{ type = "stun"; transport = "udp"; host = "{LOOPBACK}"; port = 3478 }} }}
log = {{ {{ levels = {{ min = "debug" }}; to = "file"; filename = {_lua(self.log_file)} }} }}
{self._federated()}
modules_enabled = {{ {" ".join(f'"{name}";' for name in _MODULES)} }}
{self._extra_global}

local privileges = {privileges}

VirtualHost {_lua(self.domain)}
    modules_enabled = {{ {privilege} }}
    privileged_entities = {{ {grants} }}
    {self._extra_host}

Component {_lua(self.muc_domain)} "muc"
    modules_enabled = {{ "muc_mam"; "vcard_muc" }}
    muc_room_locking = false
    muc_room_default_persistent = true

Component {_lua(self.upload_domain)} "http_file_share"
    http_host = "{LOOPBACK}"
    http_external_url = "http://{LOOPBACK}:{self.http_port}/"
    http_file_share_size_limit = {self._file_bytes}
    http_file_share_daily_quota = {self._quota_bytes or 10 * self._file_bytes}
    http_file_share_access = {{ {" ".join(f"{_lua(host)};" for host in sorted(hosts))} }}
{components}"""

    def _federated(self) -> str:
        if self._federation is None:
            return 'modules_disabled = { "s2s"; "posix" }'
        # Servers log in to one another by certificate. Names are looked up in the file only:
        # nobody listens at the forwarder, and .test is no zone that is asked for elsewhere.
        return f"""modules_disabled = {{ "posix" }}
s2s_interfaces = {{ {_lua(self._federation.address(self.domain))} }}
s2s_ports = {{ {S2S_PORT} }}; s2s_direct_tls_ports = {{ }}
s2s_secure_auth = true
use_ipv6 = false
unbound = {{
    resolvconf = false; forward = "{LOOPBACK}@9"; hoststxt = {_lua(self._federation.hosts_file)};
}}"""


def _lua(value: str | Path) -> str:
    """A Lua string literal."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _file_name(text: str) -> str:
    """How Prosody's storage spells a host or user in a path."""
    return re.sub(rb"[^a-zA-Z0-9]", lambda m: b"%%%02x" % m.group()[0], text.encode()).decode()


def _repaired_privilege_module() -> str:
    for source in _PRIVILEGE_SOURCES:
        if source.exists():
            line = 'message:tag("namespace", {ns=namespace, type=perm_type})'
            text, count = re.subn(
                re.escape(line) + r"$", line + ":up()", source.read_text(), flags=re.MULTILINE
            )
            if count != 1:
                raise PeerError(f"{source} is another version than the one that can be put right")
            return text
    raise PeerError("mod_privilege is not installed; scripts/bootstrap peers installs it")
