"""``hpcobs up``: the local service in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from hpcobs import __version__
from hpcobs.settings import SettingsError
from hpcobs_local.folder import DEFAULT, Folder, FolderInUseError
from hpcobs_local.logs import BACKUPS, MAX_BYTES
from hpcobs_local.postgres import PostgresError
from hpcobs_local.service import StartError, running
from hpcobs_local.unprivileged import PrivilegeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from hpcobs_local.options import Options
    from hpcobs_local.service import Running

EXPECTED = (
    StartError,
    FolderInUseError,
    SettingsError,
    PostgresError,
    PrivilegeError,
)
"""What may go wrong at a start through no fault of the program; each is one line."""


class UpError(Exception):
    """The service cannot run; the message is one line for people."""


def up(options: Options, console: Console) -> None:
    """Run the service until it is asked to stop; UpError if it cannot run."""
    try:
        folder = Folder(options.data_dir)
        folder.make()
        _log_to(folder.logs)
        asyncio.run(_run(options, console))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise UpError(f"{where}{error.strerror or error}") from error
    except EXPECTED as error:
        raise UpError(str(error)) from error


async def _run(options: Options, console: Console) -> None:
    """Unwinds on the first signal; further ones are not needed, since the stop takes no time."""
    task = asyncio.current_task()
    assert task is not None
    asked = asyncio.Event()

    def stop() -> None:
        if not asked.is_set():
            asked.set()
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop)
    try:
        async with running(options, lambda text: _tell(console, text)) as service:
            _welcome(service, options, console)
            await service.ended()
    except asyncio.CancelledError:
        if not asked.is_set():
            raise
        # Below the ^C that a terminal shows.
        console.print("\nhpcobs: stopped" if console.is_terminal else "hpcobs: stopped")


def _tell(console: Console, text: str) -> None:
    console.print(f"hpcobs: {text}", highlight=False)


def _welcome(service: Running, options: Options, console: Console) -> None:
    title = f"hpcobs {__version__} answers on {service.url}"
    console.print(f"\n[bold green]{title}[/]\n", highlight=False)
    console.print("Token:", style="bold")
    console.print(f"  {service.token}\n", soft_wrap=True, highlight=False)
    console.print("Try:", style="bold")
    for command in _commands(service, options):
        console.print(f"  {command}", soft_wrap=True, highlight=False, markup=False)
    console.print()
    for line in _facts(service, options):
        console.print(line, soft_wrap=True, highlight=False)


def _commands(service: Running, options: Options) -> Iterator[str]:
    folder = service.folder
    bearer = f'-H "Authorization: Bearer $(cat {quote(str(folder.token_file))})"'
    where = "" if options.data_dir == DEFAULT else f" --data-dir {quote(str(options.data_dir))}"
    yield f"curl -s {bearer} '{service.url}/v1/jobs?state=running'"
    yield f"{quote(_program())} jobs{where}"
    yield f"curl -s {bearer} {service.url}/metrics"


def _program() -> str:
    """This command as one can type it here."""
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
    database = "the database that was named" if options.database_url else service.folder.postgres
    yield f"Data: {database}   Logs: {service.folder.logs}   Token: {service.folder.token_file}"
    yield f"The API to read and try: {service.url}/v1/docs   Ctrl-C stops everything."


LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def _log_to(folder: Path) -> None:
    """Everything into the log; warnings to whoever watches as well."""
    path = folder / "service.log"
    file = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=BACKUPS, delay=True)
    file.setFormatter(logging.Formatter(LOG_FORMAT))
    screen = logging.StreamHandler()
    screen.setLevel(logging.WARNING)
    screen.setFormatter(logging.Formatter("hpcobs: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[file, screen], force=True)
