# SPDX-License-Identifier: Apache-2.0
"""``dragoman check``."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gateway.cli.options import DEFAULT_CONFIG, ConfigPath, load_or_exit
from gateway.config import Config


def check(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Read the configuration and say what is wrong with it, without connecting to anything.

    Exits with 1 if there are problems.
    """
    settings = load_or_exit(config, code=1)
    console = Console(highlight=False, soft_wrap=True)
    for line in _summary(settings, config):
        console.print(Text(line))


def _summary(config: Config, path: Path) -> Iterator[str]:
    server = config.xmpp.server
    access = "everybody" if "*" in config.access.allow else ", ".join(config.access.allow)
    yield f"{path} is fine."
    yield f"  server    {server.domain}, component port {server.host}:{server.port}"
    for name, network in config.networks.items():
        yield f"  network   {name}: {network.domain} ({network.name})"
    if config.http.public_url:
        yield f"  pages     {config.http.public_url}, listening on {config.http.listen}"
    if config.http.files_url != config.http.public_url:
        yield f"  files     {config.http.files_url}"
    yield f"  database  {config.store.database}"
    yield f"  access    {access}"
