"""The commands of learnd and their flags. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from daemon import __version__

Command = Callable[[argparse.Namespace], int]


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Flags of one command; `run` is what to call with them. Leaves with status 2 and a usage line where they are wrong."""
    return _parser().parse_args(argv)


def _command(module: str) -> Command:
    """The `run` of `daemon.commands.<module>`, imported when it is called."""

    def run(arguments: argparse.Namespace) -> int:
        command: Command = importlib.import_module(f"daemon.commands.{module}").run
        return command(arguments)

    return run


class _Once(argparse.Action):
    """Keeps the one value of a flag. A second one is refused: argparse would take it, and forget the first in silence."""

    _given = False

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        if self._given:
            raise argparse.ArgumentError(self, "holds one value and is given twice; leave one of them out")
        self._given = True
        setattr(namespace, self.dest, values)


class _Parser(argparse.ArgumentParser):
    """Parses once, with flags that hold one value where their action does not say otherwise."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.register("action", None, _Once)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="learnd",
        description="Keeps a PyTorch model learning from a Kafka topic, answers from its latest snapshot while it learns, "
        "and can prove what it learned.",
    )
    parser.add_argument("--version", action="version", version=f"learnd {__version__}")
    parser.add_argument("--verbose", action="store_true", help="log more")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, summary: str, module: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(run=_command(module))
        return command

    run = add("run", "learn and answer: start and supervise train and serve", "run")
    _add_settings(run)
    train = add("train", "learn from the stream", "train")
    _add_settings(train)
    train.add_argument("--warm-start", type=Path, metavar="FILE", help="learn this recorded file first, then the stream")
    train.add_argument("--until-end", action="store_true", help="stop at the end that the stream has now; print state_sha256")
    serve = add("serve", "answer over HTTP from the latest snapshot", "serve")
    _add_settings(serve)
    _add_backtest(add("backtest", "run the loop over a recorded file, as fast as it goes", "backtest"))
    check = add("check", "tell everything that is wrong with the settings", "check")
    _add_settings(check)
    check.add_argument("--live", action="store_true", help="also reach for the source, the encoder and the folder")
    _add_snapshots(add("snapshots", "list, show, pin and roll back what answers come from", "snapshots"))
    _add_produce(add("produce", "send the lines of a JSON-lines file to a Kafka topic", "produce"))
    demo = add("demo", "learn from the bundled mail and answer on 127.0.0.1:8080, without Kafka", "demo")
    demo.add_argument("--until-end", action="store_true", help="leave at the end of the stream instead of serving on")
    demo.add_argument("--folder", type=Path, help="keep ledger, checkpoints and snapshots there (default: a temporary folder)")
    return parser


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="learnd.toml")
    _add_set(command)


def _add_set(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.FIELD=VALUE",
        help="a setting that stands over file and environment; may be repeated",
    )


def _add_backtest(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, help="JSON lines, or CSV with a header; plain or .gz")
    command.add_argument("--task", choices=("classification", "regression"), help="what the label is (default: classification)")
    command.add_argument("--label", metavar="COLUMN", help="column or field that holds the label (default: label)")
    _add_settings(command)
    command.add_argument(
        "--label-delay",
        type=_rows,
        default=0,
        metavar="N",
        help="learn each label N rows late; the first N rows, which nobody can answer, are not scored",
    )
    command.add_argument("--evaluate", type=Path, metavar="FILE", help="also score the final state on this file")
    command.add_argument(
        "--gate-every",
        type=_rows,
        default=0,
        metavar="N",
        help="ask every N rows whether the gate would publish, and list its decisions in the report",
    )
    command.add_argument("--report", type=Path, metavar="FILE", help="write the figures there as JSON")
    command.add_argument("--predictions", type=Path, metavar="FILE", help="write one JSON line an example there")


def _rows(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows, 0 or more")
    return int(text)


def _version(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a snapshot; `learnd snapshots list` shows them")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of records a second, 0 or more")
    return rate


def _add_snapshots(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    for name, summary, takes_version in (
        ("list", "every snapshot on disk", False),
        ("show", "what one snapshot knows of itself", True),
        ("pin", "keep a snapshot whatever its age", True),
        ("unpin", "let a pinned snapshot go with its age", True),
        ("rollback", "answer from this snapshot until `release`; learning goes on untouched", True),
        ("release", "answer from the newest snapshot again", False),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        _add_settings(action)
        if takes_version:
            action.add_argument("version", type=_version, help="its number, as `list` shows it")


def _add_produce(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, help="JSON lines, plain or .gz")
    command.add_argument("--topic", help="topic to send to (default: source.topic)")
    command.add_argument("--rate", type=_rate, metavar="PER_S", help="records a second at most (default: as fast as it goes)")
    command.add_argument("--limit", type=_rows, metavar="N", help="stop after N records")
    _add_settings(command)
