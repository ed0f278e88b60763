"""What cannot run here is checked by its own tools: hadolint for the image, docker compose for its neighbours."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def test_the_dockerfile_passes_hadolint() -> None:
    done = subprocess.run([BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_base_image_is_pinned_by_digest_and_the_container_is_not_root() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    images = re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE)
    assert images
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", image) for image in images)
    assert re.search(r"^USER \d+", text, flags=re.MULTILINE)


def test_the_compose_file_passes_its_own_check(tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "deploy", tmp_path / "deploy") / "compose"
    (folder / "token").write_text("not a secret", encoding="utf-8")
    done = subprocess.run(
        [BIN / "docker-compose", "-f", folder / "compose.yaml", "config", "-q"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
