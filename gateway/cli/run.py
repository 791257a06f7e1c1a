# SPDX-License-Identifier: Apache-2.0
"""``dragoman run``."""

import os

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigPath, load_or_exit


def run(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Run the gateway until it is told to stop.

    Exits with 78 if the configuration cannot be used.
    """
    settings = load_or_exit(config, code=os.EX_CONFIG)
    from gateway.app import run as run_gateway  # slow to import; other commands do without it

    raise typer.Exit(run_gateway(settings))
