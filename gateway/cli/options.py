# SPDX-License-Identifier: Apache-2.0
"""What commands share: where the configuration is, and telling what is wrong with it."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from gateway.config import Config, load_config
from gateway.errors import ConfigError, Problem
from gateway.registry import ForeignPackage, refuse_foreign_packages

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", envvar="DRAGOMAN_CONFIG", help="The configuration file.")
]
DEFAULT_CONFIG = Path("config.yaml")


def load_or_exit(path: Path, *, code: int) -> Config:
    """The configuration; or its problems on stderr, and an exit with ``code``."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        refuse_foreign_packages()
        return load_config(path, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            console.print(_line(problem))
    except ForeignPackage as error:
        console.print(Text(str(error)))
    raise typer.Exit(code)


def _line(problem: Problem) -> Text:
    line = Text(str(problem))
    line.highlight_words([f"{problem.where}:"] if problem.where else [], style="bold")
    return line
