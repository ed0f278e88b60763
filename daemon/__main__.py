"""`learnd` and `python -m daemon`: parse, configure logging, run one command, turn an error into a status."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from daemon.cli import parse

# Exit status of a mistake in settings or flags, as argparse has it: a supervisor must not try again.
USAGE = 2


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
    from daemon.errors import ConfigError, LearndError, ModelError
    from streams.errors import StreamError

    try:
        return int(arguments.run(arguments))
    except (ConfigError, ModelError) as error:  # to start again would not mend it
        sys.stderr.write(f"learnd: {error}\n")
        return USAGE
    except (LearndError, StreamError) as error:
        sys.stderr.write(f"learnd: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
