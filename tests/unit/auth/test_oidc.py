"""The site's identity provider, with real keys behind a real URL."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from hpcobs.auth import oidc
from hpcobs.auth.authenticator import Authenticator, authenticator
from hpcobs.auth.cached import Cached
from hpcobs.auth.principal import Principal
from hpcobs.auth.scopes import SCOPES
from hpcobs.auth.signing_keys import key_ring
from hpcobs.domain.errors import UnauthorizedError, UnavailableError
from hpcobs.settings import Settings, SettingsError, read_settings
from tests.unit.auth.clocks import Time
from tests.unit.auth.providers import (
    AUDIENCE,
    ISSUER,
    Provider,
    ec_key,
    jwk,
    rsa_key,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "a secret of the site, long enough for it"
RSA, EC = rsa_key("lab"), ec_key("lab")
GROUPS = json.dumps({"hpc-admins": "admin", "hpc-staff": "jobs:read metrics:read"})


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(jwk(RSA, kid="rsa"), jwk(EC, kid="ec")) as running:
        yield running


def configured(provider: Provider, **more: str) -> Settings:
    environ = {
        "AUTH_SECRET": SECRET,
        "AUTH_JWKS_URL": provider.url,
        "AUTH_ISSUER": ISSUER,
        "AUTH_AUDIENCE": AUDIENCE,
    }
    return read_settings({**environ, **more})


def site(provider: Provider, **more: str) -> Authenticator:
    return authenticator(configured(provider, **more))


def site_at(provider: Provider, time: Time) -> Authenticator:
    settings = configured(provider)
    known = oidc.options(settings)
    assert known is not None
    keys = Cached(oidc.KeySet(known.jwks_url), what="keys", clock=time)
    return Authenticator(key_ring(settings), provider=oidc.IdentityProvider(known, keys))


def refusal(site: Authenticator, token: str) -> str:
    with pytest.raises(UnauthorizedError) as caught:
        site.authenticate(f"Bearer {token}")
    return caught.value.message


def believed(site: Authenticator, token: str) -> Principal:
    return site.authenticate(f"Bearer {token}")


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA, "RS256", "rsa"), (EC, "ES256", "ec")])
def test_person_reads_own_jobs(provider: Provider, key: Any, algorithm: str, kid: str) -> None:
    principal = believed(site(provider), signed(key, algorithm=algorithm, kid=kid))
    assert (principal.subject, principal.user) == ("ada", "ada")
    assert principal.scopes == {"jobs:read"}
    assert principal.expires_at is not None


def test_site_tokens_need_no_issuer(provider: Provider) -> None:
    from hpcobs.auth.signing_keys import key_id

    claims = {"sub": "node-n1", "scope": "samples:write", "exp": 4_000_000_000, "node": "n1"}
    token = jwt.encode(claims, SECRET, algorithm="HS256", headers={"kid": key_id(SECRET)})
    assert believed(site(provider), token).node == "n1"
    assert provider.asked == 0


def test_provider_token_needs_configured_provider(provider: Provider) -> None:
    own = authenticator(read_settings({"AUTH_SECRET": SECRET}))
    assert refusal(own, signed(RSA)) == "the token is not valid"
    assert provider.asked == 0


def test_group_grants_scopes_for_whole_site(provider: Provider) -> None:
    known = site(provider, AUTH_SCOPES_BY_GROUP=GROUPS)
    staff = believed(known, signed(RSA, groups=["users", "hpc-staff"]))
    assert (staff.subject, staff.user) == ("ada", None)
    assert staff.scopes == {"jobs:read", "metrics:read"}
    both = believed(known, signed(RSA, groups=["hpc-admins", "hpc-staff"]))
    assert both.scopes == {"admin", "jobs:read", "metrics:read"}


def test_cluster_of_providers_token_limits_it(provider: Provider) -> None:
    assert believed(site(provider), signed(RSA, cluster="b")).cluster == "b"
    assert "claim cluster" in refusal(site(provider), signed(RSA, cluster=["b"]))


@pytest.mark.parametrize("groups", [None, [], ["users"], "users", [7, None, {"hpc-admins": 1}], 5])
def test_unknown_group_grants_nothing(provider: Provider, groups: object) -> None:
    known = site(provider, AUTH_SCOPES_BY_GROUP=GROUPS)
    assert believed(known, signed(RSA, groups=groups)).user == "ada"


def test_program_needs_group_but_no_user(provider: Provider) -> None:
    known = site(
        provider, AUTH_SCOPES_BY_GROUP='{"scrape": "metrics:read"}', AUTH_GROUPS_CLAIM="scp"
    )
    program = believed(known, signed(RSA, preferred_username=None, scp="scrape other"))
    assert program.subject == "7f1c9a"
    assert program.scopes == {"metrics:read"}
    message = refusal(known, signed(RSA, preferred_username=None))
    assert message == "the token has no claim preferred_username, and no known group"


def test_providers_scopes_grant_nothing(provider: Provider) -> None:
    principal = believed(site(provider), signed(RSA, scope="admin jobs:write", node="n1"))
    assert principal.scopes == {"jobs:read"}
    assert (principal.user, principal.node) == ("ada", None)


def test_claims_have_names_or_paths(provider: Provider) -> None:
    known = site(
        provider,
        AUTH_USER_CLAIM="https://hpc.example.org/login",
        AUTH_GROUPS_CLAIM="realm_access.roles",
        AUTH_SCOPES_BY_GROUP=GROUPS,
        AUTH_USER_SCOPES="jobs:read jobs:write",
    )
    login: dict[str, Any] = {"https://hpc.example.org/login": "bob"}
    bob = believed(known, signed(RSA, **login))
    assert bob.user == "bob"
    assert bob.scopes == {"jobs:read", "jobs:write"}
    admin = believed(known, signed(RSA, **login, realm_access={"roles": ["hpc-admins"]}))
    assert admin.subject == "bob"
    assert admin.scopes == {"admin"}


def test_mail_address_must_be_of_domain(provider: Provider) -> None:
    known = site(provider, AUTH_USER_DOMAIN="example.org")
    assert believed(known, signed(RSA, preferred_username="ada@Example.org")).user == "ada"
    for name in ("ada@evil.org", "ada", "@example.org", "ada@example.org@evil.org"):
        assert "of another domain" in refusal(known, signed(RSA, preferred_username=name))


def test_unverified_mail_address_is_rejected(provider: Provider) -> None:
    known = site(provider, AUTH_USER_CLAIM="email", AUTH_USER_DOMAIN="example.org")
    mail = "ada@example.org"
    assert believed(known, signed(RSA, email=mail, email_verified=True)).user == "ada"
    for verified in (False, None, "true"):
        token = signed(RSA, email=mail, email_verified=verified)
        assert "not verified" in refusal(known, token)


@pytest.mark.parametrize(
    "name", ["", "a\0da", "a\nda", "x" * 256, "root (x)", 7, ["ada"], {"a": 1}]
)
def test_malformed_user_is_rejected(provider: Provider, name: object) -> None:
    assert "preferred_username" in refusal(site(provider), signed(RSA, preferred_username=name))


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"seconds": -60}, "the token has expired"),
        ({"nbf": 4_000_000_000}, "the token is not valid yet"),
        ({"iss": "https://evil.example.org"}, "the token is not valid"),
        ({"iss": None}, "the token is not valid"),
        ({"aud": "another service"}, "the token is not valid"),
        ({"aud": None}, "the token is not valid"),
        ({"aud": []}, "the token is not valid"),
        ({"sub": None}, "the token is not valid"),
        ({"sub": 7}, "the token is not valid"),
        ({"kid": "unknown"}, "the token is not valid"),
        ({"kid": "ec"}, "the token is not valid"),
        ({"kid": None, "algorithm": "PS256"}, "the token is not valid"),
        ({"algorithm": "RS512"}, "the token is not valid"),
    ],
)
def test_token_for_other_site_is_rejected(
    provider: Provider, claims: dict[str, Any], message: str
) -> None:
    assert refusal(site(provider), signed(RSA, **claims)) == message


def test_one_of_several_audiences_suffices(provider: Provider) -> None:
    assert believed(site(provider), signed(RSA, aud=["account", AUDIENCE])).user == "ada"


def test_token_signed_by_foreign_key_is_rejected(provider: Provider) -> None:
    known = site(provider)
    assert refusal(known, signed(rsa_key("evil"))) == "the token is not valid"
    evil = rsa_key("evil")
    own = jwt.encode(
        {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": 4_000_000_000},
        evil,
        algorithm="RS256",
        headers={"jwk": jwk(evil), "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"},
    )
    assert refusal(known, own) == "the token is not valid"


def test_public_key_is_no_hmac_secret(provider: Provider) -> None:
    known = site(provider)
    public = RSA.public_key()
    for encoding, form in (
        (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
    ):
        key = public.public_bytes(encoding, form)
        assert refusal(known, forged("HS256", key)) == "the token is not valid"


def forged(algorithm: str, key: bytes) -> str:
    """Sign a token by hand: a library would not sign like that."""
    import hashlib
    import hmac

    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": 4_000_000_000, "scope": "admin"}
    parts = [json.dumps(part).encode() for part in ({"alg": algorithm, "kid": "rsa"}, claims)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    digest = hmac.digest(key, text, hashlib.sha256)
    return (text + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


def test_critical_extension_is_rejected(provider: Provider) -> None:
    token = jwt.encode(
        {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": 4_000_000_000},
        RSA,
        algorithm="RS256",
        headers={"kid": "rsa", "crit": ["exp"]},
    )
    assert refusal(site(provider), token) == "the token is not valid"


def test_token_without_kid_uses_only_key(provider: Provider) -> None:
    assert believed(site(provider), signed(RSA, kid=None)).user == "ada"
    provider.publish(jwk(RSA, kid="rsa"), jwk(rsa_key("second"), kid="second"))
    assert refusal(site(provider), signed(RSA, kid=None)) == "the token is not valid"


def test_new_key_is_found_within_a_minute(
    provider: Provider,
) -> None:
    time = Time()
    known = site_at(provider, time)
    assert believed(known, signed(RSA)).user == "ada"
    provider.publish(jwk(rsa_key("second"), kid="second"))
    for _ in range(20):
        refusal(known, signed(rsa_key("second"), kid="second"))
    assert provider.asked == 1
    time.now = 61
    assert believed(known, signed(rsa_key("second"), kid="second")).user == "ada"
    assert provider.asked == 2


def test_known_keys_survive_provider_outage(provider: Provider) -> None:
    time = Time()
    known = site_at(provider, time)
    believed(known, signed(RSA))
    provider.status = 500
    time.now = 1000
    for _ in range(9):
        assert believed(known, signed(RSA)).user == "ada"
    assert provider.asked == 2


def test_unreachable_provider_affects_its_tokens_only(
    provider: Provider,
) -> None:
    provider.status = 500
    known = site(provider)
    with pytest.raises(UnavailableError, match="identity provider's keys cannot be read now"):
        believed(known, signed(RSA))
    own = jwt.encode({"sub": "n1", "exp": 4_000_000_000}, SECRET, algorithm="HS256")
    assert believed(known, own).subject == "n1"


ODD: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"<html>",
    "no object": b"[]",
    "no keys": b"{}",
    "keys that are none": b'{"keys": 7}',
    "an empty set": b'{"keys": []}',
    "deep": b"[" * 100_000,
    "endless": b'{"keys": [' + b" " * (oidc.MAX_BYTES + 1) + b"]}",
    "no text": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_malformed_key_set_is_unavailable(provider: Provider, body: bytes) -> None:
    provider.body = body
    with pytest.raises(UnavailableError):
        oidc.KeySet(provider.url)()


def test_redirect_is_not_followed(provider: Provider) -> None:
    with Provider(jwk(RSA, kid="rsa")) as elsewhere:
        provider.status, provider.headers = 302, {"Location": elsewhere.url}
        with pytest.raises(UnavailableError):
            oidc.KeySet(provider.url)()
        assert elsewhere.asked == 0


def test_slow_provider_times_out(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "READ_SECONDS", 0.1)
    provider.delay_seconds = 60
    with pytest.raises(UnavailableError):
        oidc.KeySet(provider.url)()


def test_only_rs256_and_es256_keys_are_used(provider: Provider) -> None:
    private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA))
    provider.publish(
        {"kty": "oct", "k": "c2VjcmV0", "kid": "hmac"},
        jwk(RSA, kid="encrypts", use="enc"),
        jwk(RSA, kid="signs", key_ops=["sign"]),
        jwk(RSA, kid="long", alg="RS512"),
        jwk(rsa_key("short", 1024), kid="short"),
        jwk(EC, kid="other curve", crv="P-384"),
        jwk(EC, kid="off the curve", x="AAAA"),
        {**jwk(RSA, kid="broken"), "n": 5},
        jwk(RSA, kid=["x"]),
        {"kid": "bare"},
        "no object",  # type: ignore[arg-type]
        {**private, "kid": "private", "key_ops": None},
        jwk(EC, kid="ec", alg="ES256"),
    )
    keys = oidc.KeySet(provider.url)()
    found = [(key.key_id, key.algorithm_name) for key in keys]
    assert found == [("private", "RS256"), ("ec", "ES256")]
    assert not hasattr(keys[0].key, "private_numbers")


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ({"AUTH_ISSUER": ""}, "AUTH_ISSUER: required with AUTH_JWKS_URL"),
        ({"AUTH_AUDIENCE": ""}, "AUTH_AUDIENCE: required with AUTH_JWKS_URL"),
        (
            {"AUTH_JWKS_URL": "http://login.example.org/keys"},
            "AUTH_JWKS_URL: must begin with https://",
        ),
        ({"AUTH_JWKS_URL": "file:///etc/passwd"}, "AUTH_JWKS_URL: must begin with https://"),
        ({"AUTH_JWKS_URL": "https://[::1"}, "AUTH_JWKS_URL: must begin with https://"),
        ({"AUTH_SCOPES_BY_GROUP": "{"}, "AUTH_SCOPES_BY_GROUP: is not JSON"),
        (
            {"AUTH_SCOPES_BY_GROUP": "[]"},
            "AUTH_SCOPES_BY_GROUP: must be an object whose values are texts, in JSON",
        ),
        (
            {"AUTH_USER_SCOPES": "jobs:raed"},
            f"AUTH_USER_SCOPES: jobs:raed: not a scope; there are {', '.join(sorted(SCOPES))}",
        ),
    ],
)
def test_bad_setting_is_named(provider: Provider, setting: dict[str, str], line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        site(provider, **setting)
    assert str(caught.value) == line
