# SPDX-License-Identifier: Apache-2.0
"""python -m tests.soak [--minutes 60] [--report DIRECTORY] [--nice 10]"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

from tests.soak.world import Soak, plan_for


def main() -> int:
    """Returns 1 if the run is not good."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--report", type=Path, help="where soak.json and soak.txt go")
    parser.add_argument("--nice", type=int, default=0, help="leave the processor to others")
    options = parser.parse_args()
    os.nice(options.nice)
    with tempfile.TemporaryDirectory(prefix="dragoman-soak-") as directory:
        soak = Soak(plan_for(options.minutes * 60), Path(directory))
        report = asyncio.run(soak.run())
    print(report.text())
    if options.report is not None:
        report.write(options.report)
    return 1 if report.problems() else 0


if __name__ == "__main__":
    raise SystemExit(main())
