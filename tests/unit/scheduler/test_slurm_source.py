"""Slurm's controller as a job source, on recorded responses over real HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.domain.errors import JobNotFoundError, UnavailableError
from hpcobs.domain.nodes import NodeReport
from hpcobs.http.schemas.sync import SeenJob
from hpcobs.scheduler.slurm import records
from hpcobs.scheduler.slurm.client import SlurmrestdClient
from hpcobs.scheduler.slurm.source import SlurmJobSource
from hpcobs.scheduler.slurm.values import exit_of, number, resources, time
from hpcobs_forwarder.controller.jobs import job_of
from tests.forwarder.fake_site import Reply, Site
from tests.forwarder.slurm_json import FIXTURES, RECORDED, as_newer

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS = (FIXTURES / "slurmrestd-v0.0.38-jobs.json").read_text()
NODES = (FIXTURES / "slurmrestd-v0.0.38-nodes.json").read_text()
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKEN = jwt.encode({"sun": "observer"}, "k" * 32)
UNKNOWN = {"errors": [{"error_number": 2017, "error": "Invalid job id specified"}], "jobs": []}


@pytest.fixture
def slurmrestd() -> Iterator[Site]:
    """Serve v0.0.38 only, like a slurmrestd of that version."""
    site = Site()
    site.usual = Reply(404, "Unable find requested URL")
    offer(site, "v0.0.38")
    yield site
    site.close()


def offer(site: Site, version: str) -> None:
    alone = json.dumps({"jobs": [RECORDED[0]], "errors": []})
    site.by_path = {
        f"/slurm/{version}/ping": Reply(200, "{}"),
        f"/slurm/{version}/jobs": Reply(200, JOBS),
        f"/slurm/{version}/nodes": Reply(200, NODES),
        f"/slurm/{version}/job/1": Reply(200, alone),
        f"/slurm/{version}/job/99": Reply(500, json.dumps(UNKNOWN)),
    }


def source(site: Site, version: str | None = "v0.0.38") -> SlurmJobSource:
    return SlurmJobSource(SlurmrestdClient(site.url, token=TOKEN, version=version), lambda: NOW)


def read(raw: dict[str, Any]) -> Any:
    return records.parse_jobs([msgspec.Raw(msgspec.json.encode(raw))], NOW)


@pytest.mark.parametrize("raw", RECORDED, ids=lambda raw: str(raw["job_id"]))
def test_record_parses_like_in_the_forwarder(raw: dict[str, Any]) -> None:
    posted = SeenJob.model_validate(job_of(raw), strict=False)
    expected = posted.to_event(observed_at=NOW, cluster_name="lab")
    assert read(raw) == [expected]


@pytest.mark.parametrize("raw", RECORDED, ids=lambda raw: str(raw["job_id"]))
def test_old_and_new_versions_give_same_job(raw: dict[str, Any]) -> None:
    assert read(as_newer(raw)) == read(raw)


def test_controllers_jobs_and_nodes_are_listed(slurmrestd: Site) -> None:
    job_source = source(slurmrestd)
    states = {job.job_id: job.raw_state for job in job_source.list_jobs()}
    assert len(states) == 23
    assert (states["3"], states["8"], states["23"]) == ("TIMEOUT", "CANCELLED", "RUNNING")
    assert job_source.list_nodes() == [
        NodeReport(
            node=name, state=state, cluster_name="lab", cpus=2, memory_total_mb=2000, gpus=2,
            cpu_load=load,
        )
        for name, state, load in (("n1", "mixed", 2.38), ("n2", "idle", 2.28))
    ]  # fmt: skip
    headers = slurmrestd.received[-1].headers
    assert headers["X-SLURM-USER-NAME"] == "observer"
    assert headers["X-SLURM-USER-TOKEN"] == TOKEN


def test_one_job_is_found_by_id(slurmrestd: Site) -> None:
    assert source(slurmrestd).get_job("1") == read(RECORDED[0])[0]
    assert source(slurmrestd).get_job_metrics("1") == ()


@pytest.mark.parametrize("job_id", ["99", "1/../2", "", "lab.1"])
def test_unknown_job_is_not_found(slurmrestd: Site, job_id: str) -> None:
    with pytest.raises(JobNotFoundError):
        source(slurmrestd).get_job(job_id)
    with pytest.raises(JobNotFoundError):
        source(slurmrestd).get_job_metrics(job_id)


def test_newest_version_is_found_again_after_upgrade(
    slurmrestd: Site,
) -> None:
    job_source = source(slurmrestd, version=None)
    assert len(job_source.list_jobs()) == 23
    offer(slurmrestd, "v0.0.41")
    with pytest.raises(UnavailableError):
        job_source.list_jobs()
    assert len(job_source.list_jobs()) == 23


EMPTY = '"jobs": [], "nodes": []'
UNSET = '{"set": false, "infinite": false, "number": 0}'
FULL = JOBS.strip()[:-1] + ', "nodes": ' + json.dumps(json.loads(NODES)["nodes"])
"""A response with all jobs and nodes, without its last brace."""


def with_last_update(value: str, records: str = EMPTY) -> Reply:
    return Reply(200, f'{{"errors": [], {records}, "last_update": {value}}}')


@pytest.mark.parametrize(
    "reply",
    [
        *(Reply(status, FULL + "}") for status in (201, 204, 206, 400, 404, 500, 502, 503)),
        Reply(500, '{"meta": {}, "errors": [], "jobs": [], "nodes": []}'),
        Reply(200, FULL[:-200]),
        Reply(200, FULL + "}}"),
        Reply(200, ""),
        Reply(200, "null"),
        Reply(200, "[]"),
        Reply(200, '{"errors": [], "jobs": null, "nodes": null}'),
        Reply(200, '{"errors": [], "jobs": {}, "nodes": {}}'),
        Reply(200, '{"errors": [], "jobs": "[]", "nodes": 0}'),
        *(
            Reply(200, f'{{"errors": {errors}, {EMPTY}}}')
            for errors in ('[{"error_number": 2017}]', "[{}]", "[null]", '["x"]', '"x"', "7", "{}7")
        ),
        Reply(200, FULL.replace('"errors": []', '"errors": [{"error_number": 1007}]', 1) + "}"),
        with_last_update("0"),
        with_last_update("0.0"),
        with_last_update("null"),
        with_last_update(UNSET),
        with_last_update('{"set": true, "infinite": false, "number": 0}'),
        with_last_update('{"set": true, "infinite": true, "number": 7}'),
        with_last_update("4294967294"),
        with_last_update('"x"'),
        with_last_update("{}"),
        Reply(200, FULL + ', "last_update": {"set": true, "number": 0}}'),
    ],
)
def test_failed_query_is_no_list(slurmrestd: Site, reply: Reply) -> None:
    slurmrestd.by_path = {}
    slurmrestd.usual = reply
    job_source = source(slurmrestd)
    with pytest.raises(UnavailableError):
        job_source.list_jobs()
    with pytest.raises(UnavailableError):
        job_source.list_nodes()


@pytest.mark.parametrize(
    "last_update", ["7", '{"set": true, "infinite": false, "number": 1795000000}']
)
def test_loaded_list_may_be_empty(slurmrestd: Site, last_update: str) -> None:
    slurmrestd.by_path = {}
    slurmrestd.usual = with_last_update(last_update)
    assert (source(slurmrestd).list_jobs(), source(slurmrestd).list_nodes()) == ([], [])
    slurmrestd.usual = Reply(200, f'{FULL}, "last_update": {last_update}}}')
    assert len(source(slurmrestd).list_jobs()) == 23


@pytest.mark.parametrize("status", [200, 404, 500])
def test_invalid_job_id_is_no_outage(slurmrestd: Site, status: int) -> None:
    slurmrestd.by_path["/slurm/v0.0.38/job/99"] = Reply(status, json.dumps(UNKNOWN))
    with pytest.raises(JobNotFoundError):
        source(slurmrestd).get_job("99")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, '{"errors": [], "jobs": []}'),
        Reply(500, json.dumps({**UNKNOWN, "errors": [*UNKNOWN["errors"], {"error_number": 1}]})),
        with_last_update("0"),
        Reply(404, "Unable find requested URL"),
    ],
)
def test_failed_query_leaves_job_unknown(slurmrestd: Site, reply: Reply) -> None:
    slurmrestd.by_path["/slurm/v0.0.38/job/99"] = reply
    with pytest.raises(UnavailableError):
        source(slurmrestd).get_job("99")


def test_odd_values_are_logged_once(slurmrestd: Site, caplog: pytest.LogCaptureFixture) -> None:
    odd = [
        {**RECORDED[0], "priority": "Infinity"},
        {**RECORDED[1], "job_state": "PERPLEXED"},
        {**RECORDED[2], "user_name": None, "user_id": []},
        {**RECORDED[3], "name": "\ud800"},
    ]
    slurmrestd.by_path["/slurm/v0.0.38/jobs"] = Reply(200, json.dumps({"jobs": odd}))
    job_source = source(slurmrestd)
    for _ in range(3):
        assert [job.job_id for job in job_source.list_jobs()] == ["1", str(RECORDED[3]["job_id"])]
    (message,) = caplog.messages
    for part in ("job 1: priority", "job 2 was skipped", "PERPLEXED", "job 3 was skipped"):
        assert part in message


def test_suspensions_are_computed_from_slurms_times() -> None:
    start = {"start_time": 1000, "pre_sus_time": 300}
    first, later = ({**start, "suspend_time": time_} for time_ in (1300, 1900))
    expected = [
        ("RUNNING", {**start, "suspend_time": 0}, 0, None),
        ("SUSPENDED", first, 0, 1300),
        ("RUNNING", later, 600, None),
        ("SUSPENDED", {**later, "pre_sus_time": 500}, 400, 1900),
        ("COMPLETED", later, 600, None),
        ("SUSPENDED+STOPPED", first, 0, 1300),
        ("PENDING", later, 0, None),
        ("RUNNING", {**later, "pre_sus_time": "x"}, 0, None),
        ("RUNNING", {**later, "suspend_time": 900}, 0, None),
    ]
    for state, times, seconds, since in expected:
        (job,) = read({**RECORDED[0], "job_state": state, **times})
        began = since and datetime.fromtimestamp(since, UTC)
        assert (job.suspended_seconds, job.suspended_since) == (seconds, began), (state, times)


@pytest.mark.parametrize("nodes", ["", None, "None assigned", "(null)"])
def test_job_cancelled_while_waiting_never_started(nodes: str | None) -> None:
    times = {"start_time": 1000, "end_time": 1000, "nodes": nodes}
    (job,) = read({**RECORDED[0], "job_state": "CANCELLED", **times})
    assert (job.start_time, job.end_time) == (None, datetime.fromtimestamp(1000, UTC))
    (ran,) = read({**RECORDED[0], "job_state": "CANCELLED", **times, "nodes": "n1"})
    assert ran.start_time == ran.end_time


def test_waiting_tasks_share_their_range() -> None:
    waiting = {
        **RECORDED[0],
        "job_state": "PENDING",
        "array_job_id": 9,
        "array_task_string": "0-9%2",
    }
    none = {"set": False, "infinite": False, "number": 0}
    assert [
        read({**waiting, "array_task_id": task_id})[0].array_task_id
        for task_id in (2**32 - 2, none, None, 4)
    ] == ["0-9%2", "0-9%2", "0-9%2", "4"]
    assert read({**waiting, "array_job_id": 0})[0].array_task_id is None


@pytest.mark.parametrize("reason", ["None", "", None, "(null)", 7])
def test_absent_reason_is_left_out(reason: Any) -> None:
    (job,) = read({**RECORDED[0], "state_reason": reason})
    assert job.state_reason in (None, "7")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(401, "Authentication failure"),
        Reply(500, '{"errors": [{"error": "Unable to contact slurm controller"}], "jobs": []}'),
        Reply(200, '{"errors": []}'),
        Reply(200, "<html>"),
        Reply(302, "", (("Location", "http://127.0.0.1:9/"),)),
        Reply(404, "{}"),
    ],
)
def test_invalid_response_is_no_empty_cluster(slurmrestd: Site, reply: Reply) -> None:
    slurmrestd.by_path = {}
    slurmrestd.usual = reply
    with pytest.raises(UnavailableError) as caught:
        source(slurmrestd).list_jobs()
    with pytest.raises(UnavailableError):
        source(slurmrestd).list_nodes()
    assert TOKEN not in str(caught.value)


def test_unreachable_slurmrestd_is_unavailable(slurmrestd: Site) -> None:
    job_source = source(slurmrestd, version=None)
    slurmrestd.planned = [Reply(404)] * 100
    with pytest.raises(UnavailableError, match=r"offers no API from v0\.0\.36"):
        job_source.list_jobs()
    with pytest.raises(UnavailableError, match="does not respond"):
        SlurmJobSource(SlurmrestdClient("http://127.0.0.1:9", token=None)).list_jobs()


def test_invalid_job_affects_no_other(slurmrestd: Site) -> None:
    odd = [{"job_id": []}, {**RECORDED[1], "job_state": "PERPLEXED"}, 7, RECORDED[0]]
    slurmrestd.by_path["/slurm/v0.0.38/jobs"] = Reply(200, json.dumps({"jobs": odd}))
    assert [job.job_id for job in source(slurmrestd).list_jobs()] == ["1"]


@given(
    st.dictionaries(
        st.sampled_from(sorted(RECORDED[0])),
        st.none() | st.integers(-1, 2**64 - 1) | st.text(max_size=4) | st.lists(st.text()),
    )
)
def test_odd_record_never_stops_parsing(changed: dict[str, Any]) -> None:
    assert len(read({**RECORDED[0], **changed})) <= 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        (65534, 65534),
        (2**32 - 2, None),
        (2**64 - 1, None),
        (-1, None),
        ({"set": True, "number": 3}, 3),
        ({"set": True, "infinite": False, "number": 0}, 0),
        ({"set": True, "infinite": True, "number": 3}, None),
        ({"set": False, "number": 3}, None),
        ({"number": 3}, None),
        ({}, None),
        (3.0, 3),
        (float("inf"), None),
        (float("nan"), None),
        ("Infinity", None),
        ("3", None),
        (True, None),
        ([3], None),
        (2**63, None),
        (2**1100, None),
        ({"set": True, "number": "Infinity"}, None),
        ({"set": True, "number": float("inf")}, None),
        ({"set": True, "number": {"number": 3}}, None),
    ],
    ids=lambda value: repr(value)[:20] if isinstance(value, (str, dict, float)) else None,
)
def test_slurms_notations_of_no_number_are_known(value: Any, expected: int | None) -> None:
    assert number(value) == expected


def test_time_beyond_api_range_is_dropped() -> None:
    years = (datetime(2199, 12, 31, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
    last, beyond = (int(year.timestamp()) for year in years)
    assert time(last) == years[0]
    assert [time(value) for value in (0, beyond, 253402300800, 2**63)] == [None] * 4


def test_exit_code_is_parsed_in_every_wrapping() -> None:
    assert exit_of(3 << 8) == (3, 0)
    assert exit_of({"set": True, "number": 15}) == (0, 15)
    assert exit_of({"return_code": 9}) == (9, 0)
    assert exit_of({"return_code": {"set": True, "number": 9}, "signal": "x"}) == (9, 0)
    assert exit_of({"return_code": 2**40, "signal": {"signal_id": 2**40}}) == (None, None)
    assert exit_of("0:15") == (None, None)
    assert exit_of(None) == (None, None)


def test_resources_are_parsed_from_slurms_text() -> None:
    read = resources("cpu=4,mem=1.50G,gres/gpu:a100=1,gres/gpu:v100=2", "cpu=8,mem=512K,gres/gpu=3")
    assert (read.requested_cpus, read.requested_memory_mb, read.requested_gpus) == (4, 1536, 3)
    assert (read.allocated_cpus, read.allocated_memory_mb, read.allocated_gpus) == (8, 0, 3)
