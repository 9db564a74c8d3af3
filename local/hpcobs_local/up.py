"""``hpcobs up``: the local service in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import sys
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from hpcobs import __version__
from hpcobs.settings import SettingsError
from hpcobs_local.folder import DEFAULT_PATH, Folder, FolderInUseError
from hpcobs_local.logs import BACKUPS, MAX_BYTES
from hpcobs_local.postgres.programs import PostgresError
from hpcobs_local.service import StartError, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from hpcobs_local.options import Options
    from hpcobs_local.service import Running

EXPECTED = (StartError, FolderInUseError, SettingsError, PostgresError)
"""Errors of a start that are not the program's fault. Each is one line for people."""


class UpError(Exception):
    """The service cannot run. The message is one line for people."""


def up(options: Options, console: Console) -> None:
    """Run the service until a signal stops it. Raise UpError if it cannot run."""
    try:
        folder = Folder(options.data_dir)
        folder.create()
        _log_to(folder.logs)
        asyncio.run(_run(options, console))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise UpError(f"{where}{error.strerror or error}") from error
    except EXPECTED as error:
        raise UpError(str(error)) from error


async def _run(options: Options, console: Console) -> None:
    """Run the service. The first signal stops it, further ones are ignored."""
    task = asyncio.current_task()
    assert task is not None
    stopping = asyncio.Event()

    def stop() -> None:
        if not stopping.is_set():
            stopping.set()
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A SIGHUP that is ignored (nohup) stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop)
    try:
        async with running(options, lambda text: _report(console, text)) as service:
            _welcome(service, options, console)
            await service.ended()
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise
        # The terminal may be closed, which is one reason for a stop.
        with suppress(OSError):
            # On a new line: a terminal shows ^C on this one.
            console.print("\nhpcobs: stopped" if console.is_terminal else "hpcobs: stopped")


def _report(console: Console, text: str) -> None:
    console.print(f"hpcobs: {text}", highlight=False)


def _welcome(service: Running, options: Options, console: Console) -> None:
    title = f"hpcobs {__version__} is running on {service.url}"
    console.print(f"\n[bold green]{title}[/]\n", highlight=False)
    console.print("Token:", style="bold")
    console.print(f"  {service.token}\n", soft_wrap=True, highlight=False)
    console.print("Try:", style="bold")
    for command in _example_commands(service, options):
        console.print(f"  {command}", soft_wrap=True, highlight=False, markup=False)
    console.print()
    for line in _facts(service, options):
        console.print(line, soft_wrap=True, highlight=False)


def _example_commands(service: Running, options: Options) -> Iterator[str]:
    folder = service.folder
    bearer = f'-H "Authorization: Bearer $(cat {quote(str(folder.token_file))})"'
    default = options.data_dir == DEFAULT_PATH
    where = "" if default else f" --data-dir {quote(str(options.data_dir))}"
    yield f"curl -s {bearer} '{service.url}/v1/jobs?state=running'"
    yield f"{quote(_program())} jobs{where}"
    yield f"curl -s {bearer} {service.url}/metrics"


def _program() -> str:
    """Return the name under which this command can be called from the current folder."""
    # A user may have typed a path, or a name that is found in PATH.
    name = Path(sys.argv[0])
    if shutil.which(name.name) == str(name.absolute()):
        return name.name
    try:
        return str(name.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(name)


def _facts(service: Running, options: Options) -> Iterator[str]:
    if options.simulate:
        yield f"A simulated cluster of {options.nodes} nodes runs about {options.jobs} jobs."
    database = "your database" if options.database_url else service.folder.postgres
    yield f"Data: {database}   Logs: {service.folder.logs}   Token: {service.folder.token_file}"
    yield f"API documentation: {service.url}/v1/docs   Press Ctrl-C to stop everything."


LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def _log_to(folder: Path) -> None:
    """Log everything to a file, and warnings to standard error too."""
    path = folder / "service.log"
    file = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=BACKUPS, delay=True)
    file.setFormatter(logging.Formatter(LOG_FORMAT))
    screen = logging.StreamHandler()
    screen.setLevel(logging.WARNING)
    screen.setFormatter(logging.Formatter("hpcobs: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[file, screen], force=True)
