"""What the documents say is what the code says."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.quality import results
from benchmarks.quality.cases import CASES
from benchmarks.quality.made import render as made_page
from benchmarks.quality.made_streams import KINDS
from benchmarks.quality.recorded import HELD_OUT, RECORDED, Draw
from benchmarks.quality.recorded import render as recorded_page
from benchmarks.quality.table import embedded, goals_table
from benchmarks.quality.table import render as quality_page
from benchmarks.quality.texts import TEXTS
from benchmarks.quality.texts import render as texts_page
from benchmarks.speed.duels import DUELS
from benchmarks.speed.table import render as speed_page

ROOT = Path(__file__).parents[1]


def test_the_page_of_settings_is_generated_from_the_code() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_settings.py"))["page"]()
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == page, "run `make docs`"


def test_the_tables_of_quality_and_speed_are_the_benchmarks_own_output() -> None:
    collected, readme = results.load(ROOT / "docs" / "quality.json"), (ROOT / "README.md").read_text(encoding="utf-8")
    assert embedded(readme, goals_table(CASES, collected)) == readme
    assert (ROOT / "docs" / "quality.md").read_text(encoding="utf-8") == quality_page(CASES, collected)
    assert (ROOT / "docs" / "speed.md").read_text(encoding="utf-8") == speed_page(
        DUELS, results.load(ROOT / "docs" / "speed.json")
    )


def test_every_stream_is_shown_beside_the_simple_learners() -> None:
    collected = results.load(ROOT / "docs" / "quality.json")
    assert [case.name for case in CASES if case.peers and "excess" not in collected[case.name]] == []


def test_the_page_of_made_streams_is_the_benchmarks_own_output() -> None:
    page = (ROOT / "docs" / "made.md").read_text(encoding="utf-8")
    assert page == made_page(KINDS, results.load(ROOT / "docs" / "made.json"))


@pytest.mark.parametrize("draw", [RECORDED, HELD_OUT], ids=lambda draw: draw.stem)
def test_the_pages_of_recorded_tables_are_the_benchmarks_own_output(draw: Draw) -> None:
    page = (ROOT / "docs" / f"{draw.stem}.md").read_text(encoding="utf-8")
    assert page == recorded_page(draw, results.load(ROOT / "docs" / f"{draw.stem}.json"))


def test_the_page_of_texts_is_the_benchmarks_own_output() -> None:
    page = (ROOT / "docs" / "texts.md").read_text(encoding="utf-8")
    assert page == texts_page(TEXTS, results.load(ROOT / "docs" / "texts.json"))


def test_links_in_the_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_readme_names_every_command_of_the_help() -> None:
    text = subprocess.run([sys.executable, "-m", "daemon", "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^ {4}(\w+)(?: |$)", text, flags=re.MULTILINE)
    assert len(commands) >= 8
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [command for command in commands if f"learnd {command}" not in readme] == []


def test_locks_name_no_registry() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        assert not re.search(r"https?://|--(extra-)?index-url", lock.read_text(encoding="utf-8")), lock.name
