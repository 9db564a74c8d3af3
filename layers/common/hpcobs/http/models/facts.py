"""Fields that several bodies have: what the scheduler says of a job, and what the job was given."""

from __future__ import annotations

from typing import Any

from hpcobs.domain.jobs import Resources
from hpcobs.http.models.types import Body, Count, Extra, Int4, Int8, MemoryMb, Text, Time


class SchedulerFacts(Body):
    """What Slurm says of a job, in its own words."""

    submit_time: Time | None = None
    partition: Text = None
    account: Text = None
    qos: Text = None
    priority: Int8 | None = None
    exit_code: Int4 | None = None
    signal: Count | None = None
    state_reason: Text = None
    time_limit_minutes: Count | None = None
    extra: Extra | None = None

    def facts(self) -> dict[str, Any]:
        """The same for the domain, by the names that it has there."""
        return self.model_dump(include=set(SchedulerFacts.model_fields))


class GivenResources(Body):
    """What a job asked for, and what it was given."""

    requested_cpus: Count | None = None
    allocated_cpus: Count | None = None
    requested_memory_mb: MemoryMb | None = None
    allocated_memory_mb: MemoryMb | None = None
    requested_gpus: Count | None = None
    allocated_gpus: Count | None = None

    def to_resources(self, **more: Any) -> Resources:
        """The same for the domain, with what else is known."""
        return Resources(**self.model_dump(include=set(GivenResources.model_fields)), **more)
