"""The forwarder's metrics and the file for node_exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from hpcobs_forwarder.daemon.health import METRICS, Health, write_textfile

if TYPE_CHECKING:
    from pathlib import Path


def test_exposition_parses_as_prometheus_text(health: Health) -> None:
    health.add("samples_read_total", 3)
    health.add("reader_errors_total", label="cgroup_v2")
    health.set("spool_files", 4, "batch")

    families = {
        family.name: family for family in text_string_to_metric_families(health.exposition())
    }

    samples = families["hpcobs_forwarder_samples_read"].samples
    assert [sample.value for sample in samples] == [3]
    (errors,) = families["hpcobs_forwarder_reader_errors"].samples
    assert (errors.labels, errors.value) == ({"reader": "cgroup_v2"}, 1)
    (files,) = families["hpcobs_forwarder_spool_files"].samples
    assert (files.labels, files.value) == ({"kind": "batch"}, 4)


def test_counters_start_at_zero(health: Health) -> None:
    assert "hpcobs_forwarder_pass_failures_total 0\n" in health.exposition()


def test_every_metric_has_help() -> None:
    assert all(metric.help.endswith(".") for metric in METRICS.values())


def test_large_numbers_keep_their_digits(health: Health) -> None:
    health.set("last_success_timestamp_seconds", 1_800_000_000.123)

    assert "last_success_timestamp_seconds 1800000000.123\n" in health.exposition()


def test_health_file_is_replaced_whole_and_readable(tmp_path: Path) -> None:
    file = tmp_path / "hpcobs.prom"
    for text in ("first\n", "second\n"):
        write_textfile(str(file), text)

    assert file.read_text() == "second\n"
    assert [path.name for path in tmp_path.iterdir()] == ["hpcobs.prom"]
    assert file.stat().st_mode & 0o777 == 0o644
