"""Each sample counts once, statistics are those of the stored samples, no good sample is lost."""

from __future__ import annotations

import gzip
import json
import random
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.domain.errors import ForbiddenError, InvalidInputError
from hpcobs.domain.jobs import Resources
from hpcobs.ports.clock import utc_now
from hpcobs.service.collection import CollectionReport
from hpcobs.service.ingestion import Ingestion, messages
from hpcobs.storage.sample_writer import writer as module
from hpcobs.wire.batches import pack, unpack
from tests.builders import AUDIT, started
from tests.collector.batches import body, many, sample

if TYPE_CHECKING:
    from tests.collector.conftest import Site


@pytest.fixture
def chance() -> random.Random:
    return random.Random(1)


def test_repeated_batches_in_any_order_count_once(site: Site, chance: random.Random) -> None:
    jobs = [str(number) for number in range(1, 6)]
    site.start_jobs(*jobs, nodes=("n1", "n2", "n3"))
    batches = many(site.sent, jobs=5, nodes=3, rounds=20, chance=chance, per_batch=7)
    everything = batches * 3
    chance.shuffle(everything)
    half = len(everything) // 2
    site.post(*everything[:half])
    site.collect()
    site.post(*everything[half:])
    site.collect()
    site.check(*jobs)
    assert site.counter("collector_samples") == 300
    assert site.counter("collector_duplicates") == 600
    assert site.queue.depth().visible == 0


def test_node_clock_skew_loses_no_sample(site: Site, chance: random.Random) -> None:
    site.start_jobs("1", nodes=("n1", "n2", "n3"))
    now = utc_now()
    skews = {"n1": timedelta(), "n2": timedelta(minutes=9), "n3": -timedelta(days=2)}
    batches = [
        site.sent.batch(node, [sample("1", now + skew - timedelta(seconds=n), chance)])
        for node, skew in skews.items()
        for n in range(40)
    ]
    chance.shuffle(batches)
    site.post(*batches)
    site.collect()
    site.check("1")


def test_nodes_weigh_by_cpus_and_gpus(site: Site) -> None:
    gpus = [{"gpu_id": str(number), "gpu_vendor": "nvidia"} for number in range(3)]
    site.start_jobs("1", nodes=("n1", "n2"), resources=Resources(cpus_per_node=(6, 2)))
    at = utc_now().isoformat()
    large = {"job_id": "1", "timestamp": at, "cpu_usage": 40, "memory_usage_mb": 100}
    small = {"job_id": "1", "timestamp": at, "cpu_usage": 80, "memory_usage_mb": 10}
    site.post(
        body("n1", [large | {"gpu_usage": 10, "gpus": gpus[:1]}]),
        body("n2", [small | {"gpu_usage": 50, "gpus": gpus}]),
    )
    site.collect()
    found = site.statistics("1")
    assert (found["cpu_usage"], found["avg_cpu_usage"], found["max_cpu_usage"]) == (50, 50, 80)
    assert (found["memory_usage_mb"], found["avg_gpu_usage"]) == (110, 40)


def test_late_weight_applies_to_all_samples(site: Site) -> None:
    site.start_jobs("1", nodes=("n1", "n2"))
    at = utc_now().isoformat()
    for node, cpu in (("n1", 40), ("n2", 80)):
        site.post(
            body(node, [{"job_id": "1", "timestamp": at, "cpu_usage": cpu, "memory_usage_mb": 1}])
        )
    site.collect()
    assert site.statistics("1")["avg_cpu_usage"] == 60
    site.start_jobs("1", nodes=("n1", "n2"), resources=Resources(cpus_per_node=(6, 2)))
    assert site.statistics("1")["avg_cpu_usage"] == 50


def test_repeated_sample_in_write_batch_counts_once(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    now = utc_now()
    entries = [sample("1", now - timedelta(seconds=30 - n), chance) for n in range(20)]
    site.post(site.sent.batch("n1", entries[:15]), site.sent.batch("n1", entries[5:]))
    site.collect()
    site.check("1")
    assert site.counter("collector_duplicates") == 10


@pytest.mark.parametrize("known", [True, False])
def test_repeated_sample_adds_no_readings(site: Site, *, known: bool) -> None:
    now = utc_now()
    bare = {"job_id": "1", "cpu_usage": 1, "memory_usage_mb": 1}
    if known:
        site.start_jobs("1")
        site.post(body("n1", [bare | {"timestamp": now.isoformat()}]))
        site.collect()
    late = bare | {"timestamp": (now - timedelta(minutes=1)).isoformat()}
    site.post(
        body("n1", [late]), body("n1", [late | {"gpus": [{"gpu_id": "0", "gpu_vendor": "amd"}]}])
    )
    site.collect()
    if not known:
        site.start_jobs("1")
        site.collect()
    assert site.query("SELECT count(*) FROM gpu_samples") == [(0,)]
    assert site.counter("collector_duplicates") == 1


def test_outdated_last_sample_time_loses_no_sample(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    now = utc_now()
    entries = [sample("1", now - timedelta(seconds=30 - n), chance) for n in range(20)]
    site.post(site.sent.batch("n1", entries[:15]))
    site.collect()
    site.query("UPDATE job_nodes SET last_sample_at = %s RETURNING 1", now - timedelta(hours=1))
    site.post(site.sent.batch("n1", entries[5:]))
    site.collect()
    site.check("1")
    assert site.queue.depth().dead == 0


def test_parallel_collectors_count_samples_once(site: Site, chance: random.Random) -> None:
    jobs = [str(number) for number in range(1, 9)]
    site.start_jobs(*jobs, nodes=("n1", "n2"))
    batches = many(site.sent, jobs=8, nodes=2, rounds=120, chance=chance, per_batch=5)
    site.post(*chance.sample(batches * 2, len(batches) * 2))
    reports: list[CollectionReport] = []
    threads = [threading.Thread(target=lambda: reports.append(site.collect())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) == 3
    site.check(*jobs)


def test_bad_sample_alone_is_rejected_with_reason(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    now = utc_now()
    good = [sample("1", now - timedelta(seconds=n), chance) for n in range(50)]
    content = json.loads(site.sent.batch("n1", good))
    content["samples"].insert(17, sample("1", now, chance, cpu_usage=200))
    accepted = site.ingestion.accept(json.dumps(content).encode(), principal_node=None)
    assert (accepted.accepted, len(accepted.rejected)) == (50, 1)
    site.collect()
    site.check("1")
    ((position, node, job_id, reason, payload),) = site.query(
        "SELECT position, node, job_id, reason, payload FROM rejected_samples"
    )
    assert (position, node, job_id) == (17, "n1", "1")
    assert reason.startswith("samples[17].cpu_usage: ")
    assert json.loads(payload)["cpu_usage"] == 200
    assert site.counter("collector_rejected") == 1


def test_repeated_bad_sample_counts_once(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    now = utc_now()
    batch = body("n1", [sample("1", now, chance), sample("1", now, chance, cpu_usage=-1)])
    site.post(batch, batch)
    site.collect()
    assert site.counter("collector_rejected") == 1


def test_batch_without_good_sample_raises(site: Site, chance: random.Random) -> None:
    batch = body("n1", [sample("1", utc_now(), chance, memory_usage_mb=-5)])
    with pytest.raises(InvalidInputError, match=r"samples\[0\].memory_usage_mb"):
        site.post(batch)
    assert site.queue.depth().visible == 0


def test_token_of_another_node_is_forbidden(site: Site) -> None:
    with pytest.raises(ForbiddenError, match="n2"):
        site.ingestion.accept(body("n2", []), principal_node="n1")


def test_samples_outside_window_are_rejected(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    now = utc_now()
    site.post(site.sent.batch("n1", [sample("1", now, chance)]))
    site.post(
        body(
            "n1",
            [
                sample("1", now - timedelta(days=8), chance),
                sample("1", now + timedelta(hours=1), chance),
            ],
        )
    )
    site.collect()
    site.check("1")
    reasons = site.query("SELECT reason FROM rejected_samples ORDER BY position")
    assert reasons == [
        ("samples[0].timestamp: is older than samples are kept",),
        ("samples[1].timestamp: is from the future",),
    ]


def test_unreadable_message_becomes_dead_letter(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    site.queue.send([b"no gzip", gzip.compress(b"not json"), pack(b"{}")])
    site.post(site.sent.batch("n1", [sample("1", utc_now(), chance)]))
    report = site.collect()
    assert (report.buried, report.samples.stored) == (3, 1)
    site.check("1")
    assert site.queue.depth().dead == 3


def test_halving_rejects_only_bad_sample(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    now = utc_now()
    samples = [sample("1", now - timedelta(seconds=n), chance) for n in range(5000)]
    poison = sample("1", now, chance, memory_usage_mb=666_666, timestamp=samples[3210]["timestamp"])
    samples[3210] = poison
    for day in {now.date(), (now - timedelta(seconds=5000)).date()}:
        site.query("SELECT ensure_day_partition('metric_samples', %s)", day)
    site.query("ALTER TABLE metric_samples ADD CONSTRAINT c CHECK (memory_usage_mb <> 666666)")
    site.post(site.sent.batch("n1", samples), body("n2", [], host={"cpus": 3}))
    report = site.collect()
    assert (report.samples.stored, report.samples.rejected, report.buried) == (4999, 1, 0)
    del site.sent.samples["1", "n1", poison["timestamp"]]
    site.check("1")
    ((position, reason, payload),) = site.query(
        "SELECT position, reason, payload FROM rejected_samples"
    )
    assert (position, json.loads(payload)["memory_usage_mb"]) == (3210, 666_666)
    assert reason == "samples[3210]: the database rejected it: a value is out of its range"
    assert site.query("SELECT cpus FROM nodes WHERE name = 'n2'") == [(3,)]
    assert (site.queue.depth().visible, site.queue.depth().dead) == (0, 0)


def test_samples_wait_for_job_start(site: Site, chance: random.Random) -> None:
    now = utc_now()
    waiting = [sample("1", now - timedelta(seconds=n), chance) for n in range(20)]
    site.post(site.sent.batch("n1", waiting), site.sent.batch("n1", waiting))
    assert site.collect().samples.waiting == 20
    assert site.query("SELECT count(*) FROM metric_samples") == [(0,)]
    site.start_jobs("1")
    assert site.collect().samples.stored == 20
    site.check("1")
    gpus = [entry for entry in waiting if "gpus" in entry]
    assert site.query("SELECT count(*) FROM gpu_samples") == [(len(gpus),)]
    assert site.query("SELECT count(*) FROM waiting_samples") == [(0,)]


def test_samples_without_job_are_rejected_later(site: Site, chance: random.Random) -> None:
    site.post(body("n1", [sample("404", utc_now(), chance)]))
    site.collect()
    site.age_waiting()
    assert site.collect().samples.rejected == 1
    assert site.query("SELECT job_id, reason FROM rejected_samples") == [
        ("404", "job_id: no such job was reported")
    ]


def test_pass_settles_all_waiting_samples(
    site: Site, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_JOBS", 2)
    monkeypatch.setattr(module, "WAITING_SAMPLES", 7)
    jobs = [str(number) for number in range(1, 6)]
    site.post(*many(site.sent, jobs=5, nodes=1, rounds=10, chance=chance))
    unknown = [sample(f"4{n}", utc_now() - timedelta(seconds=n), chance) for n in range(30)]
    site.post(body("n1", unknown))
    site.collect()
    site.start_jobs(*jobs)
    site.age_waiting()
    late = site.collect()
    assert (late.samples.stored, late.samples.rejected) == (50, 30)
    site.check(*jobs)
    assert site.query("SELECT count(*) FROM waiting_samples") == [(0,)]


def test_requeue_restarts_statistics_without_late_samples(
    site: Site, chance: random.Random
) -> None:
    now = utc_now()
    site.start_jobs("1", timestamp=now - timedelta(minutes=30))
    first_run = [sample("1", now - timedelta(minutes=20 + n), chance) for n in range(5)]
    second_run = [sample("1", now - timedelta(minutes=n), chance) for n in range(5)]
    site.post(body("n1", first_run[:3] + second_run[:2]))
    site.collect()
    requeued = started(job_id="1", timestamp=now - timedelta(minutes=10), restart_count=1)
    site.events.job_started(requeued, AUDIT)
    site.post(body("n1", first_run[3:]), site.sent.batch("n1", second_run))
    site.collect()
    assert site.statistics("1") == pytest.approx(site.sent.expected("1"))
    assert site.query("SELECT count(*) FROM metric_samples") == [(10,)]


def test_other_clusters_jobs_have_scoped_ids(site: Site, chance: random.Random) -> None:
    site.start_jobs("1", cluster_name="other")
    site.post(body("n1", [sample("1", utc_now(), chance)], cluster_name="other"))
    assert site.collect().samples.stored == 1
    assert site.query("SELECT job_id FROM metric_samples") == [("other.1",)]


def test_nodes_of_two_clusters_stay_apart(site: Site) -> None:
    home = {"memory_total_mb": 100}
    for cluster, host in ((None, home), ("b", {"cpus": 8}), ("lab", {"cpus": 4}), ("b", {})):
        named = {} if cluster is None else {"cluster_name": cluster}
        site.post(body("n1", [], host=host, **named))
    site.collect()
    site.post(body("n1", [], host={"gpus": 2}, cluster_name="b"))
    site.collect()
    columns = "cluster_name, name, cpus, memory_total_mb, gpus"
    found = site.query(f"SELECT {columns} FROM nodes ORDER BY cluster_name")
    assert found == [("b", "n1", 8, None, 2), ("lab", "n1", 4, 100, None)]


def test_latest_reading_of_gpu_is_kept(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    now = utc_now()

    def reading(seconds: int, percent: float) -> dict[str, Any]:
        gpu = {"gpu_id": "0", "gpu_vendor": "amd", "utilization_percent": percent}
        return sample("1", now - timedelta(seconds=seconds), chance, gpus=[gpu], gpu_usage=percent)

    site.post(body("n1", [reading(10, 50), reading(30, 30)]))
    site.collect()
    site.post(body("n1", [reading(20, 40)]))
    site.collect()
    assert site.query("SELECT utilization_percent FROM job_gpus") == [(50,)]
    assert site.query("SELECT count(*) FROM gpu_samples") == [(3,)]


def test_idle_node_is_stored(site: Site) -> None:
    site.post(body("n7", [], host={"cpus": 64, "cpu_load": 0.5, "gpus": 4}))
    site.post(body("n7", []))
    site.collect()
    ((cpus, load, gpus, recent),) = site.query(
        "SELECT cpus, cpu_load, gpus, now() - last_seen < interval '1 minute' FROM nodes"
    )
    assert (cpus, load, gpus, recent) == (64, 0.5, 4, True)


def test_parts_of_large_batch_keep_positions(
    chance: random.Random,
) -> None:
    now = utc_now()
    samples = [sample("1", now - timedelta(seconds=n), chance) for n in range(500)]
    whole = unpack(pack(body("n1", samples)))
    parts = [unpack(part) for part in messages(body("n1", samples), limit=2000)]
    assert len(parts) > 5
    assert [entry for part in parts for entry in part.entries] == list(whole.entries)
    assert [place for part in parts for place in part.positions] == list(range(500))


def test_small_messages_carry_large_batch(site: Site, chance: random.Random) -> None:
    class SmallQueue:
        max_body_bytes = 2000
        send = site.queue.send

    site.start_jobs("1")
    now = utc_now()
    samples = [sample("1", now - timedelta(seconds=n), chance) for n in range(500)]
    Ingestion(SmallQueue(), home_cluster="lab").accept(  # type: ignore[arg-type]
        site.sent.batch("n1", samples), principal_node="n1"
    )
    assert site.collect().messages > 5
    site.check("1")
