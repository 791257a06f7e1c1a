# SPDX-License-Identifier: Apache-2.0
"""The ``dragoman`` command."""

from gateway.cli import app


def main() -> None:
    """Run the command line and exit with its code."""
    app(prog_name="dragoman")


if __name__ == "__main__":
    main()
