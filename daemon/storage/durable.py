"""Writing that survives a kill and a power cut: files, folders and the steps between them.

A file is durable once its bytes and its entry in the parent folder were fsynced. What readers may see only whole is written
under a temporary name and renamed, which is atomic inside one file system.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = ".tmp-"


def is_out_of_space(error: OSError) -> bool:
    """Whether `error` passes once somebody frees space: a full disk or a used-up quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def remedy(error: OSError) -> str:
    """What an operator can do about `error`; the end of an error's text."""
    if is_out_of_space(error):
        return "free space or raise the quota; it is tried again by itself"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return "a file stands where a folder is wanted: name another folder, or move the file"
    return "check the disk, the mount and the rights on the folder"


def fsync_folder(folder: Path) -> None:
    """Make the entries of `folder` (new, renamed and removed names) durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, durably: what is put into it is lost with it otherwise."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        fsync_folder(folder.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write a file that nobody reads yet and fsync it. Its entry is durable once the folder is fsynced."""
    with path.open("wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader, even after a power cut, sees all of the old or all of the new."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{os.getpid()}")
    try:
        write_file(temporary, data)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


@contextmanager
def temporary_folder(final: Path) -> Iterator[Path]:
    """A folder to fill and then hand to `publish_folder`; removed with all that is in it where the block raises."""
    folder = final.with_name(TEMPORARY + final.name)
    folder.mkdir()
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def publish_folder(temporary: Path, final: Path) -> None:
    """Rename a folder of fsynced files so that it appears whole, and make that durable. `final` must not exist."""
    for folder, _, _ in os.walk(temporary):
        fsync_folder(Path(folder))
    temporary.rename(final)
    fsync_folder(final.parent)


def remove_folder(folder: Path) -> None:
    """Remove a published folder; a crash in between leaves a temporary one, never half of a published one."""
    doomed = folder.with_name(TEMPORARY + folder.name)
    folder.rename(doomed)
    shutil.rmtree(doomed)


def sweep(parent: Path) -> None:
    """Remove the temporary folders that a crash left in `parent`. Files stay: another process may be replacing one."""
    for folder in sorted(parent.glob(TEMPORARY + "*")):
        if folder.is_dir():
            shutil.rmtree(folder)
