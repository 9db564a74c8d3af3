"""The local service from start to stop. Parts are stopped in reverse order of their start."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from hpcobs.auth import site_tokens
from hpcobs.auth.authenticator import authenticator
from hpcobs.auth.networks import networks
from hpcobs.auth.scopes import ADMIN
from hpcobs.settings import read_settings
from hpcobs.storage.conninfo import parsed
from hpcobs.storage.migrations import NewerSchemaError, SchemaError, migrate
from hpcobs_local.environment import InvocationError
from hpcobs_local.folder import PRIVATE, Folder, write
from hpcobs_local.gateway.app import Gateway
from hpcobs_local.gateway.server import Server, bound_socket
from hpcobs_local.logs import LogFile
from hpcobs_local.options import environment, simulator_arguments, url
from hpcobs_local.postgres.supervised import SupervisedPostgres
from hpcobs_local.runtime import Runtime
from hpcobs_local.schedules import SCHEDULES, follow
from hpcobs_local.waiting import abandonable
from hpcobs_local.watchdog import RestartedProcess

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable

    from hpcobs.settings import Settings
    from hpcobs_local.options import Options

    Report = Callable[[str], None]

logger = logging.getLogger(__name__)

TOKEN_LIFETIME = timedelta(days=90)
ADMINISTRATOR = "local-admin"
RETRY_SECONDS = 5.0
NEEDED_AT_ONCE = ("api", "authorizer")
"""Functions of the first request. The runtime starts the others after the gateway."""


class StartError(Exception):
    """The service cannot start. The message is one line for people."""


@dataclass(frozen=True, slots=True)
class Running:
    """A running service. ``ended`` waits until its gateway fails."""

    url: str
    token: str
    folder: Folder
    ended: Callable[[], Awaitable[None]]


@asynccontextmanager
async def running(options: Options, report: Report) -> AsyncIterator[Running]:
    """Start the service, and stop it at the end. Raise StartError if it cannot start.

    ``report`` gets a text for each step of the start.
    """
    folder = Folder(options.data_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.locked())
        # All options are checked before PostgreSQL is started, which takes seconds.
        listener = stack.enter_context(_listener(options))
        secret = os.environ.get("AUTH_SECRET") or folder.ensure_secret()
        token = _issue_token(_settings(options, secret), options, folder)
        database_url = options.database_url or await _start_postgres(stack, folder, report)
        environ = environment(options, database_url=database_url, secret=secret)
        await _migrate(database_url, report)
        report("starting the functions")
        runtime = await _start_runtime(stack, environ, folder)
        server = await _start_gateway(stack, runtime, listener, folder)
        address = url(options.host, listener.getsockname()[1])
        await _background(stack, runtime.maintain)
        for schedule in SCHEDULES:
            await _background(stack, partial(follow, schedule, runtime))
        # The last step: programs that wait for the service wait for this file.
        write(folder.url_file, address)
        stack.callback(folder.url_file.unlink, missing_ok=True)
        if options.simulate:
            arguments = simulator_arguments(options, address)
            simulator = RestartedProcess("hpcobs_local.simulator", arguments, environ, folder.logs)
            await _background(stack, simulator.run)
        yield Running(address, token, folder, lambda: _gateway_failure(server))


def _settings(options: Options, secret: str) -> Settings:
    """Return the functions' settings. A bad value stops the start here, and not a request later."""
    database_url = options.database_url or ""
    settings = read_settings(environment(options, database_url=database_url, secret=secret))
    authenticator(settings)
    networks(settings)
    parsed(database_url)
    return settings


def _listener(options: Options) -> socket.socket:
    try:
        return bound_socket(options.host, options.port)
    except OSError as error:
        where = f"{options.host}:{options.port}"
        raise StartError(f"cannot listen on {where}: {error.strerror or error}") from None


async def _start_postgres(stack: AsyncExitStack, folder: Folder, report: Report) -> str:
    report("starting PostgreSQL")
    postgres = SupervisedPostgres(folder.postgres)
    # Before the start, which may be cancelled when the server already runs.
    stack.push_async_callback(postgres.stop)
    database_url = await postgres.start()
    await _background(stack, postgres.supervise)
    return database_url


async def _migrate(database_url: str, report: Report) -> None:
    try:
        # Cut by a stop: the migrations are one transaction, which may wait for long.
        applied = await abandonable(lambda: migrate(database_url))
    except psycopg.Error as error:
        # psycopg's message has several lines: the reason, then details.
        reason = str(error).strip().splitlines()[0]
        raise StartError(f"the database cannot be prepared: {reason}") from None
    except NewerSchemaError as error:
        # Not a failure: the schema of the next release works with this one, so that users may go
        # back by one. Only they know how many releases they went back.
        logger.warning("%s. Only the release before that one works with its tables", error)
        return
    except SchemaError as error:
        raise StartError(f"the database cannot be prepared: {error}") from None
    if applied:
        report(f"applied {len(applied)} migrations")


async def _start_runtime(stack: AsyncExitStack, environ: dict[str, str], folder: Folder) -> Runtime:
    runtime = Runtime(environ, folder.logs)
    stack.push_async_callback(runtime.stop)
    try:
        await runtime.warm(*NEEDED_AT_ONCE)
    except InvocationError as error:
        raise StartError(f"a function cannot start: {error} (see {folder.logs})") from None
    return runtime


async def _start_gateway(
    stack: AsyncExitStack, runtime: Runtime, listener: socket.socket, folder: Folder
) -> asyncio.Task[None]:
    log = LogFile(folder.logs / "gateway.log")
    stack.callback(log.close)
    server = Server(Gateway(runtime, log.write))
    task = asyncio.create_task(server.serve(sockets=[listener]))

    async def stop() -> None:
        server.stop()
        await asyncio.wait([task])

    stack.push_async_callback(stop)
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED)
    # The task ends before the server is ready if uvicorn cannot listen.
    ready.cancel()
    if task.done():
        raise StartError(f"the gateway cannot listen: {task.exception()}")
    return task


async def _gateway_failure(server: asyncio.Task[None]) -> None:
    await asyncio.wait([server])
    raise StartError("the gateway stopped unexpectedly")


def _issue_token(settings: Settings, options: Options, folder: Folder) -> str:
    """Issue an administrator's token. Write it to the folder and to ``--token-file``."""
    token = site_tokens.issue(
        settings.auth_secret or "",
        subject=ADMINISTRATOR,
        scopes=(ADMIN,),
        expires_at=datetime.now(UTC) + TOKEN_LIFETIME,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
    )
    for path in filter(None, (folder.token_file, options.token_file)):
        try:
            write(path, token, mode=PRIVATE)
        except OSError as error:
            raise StartError(f"cannot write {path}: {error.strerror or error}") from None
    return token


async def _background(stack: AsyncExitStack, work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work`` until the service stops."""
    task = asyncio.create_task(_run_forever(work))

    async def stop() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(stop)


async def _run_forever(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            logger.exception("a part of the service failed, restarting it")
        await asyncio.sleep(RETRY_SECONDS)
