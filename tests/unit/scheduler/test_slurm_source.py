"""Slurm's controller as a job source, on recorded responses over real HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.domain.errors import JobNotFoundError, UnavailableError
from hpcobs.domain.nodes import NodeReport
from hpcobs.http.schemas.sync import SeenJob
from hpcobs_forwarder.controller.jobs import job_of
from tests.forwarder.fake_site import Reply
from tests.forwarder.slurm_json import RECORDED, as_newer
from tests.unit.scheduler.served import NOW, TOKEN, offer, read, source

if TYPE_CHECKING:
    from tests.forwarder.fake_site import Site


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
