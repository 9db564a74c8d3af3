"""A query of slurmrestd that failed is never an empty answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hpcobs.domain.errors import JobNotFoundError, UnavailableError
from hpcobs.scheduler.slurm.client import SlurmrestdClient
from hpcobs.scheduler.slurm.source import SlurmJobSource
from tests.forwarder.fake_site import Reply
from tests.unit.scheduler.served import JOBS, NODES, TOKEN, UNKNOWN, source

if TYPE_CHECKING:
    from tests.forwarder.fake_site import Site


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
