"""`learnd` and `python -m daemon`: parse, configure logging, run one command, turn an error into a status."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Sequence

from daemon.cli import parse

# Exit statuses: what may pass by itself, and what to start again would only meet again (argparse has it for wrong flags).
MAY_PASS, LASTS = 1, 2
# Troubles of the system that come and go.
_PASSING = {
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN,
    errno.ETIMEDOUT,
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    arguments = parse(argv)
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # An outage makes dozens of its lines; the causes that matter stand in the texts of our errors.
    logging.getLogger("kafka").propagate = False
    logging.getLogger("kafka").addHandler(logging.NullHandler())
    # A hub is asked only for a model that is named; libraries must not look for news or draw bars of their own.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # Threads that wait for their next piece of work must sleep: spinning, they take the CPU from the server beside them, and
    # on a busy machine from one another (four times the CPU time for the same step). Read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from daemon.errors import LearndError
    from streams.errors import StreamError

    try:
        return int(arguments.run(arguments))
    except (LearndError, StreamError) as error:
        sys.stderr.write(f"learnd: {error}\n")
        return LASTS if error.lasts and not _comes_and_goes(error.__cause__) else MAY_PASS
    except KeyboardInterrupt:
        return 130


def _comes_and_goes(cause: BaseException | None) -> bool:
    return isinstance(cause, OSError) and cause.errno in _PASSING


if __name__ == "__main__":
    sys.exit(main())
