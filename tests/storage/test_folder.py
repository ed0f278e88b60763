from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import WriterError
from daemon.storage.folder import Writer
from tests.storage.processes import running

HOLD = """
    import sys
    from pathlib import Path
    from daemon.storage.folder import Writer
    writer = Writer(Path(sys.argv[1]))
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_each_writer_counts_the_epoch_up(tmp_path: Path) -> None:
    epochs = []
    for _ in range(3):
        writer = Writer(tmp_path / "data")
        writer.check()
        epochs.append(writer.epoch)
        writer.close()
        writer.close()
    assert epochs == [1, 2, 3]


def test_a_second_writer_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    with running(HOLD, tmp_path) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        with pytest.raises(WriterError, match=rf"is written by another process \(pid {process.pid} on .*stop that one first"):
            Writer(tmp_path)
        assert (tmp_path / "epoch").read_text() == "1\n"
    # Killed, not closed: the lock goes with the process.
    writer = Writer(tmp_path)
    assert writer.epoch == 2
    writer.close()


def test_a_writer_that_lost_its_lock_is_fenced(tmp_path: Path) -> None:
    zombie = Writer(tmp_path)
    (tmp_path / "writer.lock").unlink()
    successor = Writer(tmp_path)
    successor.check()
    with pytest.raises(WriterError, match=r"epoch is 2, this process .* writes epoch 1"):
        zombie.check()
    (tmp_path / "epoch").unlink()
    with pytest.raises(WriterError, match="epoch is 0"):
        successor.check()
    zombie.close()
    successor.close()


def test_an_epoch_that_is_no_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "epoch").write_text("x")
    with pytest.raises(WriterError, match="is not a number"):
        Writer(tmp_path)


@pytest.mark.parametrize("name", ["file", "file/data"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriterError, match=f"{name}: cannot be written .*name another folder, or move the file"):
        Writer(tmp_path / name)
