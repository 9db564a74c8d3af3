"""Asking the HTTP API, and what goes wrong with it in one line."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hpcobs_cli.errors import CommandError

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    import httpx

SECONDS = 30.0


class Client:
    """The API at ``url``, asked with ``token``."""

    def __init__(self, url: str, token: str | None, cert_file: Path | None = None) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._cert_file = cert_file

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at ``path``; None is left out of the query. CommandError if there is none."""
        import httpx

        given = {name: value for name, value in query.items() if value is not None}
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        verify = _tls(self._cert_file)
        try:
            response = httpx.get(
                self.url + path, params=given, headers=headers, timeout=SECONDS, verify=verify
            )
        except httpx.InvalidURL:
            raise CommandError(f"{self.url!r} is not a URL") from None
        except httpx.UnsupportedProtocol:
            raise CommandError(f"{self.url!r} is not an http or https URL") from None
        except httpx.TimeoutException:
            raise CommandError(f"{self.url} did not answer within {SECONDS:g} s") from None
        except (httpx.HTTPError, UnicodeEncodeError) as error:
            raise CommandError(f"{self.url} cannot be asked: {error}") from None
        return _content(response)


def _tls(cert_file: Path | None) -> ssl.SSLContext | bool:
    """Servers' certificates are checked, and the client's own is shown where there is one."""
    if cert_file is None:
        return True
    import ssl

    context = ssl.create_default_context()
    try:
        context.load_cert_chain(cert_file)
    except OSError as error:
        raise CommandError(f"cannot use {cert_file}: {error.strerror or error}") from None
    return context


def _content(response: httpx.Response) -> Any:
    with suppress(ValueError):
        content = response.json()
        if response.is_success:
            return content
        if isinstance(content, dict) and "message" in content:
            raise CommandError(f"{content['message']} ({response.status_code})")
    raise CommandError(
        f"{response.url.host} answered {response.status_code}, which is not hpcobs's way"
    )


def connect(
    *,
    url: str | None,
    token: str | None,
    token_file: Path | None,
    cert_file: Path | None = None,
    data_dir: Path,
) -> Client:
    """The service that was named, or the local one. The local token goes to the local one only."""
    if url is not None:
        return Client(url, token or _token_in(token_file), cert_file)
    local_url = _text(data_dir / "url")
    if local_url is None:
        raise CommandError(
            f"no service runs in {data_dir}: start one with `hpcobs up`, "
            "or name one with --url or HPCOBS_URL"
        )
    return Client(local_url, token or _token_in(token_file) or _text(data_dir / "token"))


def _token_in(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().strip() or None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        raise CommandError(f"cannot read {path}: {reason}") from None


def _text(path: Path) -> str | None:
    with suppress(OSError):
        return path.read_text().strip() or None
    return None
