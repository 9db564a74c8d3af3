"""``hpcobs jobs`` and ``hpcobs job`` against a real service."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.certificates import self_signed, server_context
from tests.forwarder.fake_site import Reply, Site
from tests.local.services import COMMAND, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Run
    from tests.local.services import Service


NOW = datetime.now(UTC)


def job(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "user": "ada",
        "nodes": ["n1"],
        "start_time": (NOW - timedelta(minutes=10 - number)).isoformat(),
        **fields,
    }


@pytest.fixture(scope="module", autouse=True)
def _jobs(service: Service) -> None:
    """Create job 1 with samples on two nodes, failed job 2, and job 3 with a hostile name."""
    with service.client() as client:
        nodes = ["n1", "n2"]
        given = {"allocated_cpus": 8, "allocated_memory_mb": 2048, "name": "solver"}
        assert client.post("/v1/jobs", json=job(1, nodes=nodes, **given)).status_code == 201
        for minute, node in enumerate(nodes):
            sample = {
                "timestamp": (NOW - timedelta(minutes=5 - minute)).isoformat(),
                "cpu_usage": 75.0,
                "memory_usage_mb": 512,
                "node": node,
            }
            assert client.post("/v1/jobs/1/metrics", json=sample).status_code == 201
        assert client.post("/v1/jobs", json=job(2, user="grace")).status_code == 201
        assert client.patch("/v1/jobs/2", json={"state": "failed"}).status_code == 200
        assert client.post("/v1/jobs", json=job(3, name="[red]\x1b[2J")).status_code == 201


@pytest.fixture
def local(run: Run, service: Service) -> Run:
    """Return a function that runs a command on the local service."""
    return lambda *arguments: run(*arguments, "--data-dir", str(service.folder))


def test_jobs_are_listed_newest_first(local: Run) -> None:
    result = local("jobs")
    lines = result.output.splitlines()
    assert result.status == 0
    assert lines[0].split()[:4] == ["JOB", "NAME", "USER", "STATE"]
    assert [line.split()[0] for line in lines[1:]] == ["3", "2", "1"]
    assert lines[3].split()[1:6] == ["solver", "ada", "running", "-", "n1,n2"]


def test_narrow_terminal_cuts_names_and_keeps_ids(
    local: Run, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service.client() as client:
        long = {"name": "n" * 100, "user": "u" * 40, "nodes": [f"node-{n}" for n in range(9)]}
        body = job(4, id="4711_array.task", scheduler={"partition": "p" * 40}, **long)
        assert client.post("/v1/jobs", json=body).status_code == 201
    monkeypatch.setenv("COLUMNS", "80")
    lines = local("jobs").output.splitlines()
    with service.client() as client:
        client.delete("/v1/jobs/4711_array.task")
    assert {len(line.rstrip()) <= 80 for line in lines} == {True}
    assert len(lines) == 5
    assert lines[1].split()[0] == "4711_array.task"
    assert " running " in lines[1]
    assert lines[1].split()[-3:] == ["-", "-", "-"]
    assert "n…" in lines[1]


def test_filters_reach_the_service(local: Run) -> None:
    assert [found["id"] for found in listed(local("jobs", "--json", "--state", "failed"))] == ["2"]
    assert [found["id"] for found in listed(local("jobs", "--json", "--node", "n2"))] == ["1"]
    assert [found["id"] for found in listed(local("jobs", "--json", "--user", "grace"))] == ["2"]
    assert [found["id"] for found in listed(local("jobs", "--json", "-q", "sol"))] == ["1"]
    after = (NOW - timedelta(minutes=8, seconds=30)).isoformat()
    later = listed(local("jobs", "--json", "--started-after", after))
    assert [found["id"] for found in later] == ["3", "2"]


def listed(result: Any) -> list[dict[str, Any]]:
    assert result.status == 0, result.errors
    jobs: list[dict[str, Any]] = json.loads(result.output)["jobs"]
    return jobs


def test_partial_list_shows_total(local: Run) -> None:
    assert "1 of 3 jobs" in local("jobs", "--limit", "1").output


def test_cursor_gets_next_page(local: Run) -> None:
    first = json.loads(local("jobs", "--json", "--limit", "2").output)
    second = listed(local("jobs", "--json", "--limit", "2", "--cursor", first["next_cursor"]))
    assert [found["id"] for found in [*first["jobs"], *second]] == ["3", "2", "1"]


def test_empty_list_has_message(local: Run) -> None:
    result = local("jobs", "--user", "nobody")
    assert (result.status, result.output) == (0, "no matching jobs\n")


def test_names_are_neither_markup_nor_control_codes(local: Run) -> None:
    output = local("jobs").output
    assert "[red]" in output
    assert "\x1b" not in output


def test_job_has_charts_per_node(local: Run) -> None:
    output = local("job", "1").output
    assert "Job 1  running" in output
    assert "8 CPUs · 2.0 GB" in output
    assert "average 75 %" in output
    charts = output[output.index("OVER TIME") :]
    assert [line.split()[0] for line in charts.splitlines()[1:]] == ["n1", "memory", "n2", "memory"]
    assert "▆" in charts


def test_narrow_terminal_has_shorter_charts(
    local: Run, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = "gpu-node-0123.cluster.example.org"
    began = NOW - timedelta(hours=1)
    with service.client() as client:
        body = job(5, nodes=[node]) | {"start_time": began.isoformat()}
        assert client.post("/v1/jobs", json=body).status_code == 201
        for minute in range(60):
            sample = {"cpu_usage": 100 * (minute > 58), "memory_usage_mb": 5, "node": node}
            sample["timestamp"] = (began + timedelta(minutes=minute)).isoformat()
            assert client.post("/v1/jobs/5/metrics", json=sample).status_code == 201
    monkeypatch.setenv("COLUMNS", "80")
    output = local("job", "5").output
    with service.client() as client:
        client.delete("/v1/jobs/5")
    chart = [line.rstrip() for line in output[output.index("OVER TIME") :].splitlines()[1:]]
    assert max(map(len, chart)) <= 80
    cpu, memory = chart
    assert cpu.split()[:2] == ["gpu-node-0123.clust…", "CPU"]
    assert cpu[-1] != "▁"
    assert memory.split()[0] == "memory"
    assert len(memory.split()[1]) >= 40


def test_ascii_terminal_gets_question_marks(service: Service, tmp_path: Path) -> None:
    environ = {"PYTHONIOENCODING": "ascii"}
    shown = run_command("job", "1", f"--data-dir={service.folder}", cwd=tmp_path, environ=environ)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "OVER TIME" in shown.stdout
    assert "CPU     ?" in shown.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_full_disk_prints_one_line(service: Service, more: tuple[str, ...]) -> None:
    command = [*COMMAND, "jobs", f"--data-dir={service.folder}", *more]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 1
    assert ended.stderr == b"hpcobs: the output: No space left on device\n"


def test_job_without_samples_has_message(local: Run) -> None:
    assert "no samples yet" in local("job", "2").output


def test_job_as_json_equals_api_response(local: Run, service: Service) -> None:
    shown = json.loads(local("job", "2", "--json").output)
    assert shown == service.get("/v1/jobs/2")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["job", "99"], "job 99 not found (404)"),
        (["job", "../health"], "(400)"),
        (["jobs", "--started-after", "yesterday"], "started_after"),
        (["jobs", "--token", "nonsense"], "the token is not valid (401)"),
        (["jobs", "--token-file", "nowhere"], "cannot read nowhere: No such file"),
    ],
)
def test_failure_prints_one_line(arguments: list[str], complaint: str, local: Run) -> None:
    result = local(*arguments)
    assert (result.status, result.output) == (1, "")
    assert result.errors.startswith("hpcobs: ")
    assert complaint in result.errors
    assert result.errors.count("\n") == 1


def test_unknown_state_is_usage_error(local: Run) -> None:
    assert local("jobs", "--state", "dead").status == 2


def test_service_is_given_by_option_or_environment(
    run: Run, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(service.token)
    by_option = run("jobs", "--url", service.url, "--token-file", str(tmp_path / "token"), "--json")
    monkeypatch.setenv("HPCOBS_URL", service.url)
    monkeypatch.setenv("HPCOBS_TOKEN", service.token)
    assert [job["id"] for job in listed(by_option)] == [
        job["id"] for job in listed(run("jobs", "--json"))
    ]


def test_local_token_is_not_sent_elsewhere(local: Run, service: Service) -> None:
    result = local("jobs", "--url", service.url)
    assert "a token is needed (401)" in result.errors


def test_missing_service_message_suggests_up(run: Run) -> None:
    result = run("jobs")
    assert result.status == 1
    assert "no service is running in .hpcobs" in result.errors


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://127.0.0.1:1", "cannot be reached"),
        ("ftp://host", "not an http or https URL"),
        ("http://host:port", "is not a URL"),
        ("host", "not an http or https URL"),
    ],
)
def test_unreachable_service_prints_one_line(url: str, complaint: str, run: Run) -> None:
    result = run("jobs", "--url", url)
    assert result.status == 1
    assert complaint in result.errors
    assert result.errors.count("\n") == 1


@pytest.fixture
def mutual_tls_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Site, Path]]:
    """Run a site that requires a client certificate, with a certificate that it accepts."""
    certificate = self_signed(tmp_path / "site.pem")
    site = Site()
    site.secure(server_context(certificate, require_client=True))
    site.usual = Reply(200, json.dumps({"jobs": [], "total": 0, "limit": 100, "offset": 0}))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    yield site, certificate
    site.close()


def test_given_client_certificate_is_sent(
    run: Run, mutual_tls_site: tuple[Site, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, certificate = mutual_tls_site
    assert run("jobs", "--url", site.url).status == 1
    assert run("jobs", "--url", site.url, "--cert-file", str(certificate)).status == 0
    monkeypatch.setenv("HPCOBS_CLIENT_CERT_FILE", str(certificate))
    assert run("jobs", "--url", site.url).status == 0
    missing = run("jobs", "--url", site.url, "--cert-file", "none.pem")
    assert missing.errors == "hpcobs: cannot use none.pem: No such file or directory\n"
