"""What the Prolog wrote down."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.node.records import Records, read_record

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, job_id: str, **fields: Any) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"{job_id}.json"
    file.write_text(json.dumps({"job_id": job_id, **fields}))
    return file


def refreshed(folder: Path) -> Records:
    records = Records(str(folder))
    records.refresh()
    return records


def test_record_has_cpus_gpus_and_start(tmp_path: Path) -> None:
    write(
        tmp_path,
        "7",
        node="n2",
        node_list="n[1-2]",
        cpus_per_node="4,2",
        gpus="0,3",
        uptime_seconds="123.45",
        sluid="s4YDWXGQK8ZT30",
    )

    record = refreshed(tmp_path).of_job("7")

    assert record is not None
    assert (record.cpus, record.gpus, record.began_at) == (2, ("0", "3"), 123.45)
    assert refreshed(tmp_path).of_sluid("s4YDWXGQK8ZT30") == record


def test_added_and_removed_records_are_noticed(tmp_path: Path) -> None:
    first = write(tmp_path, "1")
    records = refreshed(tmp_path)
    first.unlink()
    write(tmp_path, "2")

    records.refresh()

    assert records.of_job("1") is None
    assert records.of_job("2") is not None


def test_unchanged_records_are_not_read_again(tmp_path: Path) -> None:
    first = write(tmp_path, "1")
    records = refreshed(tmp_path)
    known = records.of_job("1")
    write(tmp_path, "2")

    records.refresh()
    assert records.of_job("1") is known

    first.unlink()
    write(tmp_path, "1", cluster_name="another")
    records.refresh()
    assert records.of_job("1") is not known


def test_record_within_same_clock_tick_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, "1")
    records = refreshed(tmp_path)
    before = tmp_path.stat()
    write(tmp_path, "2")
    os.utime(tmp_path, ns=(before.st_atime_ns, before.st_mtime_ns))

    records.refresh()

    assert records.of_job("2") is not None


def test_missing_folder_has_no_records(tmp_path: Path) -> None:
    assert refreshed(tmp_path / "none").all() == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "[]",
        "{}",
        "null",
        '{"job_id": "1", "gpus": 3}',
        '{"job_id":"1"',
        "\x00\x00",
    ],
)
def test_malformed_record_is_skipped(tmp_path: Path, text: str) -> None:
    file = tmp_path / "1.json"
    file.write_text(text)

    assert read_record(str(file)) is None
