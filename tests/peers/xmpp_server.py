"""What tests ask of an XMPP server, whichever it is."""

import secrets
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

from .certificates import CertificateFiles
from .federation import Federation
from .ports import free_ports
from .server import Server


class XmppServer(Server):
    """A server with one virtual host, one MUC service, file upload, and external components.

    Clients must use STARTTLS, with a certificate of the authority in `ca_file`.
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
    ) -> None:
        """Set up a server in `directory`; `components` are hosts with their secrets.

        With `privileged`, components get what this server knows of XEP-0356. Without a
        `federation` there is no other server in the world. `file_bytes` and `quota_bytes` are
        what the upload service takes: of one file, and of one uploader, each day or at all.
        """
        self.c2s_port, self.component_port, self.http_port = ports = free_ports(3)
        super().__init__(directory, ports)
        self.domain = domain
        self.components = dict(components or {f"matrix.{domain}": secrets.token_hex(16)})
        self.muc_domain = f"conference.{domain}"
        self.upload_domain = f"upload.{domain}"
        self._certificates = CertificateFiles(
            self.directory / "certs", domain, federation.authority if federation else None
        )
        self._federation = federation
        self._file_bytes = file_bytes
        self._quota_bytes = quota_bytes
        self._privileged = privileged

    @property
    def ca_file(self) -> Path:
        """The authority that clients have to trust."""
        return self._certificates.ca

    @property
    def websocket_url(self) -> str:
        """Where clients in a browser connect; without encryption, on this machine alone."""
        return f"ws://{self.domain}:{self.http_port}/xmpp-websocket"

    @abstractmethod
    def add_user(self, user: str, password: str) -> str:
        """Make an account, also while the server runs, and return its bare JID."""
