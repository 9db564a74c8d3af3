"""An identity provider on this machine: real keys, real tokens, and a key set behind a URL."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from jwt.algorithms import AllowedPrivateKeys

ISSUER = "https://login.example.org/realms/lab"
AUDIENCE = "hpcobs"


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Make a key, once per process because it takes a while."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Make a key on P-256, once per process."""
    del name
    return ec.generate_private_key(ec.SECP256R1())


def jwk(key: AllowedPrivateKeys, **more: Any) -> dict[str, Any]:
    """Return a key's public half as an entry of a key set."""
    if isinstance(key, rsa.RSAPrivateKey):
        entry = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        entry = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    entry.pop("key_ops", None)
    return {**entry, "use": "sig", **more}


def signed(
    key: Any,
    *,
    algorithm: str = "RS256",
    kid: str | None = "rsa",
    seconds: float = 3600,
    **more: Any,
) -> str:
    """Issue a token as a provider does. A claim that is None is left out."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "7f1c9a",
        "exp": datetime.now(UTC) + timedelta(seconds=seconds),
        "preferred_username": "ada",
        **more,
    }
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


class Provider:
    """Serves a key set on a loopback address. The test sets ``body`` and ``status``."""

    def __init__(self, *entries: dict[str, Any]) -> None:
        self.body = json.dumps({"keys": list(entries)}).encode()
        self.status = 200
        self.headers: dict[str, str] = {}
        self.delay_seconds = 0.0
        self.asked = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """Where the key set is."""
        return f"http://127.0.0.1:{self._server.server_port}/keys"

    def publish(self, *entries: dict[str, Any]) -> None:
        """Serve these keys from now on."""
        self.body = json.dumps({"keys": list(entries)}).encode()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                time.sleep(provider.delay_seconds)
                self.send_response(provider.status)
                for name, value in provider.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(provider.body)
                except OSError:  # a client that has read enough goes away
                    return

            def log_message(self, *_: Any) -> None:
                return

        return Handler
