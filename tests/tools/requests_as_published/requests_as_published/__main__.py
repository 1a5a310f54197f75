"""Owns the command line: files in, findings out, 1 when there are some, 2 for what cannot be read."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys

from .check import log_findings


def main(argv: list[str] | None = None) -> int:
    """Checks logs; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="requests_as_published", description="Holds recorded requests against the models that AWS publishes."
    )
    parser.add_argument("files", nargs="+", type=pathlib.Path, metavar="calls.jsonl")
    parser.add_argument("--failed-too", action="store_true", help="also check calls that were answered with an error")
    options = parser.parse_args(argv)
    count = 0
    for file in options.files:
        try:
            for finding in log_findings(file, options.failed_too):
                print(finding)
                count += 1
        except (OSError, json.JSONDecodeError, KeyError) as error:
            print(f"{file}: not a call log: {error!r}", file=sys.stderr)
            return 2
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
