"""The simulated controller: users submit jobs, and jobs wait, start, are requeued and end.

It is a discrete-event model: an agenda of actions, ordered by time. What happens depends on the
seed alone, and not on how often the model is advanced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from math import ceil
from random import Random
from typing import TYPE_CHECKING

from hpcobs.domain.errors import JobNotFoundError
from hpcobs.domain.events import JobFinished, JobStarted, SchedulerJob
from hpcobs.domain.nodes import NodeReport
from hpcobs_local.simulator.cluster.allocation import Allocations, suits
from hpcobs_local.simulator.cluster.hardware import Machine, machines
from hpcobs_local.simulator.cluster.jobs import (
    MockJob,
    controller_view,
    finish_events,
    start_events,
)
from hpcobs_local.simulator.cluster.readings import Meters
from hpcobs_local.simulator.cluster.workloads import RECIPES, REQUEUED, TIMEOUT, USERS, Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.samples import Sample

HookCall = JobStarted | JobFinished
Action = Callable[[datetime], Iterable[HookCall]]

LISTED_AFTER_END = timedelta(minutes=5)
"""How long the controller still lists jobs that have ended (Slurm's MinJobAge)."""

SUBMISSION_GAP_SECONDS = 120.0
REQUEUE_DELAY_SECONDS = 300.0
OPENING_SECONDS = 60.0
"""The first jobs are all submitted within this time."""


class MockCluster:
    """A controller with its nodes. It implements ``JobSource``.

    About ``jobs`` run at a time, and some more wait. Everything runs ``speed`` times faster than on
    a real cluster, so that jobs start and end within minutes. A change of ``speed`` affects jobs
    that are submitted afterwards.
    """

    def __init__(
        self,
        *,
        seed: int,
        nodes: int,
        jobs: int,
        start: datetime,
        speed: float = 30.0,
        first_job_id: int = 1,
        name: str = "cluster",
    ) -> None:
        self.machines = machines(nodes)
        self._random = Random(seed)  # noqa: S311 - a simulation, not a secret
        self._now = start
        self.speed = speed
        self._name = name
        self._running_limit = jobs
        # A quarter more than can run, so that there are always pending jobs to look at.
        self._known_limit = jobs + max(1, jobs // 4) if jobs else 0
        self._ids = count(first_job_id)
        self._jobs: dict[int, MockJob] = {}
        self._allocations = Allocations(self.machines)
        self._recipes = [recipe for recipe in RECIPES if _possible(recipe, self.machines)]
        self._deck: list[Recipe] = []
        self._agenda: list[tuple[datetime, int, Action]] = []
        self._order = count()
        self._planned = 0
        self._plan_submissions(lambda: self._random.uniform(0, OPENING_SECONDS))

    def advance(self, now: datetime) -> list[HookCall]:
        """Run the model until ``now``. Return the hooks' events since the last call, in order."""
        calls: list[HookCall] = []
        while self._agenda and self._agenda[0][0] <= now:
            when, _, action = heappop(self._agenda)
            self._now = when
            calls.extend(action(when))
        self._now = now
        self._drop_ended()
        return calls

    def running(self) -> list[MockJob]:
        """Return the running jobs, in order of submission."""
        return [job for job in self._jobs.values() if job.raw_state == "RUNNING"]

    def list_jobs(self) -> Sequence[SchedulerJob]:
        """Return the jobs that wait, run, or ended recently."""
        return [controller_view(job, self._now) for job in self._jobs.values()]

    def get_job(self, job_id: str) -> SchedulerJob:
        """Return one job. Raise JobNotFoundError if the controller does not list it (any more)."""
        job = self._jobs.get(int(job_id)) if job_id.isdecimal() else None
        if job is None:
            raise JobNotFoundError(job_id)
        return controller_view(job, self._now)

    def get_job_metrics(self, job_id: str) -> Sequence[Sample]:
        """Return the samples that the job's nodes measure now, none unless it runs."""
        self.get_job(job_id)
        readings = Meters(self.machines).read(self.running(), self._now)
        return [
            sample for reading in readings for sample in reading.samples if sample.job_id == job_id
        ]

    def list_nodes(self) -> Sequence[NodeReport]:
        """Return the nodes as the controller reports them."""
        return [self._report(machine) for machine in self.machines]

    def _report(self, machine: Machine) -> NodeReport:
        busy = self._allocations.busy_cpus(machine.name)
        state = "idle" if not busy else "allocated" if busy == machine.cpus else "mixed"
        return NodeReport(
            node=machine.name,
            state=state,
            cluster_name=self._name,
            cpus=machine.cpus,
            memory_total_mb=machine.memory_mb,
            gpus=machine.gpus,
        )

    def _at(self, when: datetime, action: Action) -> None:
        # The running number keeps actions of the same moment in order, and is never equal:
        # the heap would compare the actions themselves otherwise, which have no order.
        heappush(self._agenda, (when, next(self._order), action))

    def _after(self, seconds: float, action: Action) -> None:
        """Schedule an action after ``seconds`` of the cluster's own, faster time."""
        self._at(self._now + timedelta(seconds=seconds / self.speed), action)

    def _plan_submissions(self, delay: Callable[[], float]) -> None:
        if not self._recipes:
            return
        unfinished = sum(job.ended is None for job in self._jobs.values())
        while unfinished + self._planned < self._known_limit:
            self._planned += 1
            self._after(delay(), self._submit)

    def _submit(self, when: datetime) -> Iterable[HookCall]:
        self._planned -= 1
        recipe = self._next_recipe()
        user = self._random.choice(USERS)
        ids = [next(self._ids) for _ in range(recipe.tasks)]
        # As in Slurm the array's own id goes to its last task.
        for task, job_id in enumerate([*ids[1:], ids[0]]):
            job = self._new_job(job_id, recipe, user, when)
            if recipe.tasks > 1:
                job = replace(job, array_job_id=ids[0], array_task_id=task)
            self._jobs[job_id] = job
        return self._place(when)

    def _next_recipe(self) -> Recipe:
        """Draw the next kind of job from a shuffled deck, so that each kind appears soon."""
        if not self._deck:
            self._deck = self._random.sample(self._recipes, k=len(self._recipes))
        return self._deck.pop()

    def _new_job(self, job_id: int, recipe: Recipe, user: str, when: datetime) -> MockJob:
        # The time limit counts whole minutes, as in Slurm, even where jobs run for seconds.
        seconds = self._random.uniform(*recipe.minutes) * 60 / self.speed
        limit_minutes = ceil(1.5 * seconds / 60)
        if recipe.ending is TIMEOUT:
            seconds = limit_minutes * 60.0
        return MockJob(
            id=job_id,
            recipe=recipe,
            user=user,
            cluster=self._name,
            submitted=when,
            eligible=when,
            duration=timedelta(seconds=seconds),
            time_limit_minutes=limit_minutes,
            requeues_left=recipe.requeues,
        )

    def _place(self, when: datetime) -> Iterable[HookCall]:
        """Start pending jobs that fit, oldest first. Smaller jobs may overtake larger ones."""
        running = len(self.running())
        for job in list(self._jobs.values()):
            if running >= self._running_limit:
                return
            if job.raw_state != "PENDING" or job.eligible > when:
                continue
            placed = self._allocations.place(job.recipe)
            if placed:
                running += 1
                yield from self._start(replace(job, placed=placed), when)
            else:
                self._jobs[job.id] = replace(job, reason="Resources")

    def _start(self, job: MockJob, when: datetime) -> Iterable[HookCall]:
        job = replace(job, raw_state="RUNNING", reason=None, started=when)
        self._jobs[job.id] = job
        if job.requeues_left:
            self._at(when + job.duration / 2, lambda at: self._requeue(job.id, at))
        else:
            self._at(when + job.duration, lambda at: self._end(job.id, at))
        return start_events(job)

    def _end(self, job_id: int, when: datetime) -> Iterable[HookCall]:
        job = self._release(job_id)
        ending = job.recipe.ending
        self._jobs[job_id] = replace(
            job, raw_state=ending.raw_state, ended=when, ending=ending, reason=None
        )
        yield from finish_events(job, ending, when, restarts=job.restarts)
        self._plan_submissions(lambda: self._random.expovariate(1 / SUBMISSION_GAP_SECONDS))
        yield from self._place(when)

    def _requeue(self, job_id: int, when: datetime) -> Iterable[HookCall]:
        job = self._release(job_id)
        restarts = job.restarts + 1
        eligible = when + timedelta(seconds=REQUEUE_DELAY_SECONDS / self.speed)
        self._jobs[job_id] = replace(
            job,
            raw_state="PENDING",
            reason="BeginTime",
            eligible=eligible,
            restarts=restarts,
            requeues_left=job.requeues_left - 1,
            placed=(),
            started=None,
        )
        self._at(eligible, self._place)
        # Slurm counts the restart before the epilogs of the run that it cuts short.
        yield from finish_events(job, REQUEUED, when, restarts=restarts)
        yield from self._place(when)

    def _release(self, job_id: int) -> MockJob:
        job = self._jobs[job_id]
        self._allocations.release(job.recipe, job.placed)
        return job

    def _drop_ended(self) -> None:
        for job in list(self._jobs.values()):
            if job.ended is not None and job.ended < self._now - LISTED_AFTER_END:
                del self._jobs[job.id]


def _possible(recipe: Recipe, machines: Sequence[Machine]) -> bool:
    return sum(suits(machine, recipe) for machine in machines) >= recipe.nodes
