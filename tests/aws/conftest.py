"""A site, deployed by the CDK's command line to an emulator on this machine."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from infra.paths import ROOT
from tests.aws.deployed import Deployed, deploy
from tests.aws.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

STAMP = ".venv/aws"
NO_NETWORK = re.compile(
    r"dns error|failed to lookup|error sending request|connection refused|timed out"
    r"|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|Network is unreachable",
    re.IGNORECASE,
)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Start an account in which the CDK is bootstrapped."""
    _install()
    with Emulator(tmp_path_factory.mktemp("aws")) as emulator:
        emulator.cdk("bootstrap", "aws://000000000000/eu-central-1", "--app", "")
        yield emulator


@pytest.fixture(scope="session")
def deployed(
    emulator: Emulator, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """Deploy the site on an empty database."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE deployed")
    outputs = tmp_path_factory.mktemp("outputs") / "outputs.json"
    url = make_conninfo(postgres_url, dbname="deployed")
    done = deploy(emulator, url, "--outputs-file", str(outputs))
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}{emulator.log[-3000:]}"
    (values,) = json.loads(outputs.read_text()).values()
    with closing(Deployed(emulator, values, url)) as deployed:
        yield deployed


def _install() -> None:
    """Install the emulator and the CDK once, by make. Skip the tests without a network."""
    done = subprocess.run(
        ["make", "--no-print-directory", STAMP],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    output = done.stdout + done.stderr
    if done.returncode and NO_NETWORK.search(output):
        pytest.skip(f"the emulator cannot be installed without PyPI and npm: {output[-300:]}")
    assert done.returncode == 0, output
