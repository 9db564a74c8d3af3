"""Good input at the edges of the limits: stored as posted, and never a 5xx."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.functions.gateway import Gateway

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

TEXT = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=255
)
MAYBE = st.none() | TEXT
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+\[\]-]{0,40}", fullmatch=True)
# A few ids, so that events meet jobs that are there already, in every state.
FEW_IDS = st.sampled_from(["1", "2", "3_[4]", "het+1"])
NODES = st.lists(
    st.sampled_from(["n1", "n2", "it's", 'a"b', "a\\b", "ä"]), min_size=1, max_size=4, unique=True
)
TIMES = st.sampled_from(["2026-11-02T08:00:00Z", "2026-11-02T09:00:00Z"]) | st.integers(
    0, int(datetime(2199, 12, 31, tzinfo=UTC).timestamp())
).map(lambda seconds: datetime.fromtimestamp(seconds, UTC).isoformat())
INT4 = st.integers(0, 2**31 - 1)
MEMORY = st.integers(0, 2**40)
PERCENT = st.floats(0, 100)
CLUSTER = st.none() | st.sampled_from(["lab", "other"])
RESTARTS = st.none() | st.integers(0, 3) | INT4


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


NEW_JOBS = st.builds(
    lambda required, optional: {**optional, **required},
    st.fixed_dictionaries({"id": IDS, "user": TEXT, "nodes": NODES}),
    some(
        start_time=TIMES,
        name=MAYBE,
        array_job_id=MAYBE,
        array_task_id=MAYBE,
        restart_count=RESTARTS,
        allocated_cpus=INT4,
        requested_memory_mb=MEMORY,
        gpu_vendor=st.sampled_from(["none", "nvidia", "amd", "mixed", None]),
        gpu_devices=st.lists(TEXT, max_size=3),
        cgroup_path=TEXT,
        scheduler=some(
            partition=MAYBE,
            account=MAYBE,
            priority=st.integers(-(2**63), 2**63 - 1),
            exit_code=st.integers(-(2**31), 2**31 - 1),
            submit_time=TIMES,
            extra=st.dictionaries(TEXT, TEXT, max_size=3),
        ),
    ),
)
STARTS = st.builds(
    lambda required, optional: {**optional, **required},
    st.fixed_dictionaries(
        {"job_id": FEW_IDS, "user": TEXT, "node_list": NODES, "timestamp": TIMES}
    ),
    some(
        node=st.sampled_from(["n1", "n2"]),
        name=MAYBE,
        account=MAYBE,
        cluster_name=CLUSTER,
        cpu_allocation=INT4,
        memory_allocation_mb=MEMORY,
        gpu_devices=st.lists(TEXT, max_size=3),
        restart_count=RESTARTS,
        source=st.sampled_from(["prolog", "prolog_slurmctld"]),
    ),
)
ENDS = st.builds(
    lambda required, optional: {**optional, **required},
    st.fixed_dictionaries(
        {
            "job_id": FEW_IDS,
            "timestamp": TIMES,
            "final_state": st.sampled_from(["completed", "failed", "cancelled", "running"]),
        }
    ),
    some(
        exit_code=st.integers(-(2**31), 2**31 - 1),
        signal=INT4,
        node=st.sampled_from(["n1", "n2"]),
        node_list=NODES | st.just([]),
        user=MAYBE,
        cluster_name=CLUSTER,
        restart_count=RESTARTS,
        source=st.sampled_from(["epilog", "epilog_slurmctld"]),
    ),
)
SEEN_JOBS = st.builds(
    lambda required, optional: {**optional, **required},
    st.fixed_dictionaries(
        {
            "job_id": FEW_IDS,
            "user": TEXT,
            "state": st.sampled_from(
                ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED by 1", "TIMEOUT+", "ODD"]
            ),
        }
    ),
    some(
        node_list=NODES | st.just([]) | st.just("n[1-2]"),
        submit_time=TIMES,
        start_time=TIMES,
        end_time=TIMES,
        name=MAYBE,
        state_reason=MAYBE,
        priority=st.integers(-(2**63), 2**63 - 1),
        restart_count=RESTARTS,
        time_limit_minutes=INT4,
        extra=st.dictionaries(TEXT, TEXT, max_size=3),
    ),
)
SAMPLES = st.builds(
    lambda required, optional: {**optional, **required},
    st.fixed_dictionaries({"timestamp": TIMES, "cpu_usage": PERCENT, "memory_usage_mb": MEMORY}),
    some(gpu_usage=st.none() | PERCENT, node=st.sampled_from(["n1", "n2", "elsewhere"])),
)


@given(body=NEW_JOBS)
@FUZZ
def test_job_is_stored_as_posted(shared_site: Gateway, body: dict[str, Any]) -> None:
    created = shared_site.post("/v1/jobs", body)
    assert created.status in (201, 409)
    if created.status == 409:
        return
    found = shared_site.get(f"/v1/jobs/{body['id']}").json
    for name, value in body.items():
        if name not in ("scheduler", "start_time") and value not in (None, []):
            assert found[name] == value
    stored = {**found, "runtime_seconds": 0}
    assert stored == {**created.json, "runtime_seconds": 0}


@given(start=STARTS, end=ENDS, sample=SAMPLES)
@FUZZ
def test_no_order_of_events_causes_a_5xx(
    shared_site: Gateway, start: dict[str, Any], end: dict[str, Any], sample: dict[str, Any]
) -> None:
    assert shared_site.post("/v1/events/job-finished", end).status in (200, 400, 404)
    assert shared_site.post("/v1/events/job-started", start).status == 200
    sampled = shared_site.post(f"/v1/jobs/{start['job_id']}/metrics", sample)
    assert sampled.status in (200, 201, 404, 409) or "timestamp" in sampled.json["message"]
    assert shared_site.post("/v1/events/job-finished", end).status in (200, 400, 404)


@given(jobs=st.lists(SEEN_JOBS, max_size=5), observed_at=TIMES)
@FUZZ
def test_every_job_of_sync_has_a_result(
    shared_site: Gateway, jobs: list[dict[str, Any]], observed_at: str
) -> None:
    answer = shared_site.post("/v1/events/jobs", {"observed_at": observed_at, "jobs": jobs})
    assert answer.status == 200
    assert [item["job_id"] for item in answer.json["results"]] == [job["job_id"] for job in jobs]
    for job, item in zip(jobs, answer.json["results"], strict=True):
        assert (item["status"] == "failed") == (job["state"] == "ODD"), item


@given(
    query=st.dictionaries(
        st.sampled_from(["user", "node", "partition", "account", "cluster", "q"]), TEXT, max_size=3
    )
)
@FUZZ
def test_no_filter_causes_a_5xx(shared_site: Gateway, query: dict[str, str]) -> None:
    from urllib.parse import urlencode

    assert shared_site.get("/v1/jobs", query=urlencode(query)).status in (200, 400)
