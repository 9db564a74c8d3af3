"""Bodies become the domain's types, and no field is lost."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.auth.principal import Principal
from hpcobs.domain.errors import ForbiddenError, InvalidStateError
from hpcobs.domain.events import FinishSource, StartSource
from hpcobs.domain.jobs import GpuVendor, Job, Resources, SchedulerInfo, SchedulerType
from hpcobs.domain.lifecycle.job_from_event import Origin
from hpcobs.domain.samples import Sample
from hpcobs.domain.states import JobState
from hpcobs.http import serializers
from hpcobs.http.request import NODE_SOURCES, Request
from hpcobs.http.schemas import job_fields
from hpcobs.http.schemas.events import FinishedEvent, StartedEvent
from hpcobs.http.schemas.jobs import NewJob, NewSample, NewScheduler
from hpcobs.http.schemas.sync import SeenJob, SeenNode, StateSync
from hpcobs.http.validation import parse_body
from hpcobs.wire.samples import SampleEntry
from tests.builders import at

if TYPE_CHECKING:
    from hpcobs.domain.events import JobFinished, JobStarted, SchedulerJob

T0 = datetime(2026, 11, 2, 8, tzinfo=UTC)
ORIGIN = Origin(home_cluster="lab", scheduler_type=SchedulerType.MOCK, ingest_version="9")

RESOURCES: dict[str, Any] = {
    "requested_cpus": 1,
    "allocated_cpus": 2,
    "requested_memory_mb": 3,
    "allocated_memory_mb": 4,
    "requested_gpus": 5,
    "allocated_gpus": 6,
}
GPUS: dict[str, Any] = {
    "gpu_vendor": "nvidia",
    "gpu_devices": ["0", "1"],
    "cgroup_path": "/slurm/job_1",
}
SCHEDULER: dict[str, Any] = {
    "type": "mock",
    "external_job_id": "77",
    "raw_state": "RUNNING",
    "submit_time": "2026-11-02T07:00:00Z",
    "partition": "main",
    "account": "physics",
    "qos": "normal",
    "priority": 2**63 - 1,
    "exit_code": 0,
    "signal": 0,
    "state_reason": "Priority",
    "time_limit_minutes": 60,
    "extra": {"comment": "hi"},
}
ARRAY = {"array_job_id": "1", "array_task_id": "3"}


def parsed(model: type[Any], **values: Any) -> Any:
    return parse_body(model, json.dumps(values).encode())


def unset(value: object) -> set[str]:
    return {field.name for field in fields(value) if getattr(value, field.name) in (None, (), 0)}  # type: ignore[arg-type]


def new_job(**values: Any) -> Job:
    body: NewJob = parsed(NewJob, **{"id": "1", "user": "ada", "nodes": ["n1"], **values})
    return body.to_job(ORIGIN, now=T0)


def started(**values: Any) -> JobStarted:
    given = {"job_id": "1", "user": "ada", "node_list": ["n1"], "timestamp": "2026-11-02T08:00:00Z"}
    body: StartedEvent = parsed(StartedEvent, **{**given, **values})
    return body.to_event()


def finished(**values: Any) -> JobFinished:
    given = {"job_id": "1", "final_state": "completed", "timestamp": "2026-11-02T08:00:00Z"}
    body: FinishedEvent = parsed(FinishedEvent, **{**given, **values})
    return body.to_event()


def incoming(**values: Any) -> SchedulerJob:
    body: SeenJob = parsed(SeenJob, **{"job_id": "1", "user": "ada", "state": "RUNNING", **values})
    return body.to_event(observed_at=T0, cluster_name=None)


def test_new_job_starts_now_on_home_cluster() -> None:
    job = new_job()
    assert (job.state, job.start_time, job.cluster_name) == (JobState.RUNNING, T0, "lab")
    assert job.scheduler == SchedulerInfo(type=SchedulerType.MOCK, external_job_id="1")


def test_new_job_keeps_every_field() -> None:
    job = new_job(
        start_time="2026-11-02T07:30:00Z",
        name="heat",
        scheduler_instance="ctl",
        restart_count=2,
        scheduler=SCHEDULER,
        **RESOURCES,
        **GPUS,
        **ARRAY,
    )
    assert unset(job.resources) == {"cpus_per_node"}
    assert job.scheduler is not None
    assert unset(job.scheduler) == {"exit_code", "signal"}
    assert job.start_time == T0 - timedelta(minutes=30)
    assert (job.name, job.scheduler_instance, job.restart_count) == ("heat", "ctl", 2)
    assert (job.array_job_id, job.array_task_id, job.ingest_version) == ("1", "3", "9")


def test_foreign_job_id_has_cluster_prefix() -> None:
    job = new_job(cluster_name="other")
    assert (job.id, job.cluster_name) == ("other.1", "other")
    assert new_job(cluster_name="lab").id == "1"


def test_start_keeps_every_field() -> None:
    event = started(
        node="n1",
        source="prolog_slurmctld",
        cpu_allocation=4,
        cpus_per_node="4",
        memory_allocation_mb=1024,
        gpu_allocation=2,
        partition="main",
        account="physics",
        cluster_name="lab",
        name="heat",
        restart_count=1,
        **GPUS,
        **ARRAY,
    )
    assert unset(event) == set()
    assert event.resources == Resources(
        allocated_cpus=4,
        allocated_memory_mb=1024,
        allocated_gpus=2,
        gpu_vendor=GpuVendor.NVIDIA,
        gpu_devices=("0", "1"),
        cpus_per_node=(4,),
        cgroup_path="/slurm/job_1",
    )


def test_end_keeps_every_field() -> None:
    event = finished(
        exit_code=3,
        signal=11,
        node="n1",
        node_list="n[1-2]",
        user="ada",
        cluster_name="lab",
        restart_count=1,
        source="epilog_slurmctld",
    )
    assert unset(event) == set()
    assert event.nodes == ("n1", "n2")


def test_controllers_view_keeps_every_field() -> None:
    of_scheduler = {
        key: value
        for key, value in SCHEDULER.items()
        if key not in ("type", "external_job_id", "raw_state")
    }
    event = incoming(
        state="CANCELLED by 1000",
        node_list="n[1-2]",
        start_time="2026-11-02T08:00:00Z",
        end_time="2026-11-02T09:00:00Z",
        suspended_seconds=60,
        suspended_since="2026-11-02T08:30:00Z",
        name="heat",
        restart_count=1,
        **of_scheduler,
        **RESOURCES,
        **ARRAY,
    )
    assert unset(event) == {"cluster_name", "exit_code", "signal"}
    assert unset(event.resources) == {
        "gpu_vendor",
        "gpu_devices",
        "cpus_per_node",
        "cgroup_path",
    }
    assert (event.state, event.raw_state) == (JobState.CANCELLED, "CANCELLED by 1000")


def test_unknown_state_is_an_error() -> None:
    with pytest.raises(InvalidStateError):
        incoming(state="DANCING")


def test_node_report_keeps_every_field() -> None:
    node: SeenNode = parsed(
        SeenNode, node="n1", state="IDLE+DRAIN", cpus=4, memory_total_mb=1, gpus=0, cpu_load=0.5
    )
    report = node.to_report(observed_at=at(5), cluster_name="lab")
    assert (report.state, report.cluster_name, report.cpu_load) == ("idle+drain", "lab", 0.5)
    assert report.observed_at == at(5)


def test_sample_may_lack_its_node() -> None:
    body: NewSample = parsed(
        NewSample, timestamp="2026-11-02T08:00:00Z", cpu_usage=1, memory_usage_mb=2
    )
    assert body.to_sample("1", now=T0).node == ""


def test_sync_entries_are_validated_one_by_one() -> None:
    good = {"job_id": "2", "user": "ada", "state": "RUNNING"}
    sync: StateSync = parsed(
        StateSync,
        observed_at="2026-11-02T08:00:00Z",
        jobs=[
            {"job_id": "1"}, good, 5, {**good, "job_id": "3", "state": "DANCING"},
            {**good, "job_id": "4"},
        ],
        nodes=[{"node": "n1", "state": "IDLE"}, {"node": "n,2", "state": "IDLE"}, None],
    )  # fmt: skip
    entries = sync.entries()
    assert [job.job_id for job in entries.jobs] == ["2", "4"]
    assert [node.node for node in entries.nodes] == ["n1"]
    answer = entries.response_body(
        [{"status": "created", "job_id": job.job_id, "message": ""} for job in entries.jobs]
    )
    assert [(item["job_id"], item["status"]) for item in answer["results"]] == [
        ("1", "failed"), ("2", "created"), ("", "failed"), ("3", "failed"), ("4", "created"),
    ]  # fmt: skip
    assert "user" in answer["results"][0]["message"]
    assert [node["node"] for node in answer["rejected_nodes"]] == ["n,2", ""]


def request_of(node: str | None) -> Request:
    principal = Principal(subject="x", scopes=frozenset({"events:write"}), node=node)
    return Request(
        principal=principal,
        correlation_id="1",
        headers={},
        path_parameters={},
        query="",
        body=b"",
    )


def test_node_may_send_its_own_events() -> None:
    request_of("n1").check_sender(started(node="n1"), home_cluster="lab")
    request_of("n1").check_sender(finished(node="n1"), home_cluster="lab")


@pytest.mark.parametrize(
    "event",
    [
        started(node="n2", node_list=["n2"]),
        started(),
        finished(),
        finished(node="n2"),
        started(node="n1", source="prolog_slurmctld"),
        finished(node="n1", source="epilog_slurmctld"),
        started(node="n1", node_list=["n2"]),
        finished(node="n1", node_list=["n2"]),
    ],
)
def test_node_may_send_no_other_events(event: JobStarted | JobFinished) -> None:
    with pytest.raises(ForbiddenError):
        request_of("n1").check_sender(event, home_cluster="lab")


def test_node_may_not_send_controllers_view() -> None:
    with pytest.raises(ForbiddenError):
        request_of("n1").check_controller()


def test_unbound_token_may_send_any_event() -> None:
    request_of(None).check_sender(started(), home_cluster="lab")
    request_of(None).check_controller()


def test_node_may_send_only_hooks_sources() -> None:
    assert NODE_SOURCES == (StartSource.PROLOG, FinishSource.EPILOG)


def test_posted_sample_has_fields_of_domains_sample() -> None:
    posted = set(NewSample.model_fields)
    assert posted < set(Sample._fields)
    assert posted < {*SampleEntry.__struct_fields__, "node"}
    assert list(serializers.sample(Sample("1", T0, "n1", 5, 6, 7))) == [
        name for name in Sample._fields if name in posted
    ]


def test_shared_job_fields_are_declared_once() -> None:
    classes = [kind for kind in vars(job_fields).values() if _is_declared_there(kind)]
    names = [name for kind in classes for name in vars(kind).get("__annotations__", ())]
    assert len(names) == len(set(names)) > 20
    for model in (NewScheduler, NewJob, StartedEvent, FinishedEvent, StateSync, SeenJob):
        assert not set(names) & set(model.__annotations__), model


def _is_declared_there(kind: object) -> bool:
    return isinstance(kind, type) and kind.__module__ == job_fields.__name__
