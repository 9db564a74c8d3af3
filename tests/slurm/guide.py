"""docs/slurm.md as something to run: its blocks, and a shell that keeps its state between lines."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = Path(__file__).parents[2] / "docs/slurm.md"

_FENCE = re.compile(r'( *)```(\w*)(?: title="(.*)")?')


class Block(NamedTuple):
    """A fenced block: its language, the file in its title, and its text."""

    language: str
    file: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, without those that are comments only."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        return [line for line in joined.splitlines() if line and not line.startswith("#")]


class Result(NamedTuple):
    """What a command printed, and its exit status."""

    command: str
    output: str
    status: int


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page in their order."""
    lines = iter(page.splitlines())
    for line in lines:
        fence = _FENCE.fullmatch(line)
        if fence is None:
            continue
        indent, language, file = fence.groups()
        body: list[str] = []
        for inner in lines:
            if inner.strip() == "```":
                break
            body.append(inner.removeprefix(indent))
        yield Block(language, file or "", "\n".join(body) + "\n")


class Shell:
    """Runs one command at a time. Variables, umask and folder stay from one to the next.

    ``prefix`` is the beginning of a command line that leads to another root folder.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        """Start in ``folder``. ``environ`` is as it is here for each command."""
        self._state = folder / ".state"
        self._state.write_text(f"cd {folder}\n")
        self._environ = dict(environ)

    def run(self, command: str, *prefix: str, path: str) -> Result:
        """Run a command with bash and this PATH. Return what it printed, with its errors."""
        script = (
            f". {self._state}\nset -a\nPATH={path}\n{command}\nstatus=$?\n"
            f'{{ export -p; umask -p; echo "cd $PWD"; }} >{self._state}.new\n'
            f"mv {self._state}.new {self._state}\nexit $status\n"
        )
        done = subprocess.run(
            [*prefix, "bash", "-c", script],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return Result(command, done.stdout, done.returncode)
