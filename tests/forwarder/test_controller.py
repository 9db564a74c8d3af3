"""The controller role: what it asks, what it tells, what it never concludes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.clock import rfc3339
from hpcobs_forwarder.controller.backfill import Backfill
from hpcobs_forwarder.controller.commands import Commands, Sacct, run
from hpcobs_forwarder.controller.slurm_token import SlurmToken
from hpcobs_forwarder.controller.slurmrestd import Slurmrestd
from hpcobs_forwarder.controller.source import NoHistoryError, SourceError
from hpcobs_forwarder.controller.sync import JOBS_AT_ONCE, ControllerWork
from hpcobs_forwarder.sending.http_client import HttpClient
from tests.forwarder.fake_site import Reply, Site
from tests.forwarder.test_controller_values import FIXTURES, SACCT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.spool.spool import Spool
    from tests.forwarder.clocks import FakeClock

JOBS = (FIXTURES / "slurmrestd-v0.0.38-jobs.json").read_text()
NODES = (FIXTURES / "slurmrestd-v0.0.38-nodes.json").read_text()


def job(job_id: int, state: str = "RUNNING", **fields: Any) -> dict[str, Any]:
    return {"job_id": str(job_id), "user": "ada", "state": state, **fields}


class FakeSlurm:
    """slurmctld and its accounting database."""

    name = "fake"

    def __init__(self) -> None:
        self.cluster_name: str | None = None
        self.now: list[dict[str, Any]] = []
        self.there: list[dict[str, Any]] = []
        self.past: list[dict[str, Any]] = []
        self.down = False
        self.no_accounting = False
        self.accounting_down = False
        self.asked_since: list[float] = []
        self.asked_ids: list[str] = []

    def jobs(self, ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
        if ids is not None:
            self._check_accounting()
            self.asked_ids += ids
            return [one for one in self.past if one["job_id"] in ids]
        if self.down:
            raise SourceError("slurmctld is down")
        return [dict(one) for one in self.now]

    def nodes(self) -> list[dict[str, Any]]:
        return [dict(one) for one in self.there]

    def since(self, seconds: float, until: float) -> list[dict[str, Any]]:
        assert until > seconds
        self._check_accounting()
        self.asked_since.append(seconds)
        return self.past

    def _check_accounting(self) -> None:
        if self.accounting_down:
            raise SourceError("slurmdbd is down")
        if self.no_accounting:
            raise NoHistoryError("Slurm accounting storage is disabled")


class Controller:
    def __init__(self, spool: Spool, health: Health, clock: FakeClock) -> None:
        self.slurm = FakeSlurm()
        self.spool, self.health, self.clock = spool, health, clock
        self.configured_cluster: str | None = "lab"
        self.site_is_there = True
        self.restart()

    def restart(self) -> None:
        self.work = ControllerWork(
            self.slurm,
            Backfill(self.slurm, f"{self.spool.folder}/synchronised.json"),
            spool=self.spool,
            cluster_name=self.configured_cluster,
            fallback_cluster_name="from slurm.conf",
            health=self.health,
            clock=self.clock,
        )

    def tick(self) -> list[dict[str, Any]]:
        """One pass; the bodies it has spooled."""
        before = {entry.name for entry in self.spool.waiting_events()}
        self.work.tick()
        self.clock.advance(30)
        new = [entry for entry in self.spool.waiting_events() if entry.name not in before]
        bodies = [json.loads(entry.read()) for entry in new]
        if self.site_is_there:
            for entry in new:
                self.spool.remove(entry)
        return bodies

    def told(self) -> dict[str, str]:
        """The states told in one pass, by job."""
        return {one["job_id"]: one["state"] for body in self.tick() for one in body.get("jobs", ())}

    def lost(self, passes: int) -> list[dict[str, Any]]:
        """The ends told in some passes, of jobs that are gone."""
        return [body for _ in range(passes) for body in self.tick() if "final_state" in body]


@pytest.fixture
def controller(spool: Spool, health: Health, clock: FakeClock) -> Controller:
    return Controller(spool, health, clock)


def test_the_first_pass_tells_everything_in_the_contracts_shape(controller: Controller) -> None:
    controller.slurm.now = [job(1)]
    controller.slurm.there = [{"node": "n1", "state": "idle"}]

    assert controller.tick() == [
        {
            "observed_at": "2027-01-15T08:00:00.000Z",
            "cluster_name": "lab",
            "jobs": [job(1)],
            "nodes": [{"node": "n1", "state": "idle"}],
        }
    ]


def test_only_what_has_changed_is_told_again(controller: Controller) -> None:
    slurm = controller.slurm
    slurm.now = [job(1), job(2)]
    slurm.there = [{"node": "n1", "state": "idle"}]
    controller.tick()
    assert controller.tick() == []

    slurm.now = [job(1), job(2, "CANCELLED", exit_code=0, signal=15)]
    assert controller.told() == {"2": "CANCELLED"}

    slurm.there = [{"node": "n1", "state": "down"}]
    (body,) = controller.tick()
    assert (body["jobs"], body["nodes"]) == ([], slurm.there)


def test_a_running_job_is_told_again_once_in_a_while_and_a_waiting_one_is_not(
    controller: Controller,
) -> None:
    slurm = controller.slurm
    slurm.now = [job(1), job(2, "PENDING")]
    controller.tick()
    for _ in range(10):
        assert controller.told() == {}
    slurm.now.append(job(3))
    assert [controller.told() for _ in range(29)] == [
        {"3": "RUNNING"}, *[{}] * 8, {"1": "RUNNING"}, *[{}] * 10, {"3": "RUNNING"}, *[{}] * 8,
    ]  # fmt: skip


def test_a_waiting_jobs_growing_priority_is_no_change(controller: Controller) -> None:
    controller.slurm.now = [job(1, "PENDING", priority=1)]
    controller.tick()
    controller.slurm.now = [job(1, "PENDING", priority=2)]

    assert controller.tick() == []


def test_all_nodes_are_told_once_in_a_while_for_their_load(controller: Controller) -> None:
    told = []
    for number in range(21):
        controller.slurm.there = [{"node": "n1", "state": "idle", "cpu_load": float(number)}]
        told += [body["nodes"][0]["cpu_load"] for body in controller.tick()]

    assert told == [0, 10, 20]


def test_while_the_site_is_away_only_changes_fill_the_spool(controller: Controller) -> None:
    slurm = controller.slurm
    controller.site_is_there = False
    slurm.now = [job(1)]
    slurm.there = [{"node": "n1", "state": "idle"}]
    for number in range(2, 9):
        slurm.now.append(job(number))
        controller.tick()

    assert [body for _ in range(50) for body in controller.tick()] == []
    slurm.now[0] = job(1, "COMPLETED")
    assert controller.told() == {"1": "COMPLETED"}


def test_what_waits_is_compressed(controller: Controller, spool: Spool) -> None:
    controller.site_is_there = False
    controller.slurm.now = [job(number, name="a name like others") for number in range(400)]

    (body,) = controller.tick()

    (entry,) = spool.waiting_events()
    assert entry.size < len(json.dumps(body)) / 5


def test_many_jobs_are_told_in_parts(controller: Controller) -> None:
    controller.slurm.now = [job(number) for number in range(2 * JOBS_AT_ONCE + 1)]

    assert [len(body["jobs"]) for body in controller.tick()] == [JOBS_AT_ONCE, JOBS_AT_ONCE, 1]


def test_a_silent_slurmctld_ends_no_job(controller: Controller, health: Health) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.down = True

    assert controller.tick() == []
    assert controller.slurm.asked_ids == []
    assert health.value("reader_errors_total", "fake") == 1


def test_a_job_that_left_before_its_end_was_seen_is_looked_up(controller: Controller) -> None:
    controller.slurm.now = [job(1), job(2, "PENDING")]
    controller.tick()
    controller.slurm.now = []
    assert controller.tick() == [], "the accounting database may be late"
    controller.slurm.past = [job(1, "NODE_FAIL"), job(2, "CANCELLED")]

    assert controller.told() == {"1": "NODE_FAIL", "2": "CANCELLED"}
    controller.slurm.asked_ids.clear()
    controller.tick()
    assert controller.slurm.asked_ids == []


def test_a_job_that_nobody_remembers_is_not_looked_up_for_ever(controller: Controller) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now = []
    for _ in range(50):
        controller.tick()

    assert len(controller.slurm.asked_ids) == 20


def test_a_job_that_nobody_remembers_ends_by_the_weakest_word(
    controller: Controller, health: Health
) -> None:
    controller.slurm.now = [job(1, restart_count=2), job(2, "PENDING"), job(3)]
    controller.tick()
    seen_at = rfc3339(controller.clock.wall())
    controller.tick()
    controller.slurm.now = [job(3)]
    assert controller.lost(19) == [], "accounting may be late, and so may the hooks' own word"

    ended = {body.pop("job_id"): body for body in controller.lost(20)}

    common = {"timestamp": seen_at, "cluster_name": "lab", "source": "epilog"}
    assert ended == {
        "1": {"final_state": "failed", "restart_count": 2, **common},
        "2": {"final_state": "cancelled", **common},
    }
    assert health.value("jobs_lost_total") == 2


def test_without_accounting_a_lost_job_ends_within_minutes(controller: Controller) -> None:
    controller.slurm.no_accounting = True
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now = []

    assert [body["job_id"] for body in controller.lost(4)] == ["1"]


def test_while_the_accounting_database_is_down_no_job_is_given_up(controller: Controller) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now, controller.slurm.accounting_down = [], True
    assert controller.lost(100) == []
    controller.slurm.accounting_down, controller.slurm.past = False, [job(1, "NODE_FAIL")]

    assert controller.told() == {"1": "NODE_FAIL"}


def test_a_job_that_was_lost_while_nobody_looked_is_missed_after_a_restart(
    controller: Controller,
) -> None:
    controller.slurm.no_accounting = True
    controller.slurm.now = [job(1), job(2, "PENDING")]
    controller.tick()
    controller.slurm.now = []
    assert controller.lost(2) == []
    controller.restart()

    assert [body["job_id"] for body in controller.lost(2)] == ["1", "2"]
    controller.restart()
    assert controller.lost(10) == []


def test_a_job_that_comes_back_is_not_lost(controller: Controller) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now = []
    controller.lost(10)
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now = []

    assert controller.lost(15) == []


@pytest.mark.parametrize(
    "kept", ["", "{}", '{"observed": 1, "open": {"1": [1]}}', "[]", '{"observed": 1, "open": 3}']
)
def test_a_damaged_memory_of_the_last_pass_stops_nothing(
    controller: Controller, spool: Spool, kept: str
) -> None:
    Path(f"{spool.folder}/synchronised.json").write_text(kept)
    controller.slurm.now = [job(1)]
    controller.restart()

    assert controller.told() == {"1": "RUNNING"}


@pytest.mark.parametrize(
    ("configured", "slurms", "told"),
    [("lab", "other", "lab"), (None, "other", "other"), (None, None, "from slurm.conf")],
)
def test_the_cluster_is_called_as_the_hooks_call_it(
    controller: Controller, configured: str | None, slurms: str | None, told: str
) -> None:
    controller.configured_cluster, controller.slurm.cluster_name = configured, slurms
    controller.restart()
    controller.slurm.now = [job(1)]

    assert [body["cluster_name"] for body in controller.tick()] == [told]


def test_jobs_that_ended_while_nobody_looked_are_filled_in(controller: Controller) -> None:
    slurm, clock = controller.slurm, controller.clock
    controller.tick()
    last = clock.now - 30
    clock.advance(7200)
    slurm.past = [job(1, "TIMEOUT"), job(2, "RUNNING"), job(3, "COMPLETED")]
    slurm.now = [job(3, "COMPLETED", name="newer")]
    controller.restart()

    (body,) = controller.tick()

    assert [one["job_id"] for one in body["jobs"]] == ["1", "3"]
    assert body["jobs"][1]["name"] == "newer"
    assert slurm.asked_since == [last - 86_400, last]


def test_a_cluster_without_accounting_is_synchronised_all_the_same(
    controller: Controller, health: Health
) -> None:
    controller.slurm.no_accounting = True
    controller.slurm.now = [job(1)]

    assert controller.told() == {"1": "RUNNING"}
    assert health.value("reader_errors_total", "sacct") == 1


def test_what_the_disk_did_not_take_is_told_in_the_next_pass(
    controller: Controller, spool: Spool
) -> None:
    controller.slurm.now = [job(1)]
    events = Path(spool.events)
    events.rename(spool.folder + "/away")
    controller.work.tick()
    Path(spool.folder + "/away").rename(events)

    assert controller.told() == {"1": "RUNNING"}


class Slurmctld:
    """A slurmrestd that answers one API version, with recorded answers."""

    def __init__(self, site: Site, version: str) -> None:
        self.site = site
        site.usual = Reply(404, "{}")
        site.by_path = {
            f"/slurm/{version}/ping": Reply(200, '{"pings": []}'),
            f"/slurm/{version}/jobs": Reply(200, JOBS),
            f"/slurm/{version}/nodes": Reply(200, NODES),
        }

    def client(self, token: SlurmToken, version: str | None = None) -> Slurmrestd:
        client = HttpClient(self.site.url, timeout_seconds=2)
        return Slurmrestd(client, token, user="slurm", version=version)


@pytest.fixture
def token(tmp_path: Path, clock: FakeClock) -> SlurmToken:
    file = tmp_path / "slurm.jwt"
    file.write_text("jwt\n")
    return SlurmToken(file=str(file), command=None, run=run, clock=clock)


@pytest.mark.parametrize("version", ["v0.0.36", "v0.0.38", "v0.0.45"])
def test_the_newest_version_that_slurmrestd_offers_is_found(
    site: Site, token: SlurmToken, version: str
) -> None:
    client = Slurmctld(site, version).client(token)

    assert len(client.jobs()) == 23
    assert len(client.nodes()) == 2
    assert site.received[-1].headers["X-SLURM-USER-NAME"] == "slurm"
    assert site.received[-1].headers["X-SLURM-USER-TOKEN"] == "jwt"


def test_a_configured_version_is_not_looked_for(site: Site, token: SlurmToken) -> None:
    Slurmctld(site, "v0.0.38").client(token, "v0.0.38").jobs()

    assert [one.path for one in site.received] == ["/slurm/v0.0.38/jobs"]


def test_after_an_upgrade_the_version_is_looked_for_again(site: Site, token: SlurmToken) -> None:
    client = Slurmctld(site, "v0.0.38").client(token)
    client.jobs()
    Slurmctld(site, "v0.0.41")
    with pytest.raises(SourceError):
        client.jobs()

    assert len(client.jobs()) == 23


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, '{"jobs": [], "errors": [{"error": "Unable to contact slurm controller"}]}'),
        Reply(200, "<html>"),
        Reply(200, "[]"),
        Reply(401, "Authentication failure"),
        Reply(hang=True),
    ],
)
def test_an_answer_without_jobs_is_an_error_and_no_empty_cluster(
    site: Site, token: SlurmToken, reply: Reply
) -> None:
    slurm = Slurmctld(site, "v0.0.38")
    site.by_path["/slurm/v0.0.38/jobs"] = reply

    with pytest.raises(SourceError):
        slurm.client(token, "v0.0.38").jobs()


def jwt(expires: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode()
    return f"e30.{claims.rstrip('=')}.c2ln"


def test_a_token_from_a_command_is_made_anew_half_way_and_when_refused(clock: FakeClock) -> None:
    made: list[list[str]] = []

    def scontrol(command: list[str]) -> bytes:
        made.append(command)
        return f"SLURM_JWT={jwt(clock.now + 1000)}\n".encode()

    token = SlurmToken(file=None, command="scontrol token lifespan=1000", run=scontrol, clock=clock)
    assert token.get() == jwt(clock.now + 1000)
    clock.advance(400)
    token.get()
    assert made == [["scontrol", "token", "lifespan=1000"]]
    clock.advance(200)
    token.get()
    assert len(made) == 2
    token.refused()
    token.get()
    assert len(made) == 3


def test_a_token_that_slurmctld_refuses_is_made_anew(site: Site, clock: FakeClock) -> None:
    made = iter(("first", "second"))
    token = SlurmToken(
        file=None, command="scontrol token", run=lambda _: next(made).encode(), clock=clock
    )
    slurm = Slurmctld(site, "v0.0.38")
    client = slurm.client(token, "v0.0.38")
    refused = '{"jobs": [], "errors": [{"error": "Unspecified error"}]}'
    site.planned = [Reply(500, refused)]
    with pytest.raises(SourceError):
        client.jobs()

    assert len(client.jobs()) == 23
    assert site.received[-1].headers["X-SLURM-USER-TOKEN"] == "second"


class Shell:
    """Slurm's commands, of a version that has ``--json`` in ``able``."""

    def __init__(self, *able: str) -> None:
        self.able = able
        self.ran: list[list[str]] = []

    def __call__(self, command: list[str]) -> bytes:
        self.ran.append(command)
        if command[0] not in self.able:
            raise SourceError(f"{command[0]}: unrecognized option '--json'")
        if command[0] == "sacct":
            return json.dumps({"jobs": [SACCT]}).encode() if "--json" in command else b""
        return (NODES if "nodes" in command or command[0] == "sinfo" else JOBS).encode()


@pytest.mark.parametrize("able", [("scontrol",), ("squeue", "sinfo")])
def test_commands_of_newer_and_older_slurms_are_understood(able: tuple[str, ...]) -> None:
    shell = Shell(*able)
    commands = Commands(shell)

    for _ in range(2):
        assert len(commands.jobs()) == 23
        assert len(commands.nodes()) == 2
    assert [command[0] for command in shell.ran[-2:]] == [able[0], able[-1]]


def test_a_failing_scontrol_is_no_reason_to_ask_otherwise() -> None:
    def down(command: list[str]) -> bytes:
        raise SourceError(f"{command[0]}: Unable to contact slurm controller")

    with pytest.raises(SourceError, match="scontrol: Unable"):
        Commands(down).jobs()


def test_the_accounting_database_is_asked_by_time_and_by_id() -> None:
    shell = Shell("sacct")
    sacct = Sacct(shell)

    assert len(sacct.since(1_800_000_000, 1_800_009_000)) == 1
    asked = [dict(word.split("=") for word in command if "time=" in word) for command in shell.ran]
    begun, ended = ([one.get(f"--{end}time") for one in asked[::2]] for end in ("start", "end"))
    assert ended == [*begun[1:], None]
    assert len(begun) == 3, "hour by hour"
    assert len(sacct.jobs([str(number) for number in range(501)])) == 2
    assert shell.ran[-1][-1] == "--jobs=500"


def recorded_sacct(command: list[str]) -> bytes:
    """What a real sacct said of one of each end, with slurmdbd and without associations."""
    file = "sacct-22.05.json" if "--json" in command else "sacct-22.05.txt"
    return (FIXTURES / file).read_bytes()


@pytest.mark.parametrize(
    ("job_id", "told"),
    [
        ("1", ("COMPLETED", 0, 0)),
        ("2", ("FAILED", 3, 0)),
        ("3", ("FAILED", 0, 11)),
        ("4", ("FAILED", 5, 0)),
        ("5", ("CANCELLED", 0, 0)),
        ("6", ("CANCELLED", 0, 0)),
        ("8", ("FAILED", 1, 0)),
        ("10", ("RUNNING", None, None)),
    ],
)
def test_a_real_sacct_tells_ends_and_users_that_its_json_does_not_know(
    job_id: str, told: tuple[str, int | None, int | None]
) -> None:
    jobs = {job["job_id"]: job for job in Sacct(recorded_sacct).jobs(["1"])}

    job = jobs[job_id]
    assert (job["state"], job.get("exit_code"), job.get("signal")) == told
    assert job["user"] == "www-data"


def test_an_accounting_database_that_does_not_know_the_job_is_not_silent() -> None:
    nothing = (FIXTURES / "sacct-22.05-nothing.json").read_bytes()

    assert Sacct(lambda _: nothing).jobs(["4711"]) == []


@pytest.mark.parametrize("command", [["/no/such/command"], ["false"], ["sh", "-c", "kill $$"]])
def test_a_command_that_fails_is_an_error(command: list[str]) -> None:
    with pytest.raises(SourceError, match=command[0]):
        run(command)
