"""The Prolog's records of jobs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.node.records import JobRecord, Records, read_record
from tests.forwarder.trees import record

if TYPE_CHECKING:
    from pathlib import Path


def refreshed(folder: Path) -> Records:
    records = Records(str(folder))
    records.refresh()
    return records


def test_record_has_cpus_gpus_and_start(tmp_path: Path) -> None:
    record(
        tmp_path,
        "7",
        node="n2",
        node_list="n[1-2]",
        cpus_per_node="4,2",
        gpus="0,3",
        uptime_seconds="123.45",
        sluid="s4YDWXGQK8ZT30",
    )

    found = refreshed(tmp_path).of_job("7")

    assert found is not None
    assert (found.cpus, found.gpus, found.began_at) == (2, ("0", "3"), 123.45)
    assert refreshed(tmp_path).of_sluid("s4YDWXGQK8ZT30") == found


def test_added_and_removed_records_are_noticed(tmp_path: Path) -> None:
    first = record(tmp_path, "1")
    records = refreshed(tmp_path)
    first.unlink()
    record(tmp_path, "2")

    records.refresh()

    assert records.of_job("1") is None
    assert records.of_job("2") is not None


def test_unchanged_records_are_not_read_again(tmp_path: Path) -> None:
    first = record(tmp_path, "1")
    records = refreshed(tmp_path)
    known = records.of_job("1")
    record(tmp_path, "2")

    records.refresh()
    assert records.of_job("1") is known

    first.unlink()
    record(tmp_path, "1", cluster_name="another")
    records.refresh()
    assert records.of_job("1") is not known


def test_record_within_same_clock_tick_is_noticed(tmp_path: Path) -> None:
    record(tmp_path, "1")
    records = refreshed(tmp_path)
    before = tmp_path.stat()
    record(tmp_path, "2")
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
        '{"job_id":"1"',
        "\x00\x00",
    ],
)
def test_malformed_record_is_skipped(tmp_path: Path, text: str) -> None:
    file = tmp_path / "1.json"
    file.write_text(text)

    assert read_record(str(file)) is None


@pytest.mark.parametrize("name", ["gpus", "visible_gpus", "sluid", "cluster_name", "slurm_conf"])
def test_malformed_value_costs_itself(tmp_path: Path, name: str) -> None:
    file = tmp_path / "1.json"
    file.write_text(json.dumps({"job_id": "1", "boot_id": "this", name: 3}))

    assert read_record(str(file)) == JobRecord("1", boot_id="this")
