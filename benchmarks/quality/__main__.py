"""`python -m benchmarks.quality [CASE …]`: run the cases, merge their figures into docs/quality.json, write docs/quality.md."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.quality import burst, results, streams
from benchmarks.quality.baselines import baseline_answers
from benchmarks.quality.beside import run_peer
from benchmarks.quality.cases import CASES, Case
from benchmarks.quality.learnd import NotAvailableError, alarm_figures, backtest, held_out
from benchmarks.quality.scores import Answers, Floats, figures, losses, targets, worst_excess
from benchmarks.quality.table import embedded, goals_table, render

logger = logging.getLogger("benchmarks.quality")

DOCS = streams.ROOT / "docs"
PEERS_PYTHON = streams.ROOT / ".cache" / "peers" / "bin" / "python"
# Baselines of the promise that are peers here: hashed logistic regression (least squares for numbers), and naive Bayes.
SIMPLE_PEERS = ("naive_bayes", "vw")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    chosen = _arguments()
    json_path = chosen.docs / "quality.json"
    for case in CASES:
        if chosen.cases and case.name not in chosen.cases:
            continue
        result = _run(case, results.load(json_path).get(case.name, {}), chosen)
        # Read again: another case may have been run beside this one meanwhile.
        results.save(json_path, results.load(json_path) | {case.name: result})
        collected = results.load(json_path)
        (chosen.docs / "quality.md").write_text(render(CASES, collected), encoding="utf-8")
        if chosen.docs == DOCS:
            readme = streams.ROOT / "README.md"
            readme.write_text(embedded(readme.read_text(encoding="utf-8"), goals_table(CASES, collected)), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-quality", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(case.name for case in CASES)}; all of them")
    parser.add_argument("--peers", nargs="*", metavar="PEER", help="only these peers; earlier figures of others are kept")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="Python of the environment with the peers")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of quality.json and quality.md")
    parser.add_argument("--no-learnd", action="store_true", help="run the peers alone, and keep what learnd reached before")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.cases) - {case.name for case in CASES})
    if unknown:
        parser.error(f"there is no case {', '.join(unknown)}; there are {', '.join(case.name for case in CASES)}")
    return chosen


def _run(case: Case, before: dict[str, Any], chosen: argparse.Namespace) -> dict[str, Any]:
    """The case's figures: what is run now over what was known."""
    try:
        file = streams.write(case.stream)
    except streams.MissingError as missing:
        logger.warning("%s is left out: %s", case.name, missing)
        return {**before, "not_run": str(missing)}
    if case.burst:
        logger.info("%s: learnd", case.name)
        return {"rows": burst.LENGTH, "seed": 0, **burst.run(case.stream), **results.stamp()}
    target_N, index = targets([row["label"] for row in streams.read(file)], task=case.task)
    curves = streams.CACHE / "losses" / case.name
    curves.mkdir(parents=True, exist_ok=True)
    result = {**before, "rows": len(target_N), "seed": 0}
    if not chosen.no_learnd:
        result |= _run_learnd(case, file, target_N, index, curves)
        result.pop("excess", None)  # it is that of another run
    for name in case.peers:
        if chosen.peers is None or name in chosen.peers:
            logger.info("%s: %s", case.name, name)
            result["peers"] = result.get("peers", {}) | _run_one_peer(name, case, file, target_N, curves, chosen.peers_python)
    return result | _excess(case, curves, set(result.get("baselines", {})))


def _run_learnd(case: Case, file: Path, target_N: Floats, index: Mapping[str, int], curves: Path) -> dict[str, Any]:
    logger.info("%s: learnd", case.name)
    baselines = baseline_answers(target_N, task=case.task, delay=case.delay)
    for name, answers in baselines.items():
        _keep(curves, name, target_N, answers, task=case.task)
    result: dict[str, Any] = {
        "baselines": {
            name: figures(target_N, answers, task=case.task, unscored=case.delay) for name, answers in baselines.items()
        }
    }
    # Before the run: the tree may move on while it takes its time.
    stamp = results.stamp()
    try:
        run = backtest(case, file, index=index)
    except NotAvailableError as reason:
        logger.warning("%s is left out: %s", case.name, reason)
        return {**result, "not_run": str(reason)}
    _keep(curves, "learnd", target_N, run.answers, task=case.task)
    learnd: dict[str, Any] = figures(target_N, run.answers, task=case.task, unscored=case.delay)
    if case.drift_every:
        learnd |= alarm_figures(run.report, every=case.drift_every, allowed_delay=case.allowed_delay)
    if case.evaluate:
        learnd |= held_out(run.report)
    told = {key: run.report[key] for key in ("encoder", "examples_per_s", "state_sha256")}
    return {**result, "learnd": learnd, "command": run.command, **told, **stamp}


def _run_one_peer(name: str, case: Case, file: Path, target_N: Floats, curves: Path, python: Path) -> dict[str, dict[str, Any]]:
    """Its figures, or nothing where it could not be run; why is logged, and the other peers go on."""
    try:
        answers, told = run_peer(name, case, file, python=python)
    except (OSError, RuntimeError) as error:
        logger.warning("%s: %s is left out: %s", case.name, name, error)
        return {}
    _keep(curves, name, target_N, answers, task=case.task)
    return {
        name: {
            "figures": figures(target_N, answers, task=case.task, unscored=case.delay),
            **told,
            "date": results.stamp()["date"],
        }
    }


def _keep(curves: Path, name: str, target_N: Floats, answers: Answers, *, task: str) -> None:
    """Keep the losses of every row, so that a later run of one learner alone can be compared."""
    results.save_losses(curves / f"{name}.npy", losses(target_N, answers, task=task))


def _excess(case: Case, curves: Path, baselines: set[str]) -> dict[str, Any]:
    """Learnd's worst excess over the simple learners, once all of them were run on this machine."""
    if not case.peers:
        return {}
    known = {path.stem: results.load_losses(path) for path in sorted(curves.glob("*.npy"))}
    asked = {"learnd", *baselines, *(name for name in SIMPLE_PEERS if name in case.peers)}
    if missing := sorted(asked - known.keys()):
        logger.warning("%s: not set beside the simple learners, until these are run here: %s", case.name, ", ".join(missing))
        return {}
    rivals = {name: loss_N for name, loss_N in known.items() if name in baselines or name in SIMPLE_PEERS}
    found = worst_excess(known["learnd"], rivals, unscored=case.delay)
    return {"excess": None if found is None else found._asdict()}


if __name__ == "__main__":
    main()
