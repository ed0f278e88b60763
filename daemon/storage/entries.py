"""The lines of the ledger: how one is made, and how a segment of them is read and told whole from torn from damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.errors import LedgerError
from daemon.storage.canonical import canonical, checked, seal, unseal

FORMAT = 1
GENESIS = "0" * 64
"""The chain before the first entry."""

_CHAIN = b',"chain":"%s"}'
_CHAIN_BYTES = len(_CHAIN % GENESIS.encode())
# Pages that a power cut kept from the disk read as zeros, and they end where a sector ends.
_SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class Entry:
    """Entry `n` of the ledger, counted from 0. `chain` is a SHA-256 over this entry and all before it."""

    n: int
    kind: str
    body: dict[str, Any]
    chain: str


def encode(n: int, kind: str, body: dict[str, Any], *, previous: str) -> tuple[bytes, str]:
    """One line of a segment and its chain, which hashes the chain before and the line up to itself.

    Raises `StateError` where `body` is not JSON.

    >>> line, chain = encode(7, "plan", {"step": 1}, previous=GENESIS)
    >>> line[:44]
    b'{"n":7,"kind":"plan","body":{"step":1},"chai'
    >>> chain == hashlib.sha256(GENESIS.encode() + line[:38]).hexdigest()
    True
    """
    text = b'{"n":%d,"kind":%s,"body":%s' % (n, canonical(kind), canonical(checked(body, (kind,))))
    chain = hashlib.sha256(previous.encode() + text).hexdigest()
    return text + _CHAIN % chain.encode() + b"\n", chain


def encode_header(first: int, *, previous: str) -> bytes:
    """The first line of a segment: what its entries go on from, so that it can be read without those before."""
    return seal({"chain": previous, "first": first, "format": FORMAT})


def read_header(path: Path) -> tuple[int, str, int]:
    """Number of the first entry, the chain before it, and the offset at which the first entry begins."""
    with path.open("rb") as file:
        line = file.readline(1024)
    try:
        header = unseal(line)
    except ValueError as error:
        raise LedgerError(f"{path}, line 1: the header is damaged ({error}); restore the segment from a copy") from error
    if header["format"] != FORMAT:
        raise LedgerError(f"{path}, line 1: format {header['format']}, this build reads {FORMAT}; use the build that wrote it")
    if header["first"] != int(path.stem):
        raise LedgerError(f"{path}, line 1: begins with entry {header['first']}; give the file its name back")
    return header["first"], header["chain"], len(line)


def scan(path: Path, *, last: bool) -> Iterator[tuple[Entry, int]]:
    """The entries of one segment, each with the offset of the byte after it.

    Zero bytes end a segment. In the last one, so does a line that a kill or a power cut tore; whatever else is not as it was
    written raises `LedgerError`, which names segment and line.
    """
    n, chain, begin = read_header(path)
    data = path.read_bytes()
    while end := data.find(b"\n", begin) + 1:
        entry = _decode(data[begin : end - 1], n, previous=chain)
        if entry is None:
            break
        yield entry, end
        n, chain, begin = n + 1, entry.chain, end
    if not _ends(data, begin, last=last):
        line = data.count(b"\n", 0, begin) + 1
        raise LedgerError(
            f"{path}, line {line}: entry {n} is damaged; restore the segment from a copy, or give up this entry and all "
            f"that follow by cutting the file to {begin} bytes and removing the later segments"
        )


def _decode(line: bytes, n: int, *, previous: str) -> Entry | None:
    """The entry in `line`, or None where it is not entry `n` after `previous`, byte for byte."""
    text, tail = line[:-_CHAIN_BYTES], line[-_CHAIN_BYTES:]
    chain = hashlib.sha256(previous.encode() + text).hexdigest()
    if tail != _CHAIN % chain.encode():
        return None
    document = json.loads(line)
    return Entry(n, document["kind"], document["body"], chain) if document["n"] == n else None


def _ends(data: bytes, begin: int, *, last: bool) -> bool:
    """Whether the entries end at `begin` as they may: nothing but zeros follows or, in the last segment, a torn line."""
    if not data.count(b"\0", begin) < len(data) - begin:
        return True
    if not last:
        return False
    line_end = data.find(b"\n", begin)
    zeros = data.find(b"\0", begin, line_end if line_end >= 0 else len(data))
    if zeros < 0:
        return line_end < 0
    # The system writes pages back in any order: behind a torn line whole pages of zeros may be followed by later lines.
    # Nothing that was fsynced stands behind them. Zeros that end elsewhere were not left by a power cut.
    resumed = len(data) - len(data[zeros:].lstrip(b"\0"))
    return resumed == len(data) or resumed % _SECTOR_BYTES == 0


def segments(folder: Path) -> list[Path]:
    """The segments in order; each is named after its first entry."""
    return sorted(folder.glob("[0-9]*.jsonl"))


def read_entries(folder: Path, start: int) -> Iterator[Entry]:
    """Entries from `start` on, each checked against the chain, beginning at the segment that holds `start`.

    Works beside a writer, in any process. Raises `LedgerError` for damage, and where entry `start` or a later segment is gone.
    """
    paths = segments(folder)
    if paths and int(paths[0].stem) > start:
        raise LedgerError(f"{paths[0]}: is the first segment, entry {start} is gone; restore the earlier segments")
    num_before = sum(int(path.stem) <= start for path in paths)
    paths = paths[max(0, num_before - 1) :]
    n: int | None = None
    chain = GENESIS
    for path in paths:
        first, previous, _ = read_header(path)
        if n is None:
            n, chain = first, previous
        if (first, previous) != (n, chain) or (first == 0 and previous != GENESIS):
            raise LedgerError(f"{path}, line 1: does not go on from what is before entry {n}; restore what is missing there")
        for entry, _ in scan(path, last=path == paths[-1]):
            n, chain = entry.n + 1, entry.chain
            if entry.n >= start:
                yield entry
