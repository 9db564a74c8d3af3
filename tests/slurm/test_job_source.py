"""The collector reads a real slurmctld through slurmrestd, without hooks or forwarders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.domain.errors import JobNotFoundError, UnavailableError
from hpcobs.scheduler.slurm.client import SlurmrestdClient
from hpcobs.scheduler.slurm.source import SlurmJobSource
from hpcobs.service.scheduler_sync import SchedulerSync
from tests.collector.conftest import Site, connect, query, site
from tests.slurm.lab import CLUSTER, NODES, Slurm, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.slurm.releases import Release

__all__ = ["connect", "query", "site"]

pytestmark = pytest.mark.each_release

ENDS = {"true": "COMPLETED", "exit 3": "FAILED", "exec sleep 300": "CANCELLED"}


@pytest.fixture(scope="module")
def slurm(release: Release) -> Iterator[Slurm]:
    """Start Slurm alone."""
    slurm = Slurm(release)
    try:
        slurm.configure({})
        yield slurm.start()
    finally:
        slurm.stop()


@pytest.fixture(scope="module")
def ids(slurm: Slurm) -> dict[str, str]:
    """Run jobs to their ends. Return their ids by their scripts."""
    ids = {script: slurm.submit(script, "--gres=gpu:1", "-N2") for script in ENDS}
    slurm.wait_for(ids["exec sleep 300"], "RUNNING")
    slurm.cancel(ids["exec sleep 300"])
    for script, state in ENDS.items():
        slurm.wait_for(ids[script], state)
    until(lambda: slurm.idle_nodes() == len(NODES))
    return ids


@pytest.fixture
def source(slurm: Slurm) -> SlurmJobSource:
    return SlurmJobSource(SlurmrestdClient(slurm.rest_url, token=slurm.token()))


def test_listed_jobs_equal_those_of_scontrol(
    slurm: Slurm, ids: dict[str, str], source: SlurmJobSource
) -> None:
    listed = {job.job_id: job for job in source.list_jobs()}
    assert listed.keys() >= set(ids.values())
    for script, raw_state in ENDS.items():
        job, shown = listed[ids[script]], slurm.job(ids[script])
        assert (job.raw_state, job.cluster_name, job.nodes) == (raw_state, CLUSTER, NODES)
        assert f"{job.exit_code}:{job.signal}" == shown["ExitCode"]
        assert (job.user, job.name) == ("www-data", "wrap")
        assert source.get_job(ids[script]).raw_state == raw_state
        assert source.get_job_metrics(ids[script]) == ()


def test_running_job_has_gpus_of_all_nodes(slurm: Slurm, source: SlurmJobSource) -> None:
    job_id = slurm.submit("exec sleep 300", "--gres=gpu:1", "-N2")
    slurm.wait_for(job_id, "RUNNING")
    assert source.get_job(job_id).resources.allocated_gpus == 2
    slurm.cancel(job_id)
    slurm.wait_for(job_id, "CANCELLED")


def test_unknown_job_is_not_found(source: SlurmJobSource) -> None:
    with pytest.raises(JobNotFoundError):
        source.get_job("4242")


def test_nodes_are_listed(source: SlurmJobSource) -> None:
    source.list_jobs()
    nodes = {node.node: node for node in source.list_nodes()}
    assert tuple(sorted(nodes)) == NODES
    assert {(node.cpus, node.memory_total_mb, node.gpus) for node in nodes.values()} == {
        (4, 2000, 2)
    }


def test_unknown_token_is_rejected(slurm: Slurm) -> None:
    with pytest.raises(UnavailableError, match="SLURM_AUTH_TOKEN is valid"):
        SlurmJobSource(SlurmrestdClient(slurm.rest_url, token="e30.e30.x")).list_jobs()


def test_collector_pass_stores_the_controllers_jobs(
    ids: dict[str, str], source: SlurmJobSource, site: Site
) -> None:
    syncing: dict[str, Any] = {
        "scheduler_sync": SchedulerSync(source, site.events, scheduler="slurm")
    }
    assert site.collect(**syncing).jobs_changed >= len(ids)
    assert site.collect(**syncing).jobs_changed == 0
    states: dict[str, str] = dict(site.query("SELECT id, raw_state FROM jobs"))
    for script, raw_state in ENDS.items():
        assert states[ids[script]] == raw_state
