"""The options of every command that connects to a service, declared once.

A command takes a ``connection: ConnectionOptions``, and ``@with_connection`` gives it the options.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from hpcobs_cli.client import Client
from hpcobs_cli.errors import CommandError
from hpcobs_cli.options import DATA_DIR, DataDir
from hpcobs_local.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Callable


Url = Annotated[
    str | None,
    typer.Option(help="The URL of the service.", envvar="HPCOBS_URL", show_envvar=True),
]
Token = Annotated[
    str | None, typer.Option(help="A bearer token.", envvar="HPCOBS_TOKEN", show_envvar=True)
]
TokenFile = Annotated[Path | None, typer.Option(help="A file with a bearer token.")]
CertFile = Annotated[
    Path | None,
    typer.Option(
        help="A file with a client certificate and its key, for sites that require one.",
        envvar="HPCOBS_CLIENT_CERT_FILE",
        show_envvar=True,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """The address of a service, and the caller's credentials."""

    url: Url = None
    token: Token = None
    token_file: TokenFile = None
    cert_file: CertFile = None
    data_dir: DataDir = DATA_DIR

    def client(self) -> Client:
        """Return a client of the service at the URL, or else of the local one."""
        token = self.token or _token_in(self.token_file)
        if self.url is not None:
            # Without the local service's token: it must not be sent to any other service.
            return Client(self.url, token, self.cert_file)
        folder = Folder(self.data_dir)
        local_url = folder.url()
        if local_url is None:
            raise CommandError(
                f"no service is running in {self.data_dir}: start one with `hpcobs up`, "
                "or give the URL of one with --url or HPCOBS_URL"
            )
        return Client(local_url, token or folder.token())


def _token_in(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().strip() or None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        raise CommandError(f"cannot read {path}: {reason}") from None


def with_connection(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter ``connection`` by the connection options."""
    hints = get_type_hints(ConnectionOptions, include_extras=True)
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(ConnectionOptions)
    ]

    @wraps(command)
    def connected(**values: Any) -> None:
        given = {option.name: values.pop(option.name) for option in options}
        command(connection=ConnectionOptions(**given), **values)

    # Typer reads a command's options from its signature, and its annotations from there too.
    signature = inspect.signature(command, eval_str=True)
    own = [option for option in signature.parameters.values() if option.name != "connection"]
    connected.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    connected.__annotations__ = {option.name: option.annotation for option in [*own, *options]}
    return connected
