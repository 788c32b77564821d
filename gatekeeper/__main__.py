"""
The command `gatekeeper`.

Commands that judge start the embedded engine's worker first: it gets ready on another core while this process
imports click and pydantic.
"""

from __future__ import annotations

import gc
import os
import sys

_JUDGING = ("check", "decide")


def main() -> None:
    """Run the command line and exit with its code."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # a scan of all packages, for plugins we do not use
    gc.set_threshold(50_000, 20, 20)  # a short run makes many objects and little garbage
    if len(sys.argv) > 2 and sys.argv[1] in _JUDGING and "--help" not in sys.argv:
        from gatekeeper.engine.embedded import start_early

        start_early()
    from gatekeeper.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
