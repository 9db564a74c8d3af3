"""Authorization headers that must open no route, each made as an attacker would make it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization

from tests.functions.gateway import SECRET, token
from tests.unit.auth.providers import ec_key, jwk, rsa_key

ADMIN = {"sub": "me", "scope": "admin", "exp": 4_000_000_000}


def part(content: object) -> bytes:
    """Encode a part of a token: JSON, or raw bytes."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def by_hand(header: object, claims: object, *, key: bytes = SECRET.encode()) -> str:
    """Sign a token by HMAC-SHA-256, whatever algorithm its header names."""
    text = part(header) + b"." + part(claims)
    return (text + b"." + part(hmac.digest(key, text, hashlib.sha256))).decode()


def unsigned(algorithm: str) -> str:
    """Make a token without a signature."""
    return (part({"alg": algorithm, "typ": "JWT"}) + b"." + part(ADMIN) + b".").decode()


def swapped() -> str:
    """Put a small token's signature under an administrator's claims."""
    header, _, signature = token("jobs:read").split(".")
    return ".".join((header, part(ADMIN).decode(), signature))


def public_pem() -> bytes:
    """Return the public half of a provider's key."""
    return (
        rsa_key("site")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _signed(**claims: Any) -> str:
    return by_hand({"alg": "HS256", "typ": "JWT"}, {**ADMIN, **claims})


GOOD = token()
_HEADER = {"alg": "HS256"}

TOKENS: dict[str, str] = {
    "of another key": token(secret="another secret, as long as the first"),
    "of an empty key": by_hand(_HEADER, ADMIN, key=b""),
    "of the secret's hash": by_hand(_HEADER, ADMIN, key=hashlib.sha256(SECRET.encode()).digest()),
    "expired": token(seconds=-60),
    "expired in text": _signed(exp="4000000000x"),
    "without an end": by_hand(_HEADER, {"sub": "me", "scope": "admin"}),
    "with an endless end": by_hand(_HEADER, b'{"sub":"me","scope":"admin","exp":1e999}'),
    "with an end that is no number": _signed(exp=None),
    "not valid yet": _signed(nbf=4_000_000_000),
    "issued in the future": _signed(iat=4_000_000_000),
    "of no algorithm": unsigned("none"),
    "of NONE": unsigned("NONE"),
    "of no algorithm, signed": by_hand({"alg": "none"}, ADMIN),
    "of HS512": jwt.encode(ADMIN, SECRET * 2, algorithm="HS512"),
    "of an empty algorithm": by_hand({"alg": ""}, ADMIN),
    "of an algorithm that is a list": by_hand({"alg": ["HS256"]}, ADMIN),
    "of a provider's public key": by_hand(_HEADER, ADMIN, key=public_pem()),
    "of an own RSA key": jwt.encode(
        ADMIN, rsa_key("evil"), algorithm="RS256", headers={"jwk": jwk(rsa_key("evil"))}
    ),
    "of an own EC key": jwt.encode(ADMIN, ec_key("evil"), algorithm="ES256"),
    "with a critical extension": by_hand({"alg": "HS256", "crit": ["x"], "x": 1}, ADMIN),
    "with a payload elsewhere": by_hand({"alg": "HS256", "b64": False, "crit": ["b64"]}, ADMIN),
    "with a key that is a path": by_hand({"alg": "HS256", "kid": "../../dev/null"}, ADMIN, key=b""),
    "with a key that is SQL": by_hand({"alg": "HS256", "kid": "' OR 1=1 --"}, ADMIN, key=b""),
    "with a key that is an object": by_hand({"alg": "HS256", "kid": {"a": 1}}, ADMIN),
    "with another's signature": swapped(),
    "cut off": GOOD[:-5],
    "without its signature": GOOD.rpartition(".")[0] + ".",
    "of two parts": GOOD.rpartition(".")[0],
    "of four parts": GOOD + ".x",
    "of many dots": "." * 5000,
    "of an encrypted kind": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..a.b.c",
    "huge": _signed(padding="x" * 9000),
    "of claims that are no JSON": by_hand(_HEADER, b"claims"),
    "of claims that are a list": by_hand(_HEADER, b"[]"),
    "of claims that are a text": by_hand(_HEADER, b'"admin"'),
    "of claims that are no text": by_hand(_HEADER, b"\xff\xfe"),
    "of deep claims": by_hand(_HEADER, b"[" * 5000),
    "of a header that is a list": by_hand([], ADMIN),
    "with scopes in a list": _signed(scope=["admin"]),
    "with a scope that is true": _signed(scope=True),
    "without a subject": by_hand(_HEADER, {"scope": "admin", "exp": 4_000_000_000}),
    "with an empty subject": _signed(sub=""),
    "with a subject that is a number": _signed(sub=1),
    "with a subject of two lines": _signed(sub="me\nroot"),
    "with a subject with NUL": _signed(sub="me\0root"),
    "with a subject without end": _signed(sub="x" * 256),
    "with a node that is null": _signed(node=None),
    "with a user that is empty": _signed(user=""),
    "with a user that is a list": _signed(user=["ada"]),
}
"""Tokens by their fault. Each would be an administrator's if it were accepted."""

HEADERS: dict[str, str] = {
    **{name: f"Bearer {text}" for name, text in TOKENS.items()},
    "empty": " ",
    "no scheme": GOOD,
    "another scheme": f"Digest {GOOD}",
    "twice": f"Bearer {GOOD},Bearer {GOOD}",
    "twice in one": f"Bearer {GOOD} {GOOD}",
    "bearer in bearer": f"Bearer Bearer {GOOD}",
    "in quotes": f'Bearer "{GOOD}"',
    "with a line break": f"Bearer {GOOD[:20]}\n{GOOD[20:]}",
    "with NUL": f"Bearer {GOOD}\0",
    "in full-width letters": "Bearer " + "".join(chr(ord(c) + 0xFEE0) for c in GOOD[:200]),
    "no token but snow": "Bearer \N{SNOWMAN}",
    "with a lone surrogate": "Bearer \ud800",
    "basic without a password": "Basic " + base64.b64encode(b"ada:").decode(),
    "basic with the token as name": "Basic " + base64.b64encode(f"{GOOD}:".encode()).decode(),
    "basic with a wrong password": "Basic " + base64.b64encode(b"ada:secret").decode(),
    "basic with no base64": "Basic ####",
    "basic with the secret": "Basic " + base64.b64encode(f"x:{SECRET}".encode()).decode(),
    "the secret": f"Bearer {SECRET}",
}
