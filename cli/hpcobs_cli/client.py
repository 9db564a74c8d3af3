"""The client of the HTTP API. Every failure becomes a CommandError of one line."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hpcobs_cli.errors import CommandError

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    import httpx

# API Gateway stops waiting for a function after 30 s: no response comes later.
TIMEOUT_SECONDS = 30.0


class Client:
    """The API at ``url``, with ``token`` in each request."""

    def __init__(self, url: str, token: str | None, cert_file: Path | None = None) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._cert_file = cert_file

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON at ``path``. Leave out parameters that are None. Raise CommandError."""
        # Imported here, as in other commands: `hpcobs --help` and `token` do without httpx.
        import httpx

        params = {name: value for name, value in query.items() if value is not None}
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        verify = _tls(self._cert_file)
        try:
            response = httpx.get(
                self.url + path,
                params=params,
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                verify=verify,
            )
        except httpx.InvalidURL:
            raise CommandError(f"{self.url!r} is not a URL") from None
        except httpx.UnsupportedProtocol:
            raise CommandError(f"{self.url!r} is not an http or https URL") from None
        except httpx.TimeoutException:
            raise CommandError(f"{self.url} did not respond within {TIMEOUT_SECONDS:g} s") from None
        except (httpx.HTTPError, UnicodeEncodeError) as error:
            raise CommandError(f"{self.url} cannot be reached: {error}") from None
        return _content(response)


def _tls(cert_file: Path | None) -> ssl.SSLContext | bool:
    """Return the TLS settings: check the server's certificate, and send the client's if given."""
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
    # A proxy's page, or another service: the text may be long HTML, so it is not printed.
    raise CommandError(
        f"{response.url.host} returned {response.status_code} without the JSON of hpcobs"
    )
