"""A deployed site as its user has it: the stack's outputs, and the API at its URL."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from tests.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.aws.emulator import Emulator


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployed site with the outputs of its stack."""

    emulator: Emulator
    outputs: Mapping[str, str]
    database_url: str
    _open: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Close the clients that were opened."""
        self._open.close()

    def deploy_on(self, database_url: str) -> subprocess.CompletedProcess[str]:
        """Deploy the stack again, on another database."""
        return deploy(self.emulator, database_url)

    def updated(self) -> set[str]:
        """Return the logical ids of the resources whose update a deployment has started."""
        client = self._open.enter_context(closing(self.emulator.client("cloudformation")))
        (stack,) = client.list_stacks(StackStatusFilter=["UPDATE_ROLLBACK_COMPLETE"])[
            "StackSummaries"
        ]
        events = client.describe_stack_events(StackName=stack["StackName"])["StackEvents"]
        return {
            event["LogicalResourceId"]
            for event in events
            if event["ResourceStatus"] == "UPDATE_IN_PROGRESS"
        }

    def functions(self) -> dict[str, tuple[str, str]]:
        """Return each function's code, as a hash, and its database."""
        client = self._open.enter_context(closing(self.emulator.client("lambda")))
        return {
            one["FunctionName"]: (
                one["CodeSha256"],
                one.get("Environment", {}).get("Variables", {}).get("DATABASE_URL", ""),
            )
            for one in client.list_functions()["Functions"]
        }

    def token(self, *arguments: str) -> str:
        """Return a token that ``hpcobs token`` creates with the site's secret."""
        key = self.outputs["SigningKey"]
        return self.emulator.hpcobs("token", *arguments, "--ttl", "1h", AUTH_SECRET_ARN=key)

    def client(self, token: str | None = None) -> httpx.Client:
        """Return a client of the site's URL that needs no DNS for its name."""
        headers = {"host": urlsplit(self.outputs["Url"]).netloc}
        if token:
            headers["authorization"] = f"Bearer {token}"
        client = httpx.Client(base_url=self.emulator.url, headers=headers, timeout=60)
        return self._open.enter_context(client)

    def call_now(self, schedule: str) -> None:
        """Create a copy of a deployed schedule that is due in a second."""
        scheduler = self._open.enter_context(closing(self.emulator.client("scheduler")))
        (found,) = [
            one for one in scheduler.list_schedules()["Schedules"] if schedule in one["Name"]
        ]
        known = scheduler.get_schedule(Name=found["Name"], GroupName=found["GroupName"])
        soon = datetime.now(UTC) + timedelta(seconds=1)
        scheduler.create_schedule(
            Name=f"{schedule}-now",
            ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow=known["FlexibleTimeWindow"],
            Target=known["Target"],
        )


def deploy(
    emulator: Emulator, database_url: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Deploy the site's stack with the CDK's command line."""
    app = f"{sys.executable} -m tests.aws.app"
    quiet = ("--require-approval", "never", "--progress", "events")
    return emulator.try_cdk("deploy", "--app", app, *quiet, *arguments, DATABASE_URL=database_url)


def eventually(query: Callable[[], Any], accepted: Callable[[Any], bool]) -> Any:
    """Return the first response that is accepted. Fail after WAIT_SECONDS."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not accepted(response := query()):
        assert time.monotonic() < deadline, f"still {response}"
        time.sleep(0.3)
    return response
