"""A process that has imported all of learnd and run none of it: each start of `learnd` is a fork, in milliseconds.

It takes orders as lines of JSON and answers each with a line: {"start": [arguments], "environment": {…}, "folder": …,
"out": …, "err": …} with the process id, {"reap": pid} with the exit status as `subprocess` has it. Hundreds of starts cost no
more imports than one.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import traceback
from typing import Any

import tokenizers  # noqa: F401 - imported for the forks
import transformers.models.bert.modeling_bert  # noqa: F401 - likewise

import daemon.__main__
import daemon.assembly.serving
import daemon.assembly.training
import daemon.commands.backtest
import daemon.commands.backtested
import daemon.commands.check
import daemon.commands.produce
import daemon.commands.serve
import daemon.commands.snapshots
import daemon.commands.train
import daemon.failpoints


def main() -> None:
    children: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "start" in order:
            pid = os.fork()
            if pid == 0:
                _become(order)
            children.add(pid)
            answer = pid
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["reap"], 0)[1])
            children.remove(order["reap"])
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _become(order: dict[str, Any]) -> None:
    """This process is `learnd` from now on, as if it had been called there, with these arguments and that environment."""
    status = 1
    try:
        written = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        for path, flags, number in ((os.devnull, os.O_RDONLY, 0), (order["out"], written, 1), (order["err"], written, 2)):
            file = os.open(path, flags, 0o644)
            os.dup2(file, number)
            os.close(file)
        os.chdir(order["folder"])
        os.environ.clear()
        os.environ.update(order["environment"])
        importlib.reload(daemon.failpoints)
        status = daemon.__main__.main(order["start"])
    except SystemExit as leaving:  # argparse's way
        status = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: what the parent has registered for its own end is none of this process's business.
        os._exit(status)


if __name__ == "__main__":
    main()
