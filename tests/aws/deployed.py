"""What a user has of a deployed site: its outputs, and what is behind its URL."""

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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.aws.emulator import Emulator

PATIENCE_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Deployed:
    """A site; ``outputs`` are its stack's."""

    emulator: Emulator
    outputs: Mapping[str, str]
    database_url: str
    _open: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Close what was opened to ask it."""
        self._open.close()

    def deploy_on(self, database_url: str) -> subprocess.CompletedProcess[str]:
        """Deploy the stack once more, on another database."""
        return deploy(self.emulator, database_url)

    def updated(self) -> set[str]:
        """The resources, by their logical ids, that a deployment has begun to update."""
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
        """Each function's code, by its hash, and its database."""
        client = self._open.enter_context(closing(self.emulator.client("lambda")))
        return {
            one["FunctionName"]: (
                one["CodeSha256"],
                one.get("Environment", {}).get("Variables", {}).get("DATABASE_URL", ""),
            )
            for one in client.list_functions()["Functions"]
        }

    def token(self, *arguments: str) -> str:
        """A token as ``hpcobs token`` makes it from the site's secret."""
        key = self.outputs["SigningKey"]
        return self.emulator.hpcobs("token", *arguments, "--ttl", "1h", AUTH_SECRET_ARN=key)

    def client(self, token: str | None = None) -> httpx.Client:
        """A client of the site's URL, whose name no resolver needs to know."""
        headers = {"host": urlsplit(self.outputs["Url"]).netloc}
        if token:
            headers["authorization"] = f"Bearer {token}"
        client = httpx.Client(base_url=self.emulator.url, headers=headers, timeout=60)
        return self._open.enter_context(client)

    def have_called_now(self, schedule: str) -> None:
        """Let another schedule, due in a moment, do just what a deployed one does."""
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
    """Deploy the site's stack by the CDK's command line."""
    app = f"{sys.executable} -m tests.aws.app"
    quiet = ("--require-approval", "never", "--progress", "events")
    return emulator.try_cdk("deploy", "--app", app, *quiet, *arguments, DATABASE_URL=database_url)


def eventually(ask: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """The first answer that is wanted."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not wanted(answer := ask()):
        assert time.monotonic() < deadline, f"still {answer}"
        time.sleep(0.3)
    return answer
