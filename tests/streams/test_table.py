"""CSV and JSON lines for a backtest."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from streams.decoding.fields import Fields
from streams.decoding.json import JsonDecoder
from streams.errors import DecodeError, ReplacedError, SourceError, UnfitError
from streams.record import Example, Record
from streams.table import RowKinds, TableSource, inspect, lacks_times


def read(path: Path, *, position: int = 0, **options: Any) -> list[Record]:
    source = TableSource(path=path, **({"fields": Fields()} | options))
    try:
        source.open({0: position})
        ends, records = source.ends(), []
        while not source.exhausted(ends):
            records += source.take_merged(100, ends=ends, timeout_s=10)
        return records
    finally:
        source.close()


def rows(path: Path, **options: Any) -> list[Any]:
    return [json.loads(r.value or b"") for r in read(path, **options)]


def write(path: Path, text: str) -> Path:
    path.write_text(text, newline="")
    return path


def test_columns_keep_their_meaning_and_others_are_features(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        'id,time,text,color,size,weight,label\n7,1.5e9,"two\nlines, ""quoted""",red,3,2,up\n8,2001-06-25,,,,,down\n',
    )
    assert rows(path) == [
        {
            "id": "7",
            "time": 1.5e9,
            "text": 'two\nlines, "quoted"',
            "weight": 2.0,
            "label": "up",
            "features": {"color": "red", "size": 3.0},
        },
        {"id": "8", "time": "2001-06-25", "text": "", "label": "down"},
    ]
    assert inspect(path, fields=Fields()) == RowKinds(text=True, features=True)


def test_column_is_numeric_if_its_first_cell_that_is_not_empty_parses(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y,z,label\n,inf,a,1\n1,2,3,1.0\n?,3,,0\n 4 ,5,6,0\n")
    assert [row["features"] for row in rows(path)] == [
        {"y": "inf", "z": "a"},
        {"x": 1.0, "y": "2", "z": "3"},
        {"x": "?", "y": "3"},
        {"x": 4.0, "y": "5", "z": "6"},
    ]
    assert [row["label"] for row in rows(path)] == ["1", "1.0", "0", "0"]
    assert inspect(path, fields=Fields()) == RowKinds(text=False, features=True)
    # Going on in the middle, what kind a column is was still decided by the rows before.
    assert [row["features"] for row in rows(path, position=2)] == [{"x": "?", "y": "3"}, {"x": 4.0, "y": "5", "z": "6"}]
    with pytest.raises(ReplacedError, match=r"row 5 \(counted from 0\), but the file has only 4"):
        rows(path, position=5)


def test_label_column_by_another_name_and_slices(tmp_path: Path) -> None:
    path = tmp_path / "b.csv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbflabel,region,up\n1,n,yes\n2,,no\n"))
    fields = Fields(label="up")
    assert rows(path, fields=fields, slices=["region"]) == [
        {"up": "yes", "region": "n", "features": {"label": 1.0, "region": "n"}},
        {"up": "no", "features": {"label": 2.0}},
    ]
    decoder = JsonDecoder(task="classification", fields=fields, slices={"where": "region"}, labels=(), max_value_bytes=1000)
    assert decoder.decode(read(path, fields=fields, slices=["region"])[0]) == Example(
        id="b.csv.gz-0-0", text="", features={"label": 1.0, "region": "n"}, target="yes", slices={"where": "n"}
    )


def test_empty_lines_do_not_count_and_short_rows_have_missing_values(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "label,x\r\n\r\na,1\r\n\r\nb\r\n")
    assert [(r.offset, json.loads(r.value or b"")) for r in read(path)] == [
        (0, {"label": "a", "features": {"x": 1.0}}),
        (1, {"label": "b", "features": {}}),
    ]


def test_rows_that_fit_no_header_or_no_encoding_are_refused_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"label,x\na,1,2\nb,\xff\nc,3\n,4\n")
    decoder = JsonDecoder(task="classification", fields=Fields(), slices={}, labels=(), max_value_bytes=1000)
    faults = []
    for record in read(path):
        try:
            decoder.decode(record)
            faults.append("")
        except DecodeError as error:
            faults.append(str(error))
    assert faults == [
        "parse: line 2: 3 cells, more than the 2 columns of the header",
        'encoding: line 3: column "x" is not UTF-8',
        "",
        'schema: line 5: the label "label" is missing',
    ]


def test_faults_of_csv_name_the_line_that_a_row_begins_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'label,text,weight\n\na,"two\nlines",1\nb,t,heavy\n" ",t,1\nc,\xe9,1,\xff\n')
    decoder = JsonDecoder(task="classification", fields=Fields(), slices={}, labels=(), max_value_bytes=1000)
    first, *faulty = read(path)
    assert decoder.decode(first).text == "two\nlines"
    assert dict(first.headers) == {"csv.line": b"3"}
    faults = []
    for record in faulty:
        with pytest.raises(DecodeError) as caught:
            decoder.decode(record)
        faults.append(str(caught.value))
    assert faults == [
        'schema: line 5: "weight" is "heavy", not a number',
        'schema: line 6: the label "label" is missing',
        "parse: line 7: 4 cells, more than the 3 columns of the header",
    ]


@pytest.mark.parametrize("content", [b"\x7fELF\x00\x01\n", "label,x\na,1\n".encode("utf-16")])
def test_a_binary_file_is_called_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(UnfitError, match=r"a\.csv: is no text in UTF-8 but a binary file; give JSON lines or CSV"):
        inspect(path, fields=Fields())


def test_an_empty_label_column_is_told_with_the_columns_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "label,x,y\n,1,2\n,3,4\n")
    with pytest.raises(UnfitError, match=r'none of the first 2 rows has the label "label".*\(columns there: label, x, y\)'):
        inspect(path, fields=Fields())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b\n1,2\n", r'no column is called "label"; name it with --label or in decoding.label \(columns there: a, b\)'),
        ("", "is empty"),
        ("label,x,x\n1,2,3\n", 'two columns are called "x"'),
        ("label,x\n", "there are no rows"),
        ('{"text": "t", "y": 1}\n', r'no column is called "label"'),
    ],
)
def test_files_without_label_or_rows_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        inspect(write(tmp_path / "a.csv", text), fields=Fields())


@pytest.mark.parametrize("name", ["a.jsonl", "a.JSON", "a.ndjson.gz", "a.jsonl.gz"])
@pytest.mark.parametrize("poison", [b"poison, not an object", b"\xff\x00"])
def test_json_lines_by_their_name_whatever_the_first_line(tmp_path: Path, name: str, poison: bytes) -> None:
    path, text = tmp_path / name, poison + b'\n{"text": "t", "label": "a"}\n'
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert [r.value for r in read(path)] == text.splitlines()
    assert inspect(path, fields=Fields()) == RowKinds(text=True, features=False)


@pytest.mark.parametrize("poison", [b'{"text": "\xff", "label": "a"}', b'{"z": ' + b"[" * 5000 + b"]" * 5000 + b"}"])
def test_rows_that_no_decoder_reads_are_no_matter_for_what_a_file_holds(tmp_path: Path, poison: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(poison + b'\n{"text": "t", "label": "a"}\n')
    assert inspect(path, fields=Fields()) == RowKinds(text=True, features=False)
    assert len(read(path)) == 2


def test_features_that_come_thousands_of_rows_after_the_first_text_are_seen(tmp_path: Path) -> None:
    lines = ['{"text": "a", "label": "x"}'] * 5_000 + ['{"features": {"n": 1}, "label": "y"}']
    assert inspect(write(tmp_path / "a.jsonl", "\n".join(lines) + "\n"), fields=Fields()) == RowKinds(text=True, features=True)


@pytest.mark.parametrize("name", ["a.csv", "a.CSV.gz"])
def test_csv_by_its_name_whatever_the_header(tmp_path: Path, name: str) -> None:
    path, text = tmp_path / name, b"[x],label\n1,a\n"
    path.write_bytes(gzip.compress(text) if name.lower().endswith(".gz") else text)
    assert rows(path) == [{"label": "a", "features": {"[x]": 1.0}}]


def test_json_lines_without_the_label_are_told_with_the_fields_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", '{"text": "t", "y": 1}\n')
    with pytest.raises(UnfitError, match=r'none of the first 1 rows has the label "label"; .*\(fields there: text, y\)'):
        inspect(path, fields=Fields())


@pytest.mark.parametrize(
    ("name", "text", "kinds"),
    [
        ("a.jsonl", '{"features": {}, "label": 1}', RowKinds(text=False, features=True)),
        ("a.csv", "label\n1\n", RowKinds(text=False, features=True)),
        ("a.jsonl", '{"text": "t", "features": {}, "label": "a"}', RowKinds(text=True, features=False)),
    ],
)
def test_a_series_may_have_no_features_at_all(tmp_path: Path, name: str, text: str, kinds: RowKinds) -> None:
    assert inspect(write(tmp_path / name, text), fields=Fields()) == kinds


def test_quote_that_is_never_closed_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'label,text\na,"' + "x" * (17 * 1024 * 1024))
    with pytest.raises(
        SourceError, match=r"a\.csv: the row that begins on line 2 has a cell of more than 16 MiB; is a quote never closed"
    ):
        inspect(path, fields=Fields())


def test_json_lines_pass_through_whatever_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", '\n{"text": "t", "y": 1}\n\n{"features": {"a": 1}, "y": 2}')
    assert [(r.offset, r.value) for r in read(path)] == [(1, b'{"text": "t", "y": 1}'), (3, b'{"features": {"a": 1}, "y": 2}')]
    assert inspect(path, fields=Fields(label="y")) == RowKinds(text=True, features=True)


def test_real_streams_whole() -> None:
    data = Path(__file__).parents[3] / "shared" / "data"
    if not data.is_dir():
        pytest.skip("the recorded streams (../shared/data) are not on this machine")
    elec = data / "elec2.csv.gz"
    assert inspect(elec, fields=Fields(label="up")) == RowKinds(text=False, features=True)
    decoder = JsonDecoder(task="classification", fields=Fields(label="up"), slices={}, labels=(), max_value_bytes=10**6)
    examples = [decoder.decode(record) for record in read(elec, fields=Fields(label="up"))]
    assert len(examples) == 45312
    assert {example.target for example in examples} == {"0", "1"}
    assert all(len(example.features) == 8 for example in examples)


@pytest.mark.parametrize(
    ("name", "text", "is_lines", "lacks"),
    [
        ("a.jsonl", '{"shop": "x", "label": 1}\n', False, True),
        ("a.jsonl", '{"shop": "x", "label": 1}\n{"shop": "y", "label": 1, "time": 0}\n', False, False),
        ("a.jsonl", '{"label": 1}\nno row\n[]\n', False, False),
        ("a.jsonl", "", False, False),
        ("a.csv", "shop,label\nx,1\n", False, True),
        ("a.csv", "shop,time,label\nx,2001-06-25,1\n", False, False),
        ("a.csv", '{"shop": "x", "label": 1}\n', True, True),
    ],
)
def test_whether_rows_with_a_source_lack_times(tmp_path: Path, name: str, text: str, is_lines: bool, lacks: bool) -> None:
    path = write(tmp_path / name, text)
    assert lacks_times(path, fields=Fields(), slice_field="shop", is_lines=is_lines) is lacks
