# SPDX-License-Identifier: Apache-2.0
"""The command line: one module per command."""

import typer

from gateway.cli.check import check
from gateway.cli.dead_letters import app as dead_letters
from gateway.cli.run import run
from gateway.cli.version import version

app = typer.Typer(
    help="A gateway between XMPP and other chat networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and so secrets
)
app.command()(run)
app.command()(check)
app.command()(version)
app.add_typer(dead_letters, name="dead-letters")
