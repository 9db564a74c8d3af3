"""The interface that functions, alarms and migrations use: a database, or the proxy before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aws_cdk import Stack

from infra.constructs.network import POSTGRES_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_cloudwatch as cloudwatch
    from constructs import Construct

    from infra.constructs.function import SiteFunction

DATABASE = "hpcobs"
USER = "hpcobs"
ADMINISTRATOR = "hpcobs_admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A metric of a database, on the dashboard, with the threshold of its alarm.

    ``above`` is whether the alarm goes off above the threshold or below it. ``description`` is the
    alarm's text.
    """

    name: str
    metric: cloudwatch.Metric
    threshold: float
    description: str
    above: bool = True


class ReachableDatabase(Protocol):
    """A database or a proxy: the settings to log in, and the metrics for alarms."""

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a function that logs in as the service's user."""
        ...

    @property
    def administration(self) -> dict[str, str]:
        """The settings that ``migrate`` needs in addition."""
        ...

    @property
    def limits(self) -> Sequence[Limit]:
        """The metrics to watch."""
        ...

    @property
    def label(self) -> str:
        """The database's name. Another name means another database."""
        ...

    def admit(self, function: SiteFunction, *users: str) -> None:
        """Allow the function to log in as these users."""
        ...


def login_settings(host: str, *, certificates: str) -> dict[str, str]:
    """Return the settings of functions that log in at ``host`` as the service's user, by IAM."""
    return {
        "DB_HOST": host,
        "DB_PORT": str(POSTGRES_PORT),
        "DB_NAME": DATABASE,
        "DB_USER": USER,
        "DB_IAM_AUTH": "true",
        "PGSSLROOTCERT": certificates,
    }


def user_arn(scope: Construct, resource_id: str, user: str) -> str:
    """Return the ARN that ``rds-db:connect`` needs for one user of a database or a proxy."""
    stack = Stack.of(scope)
    where = f"{stack.region}:{stack.account}"
    return f"arn:{stack.partition}:rds-db:{where}:dbuser:{resource_id}/{user}"
