"""A real Prometheus on a free port, and its promtool."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.ports import free_port
from tests.waiting import WAIT_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")
START_SECONDS = 30.0

Labels = dict[str, str]


@dataclass(frozen=True)
class Site:
    """A scraped site. ``job`` is the name of its scrape config."""

    job: str
    url: str
    token_file: Path
    parameters: Mapping[str, Sequence[str]] | None = None
    access: str = "authorization"

    @property
    def scrape_config(self) -> dict[str, Any]:
        """The site's part of ``scrape_configs``."""
        return {
            "job_name": self.job,
            "scrape_interval": "1s",
            **self._access,
            "params": {name: list(values) for name, values in (self.parameters or {}).items()},
            "static_configs": [{"targets": [self.url.removeprefix("http://")]}],
        }

    @property
    def _access(self) -> dict[str, Any]:
        """The settings that send the token, in one of the ways that Prometheus offers."""
        file = str(self.token_file)
        ways: dict[str, Any] = {
            "authorization": {"credentials_file": file},
            "bearer_token_file": file,
            "basic_auth": {"username": "prometheus", "password_file": file},
        }
        return {self.access: ways[self.access]}


class Prometheus:
    """A Prometheus that scrapes sites every second, until the end of the context."""

    def __init__(self, folder: Path, *sites: Site, rule_files: Sequence[Path] = ()) -> None:
        self._folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        config = {
            "global": {"evaluation_interval": "1s"},
            "rule_files": [str(file) for file in rule_files],
            "scrape_configs": [site.scrape_config for site in sites],
        }
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps(config))

    def __enter__(self) -> Self:
        command = [
            str(PROMETHEUS),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self.address}",
        ]
        self._log = (self._folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        self._client = httpx.Client(base_url=f"http://{self.address}", timeout=WAIT_SECONDS)
        try:
            self.wait_until(self._ready, START_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._process.terminate()
        try:
            self._process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _ready(self) -> bool:
        try:
            return self._client.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def wait_until(self, condition: Any, seconds: float = WAIT_SECONDS) -> None:
        """Wait until a condition is met. Fail after ``seconds``."""
        eventually(condition, seconds, every=0.1, log=self._end_of_log)

    def _end_of_log(self) -> str:
        return (self._folder / "prometheus.log").read_text()[-2000:]

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of a response of Prometheus's API."""
        answer = self._client.get(path, params=parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[tuple[Labels, float]]:
        """Return an expression's current series: labels, without the target's, and value."""
        found = self.get("/api/v1/query", query=expression)["result"]
        return [(_without_target(one["metric"]), float(one["value"][1])) for one in found]

    def value(self, expression: str) -> float:
        """Return the current value of an expression with a single series."""
        ((_, value),) = self.query(expression)
        return value

    def by(self, label: str, expression: str) -> dict[str, float]:
        """Return an expression's current values by one of their labels."""
        return {labels[label]: value for labels, value in self.query(expression)}


def _without_target(metric: Labels) -> Labels:
    return {name: text for name, text in metric.items() if name not in ("instance", "job")}


def promtool(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool, with ``text`` on its standard input."""
    command = [str(PROMTOOL), *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)
