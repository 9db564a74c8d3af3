"""The layer, built for Lambda from the locked packages."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from infra.build import bytecode
from infra.build.assets import build_function, files
from infra.build.layer import BOTO_SERVICES, CERTIFICATES_IN_LAYER
from infra.build.target import LAMBDA
from infra.paths import CERTIFICATES, LAYER, LAYER_LOCK, ROOT
from tests.infra.needs import services_used

BUILD = """
import sys
from infra.build.layer import Layer
from aws_cdk import App, Stack

app = App(outdir=sys.argv[1])
Layer(Stack(app, "Site"), "Layer")
app.synth()
"""
AARCH64 = 183
"""``e_machine`` of an ELF file."""
UNZIPPED_LIMIT_MB = 250
UNREACHABLE = ("Failed to fetch", "error sending request", "dns error", "client error (Connect)")


def _build(folder: Path, *, umask: int = 0o022) -> Path:
    """Build the layer with the CDK, and return the folder of its asset."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        umask=umask,
    )
    if done.returncode and any(sign in done.stderr for sign in UNREACHABLE):
        pytest.skip("the packages cannot be downloaded here")
    assert done.returncode == 0, done.stderr
    (asset,) = [path for path in folder.glob("asset.*") if path.is_dir()]
    return asset


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("layers") / "layer")


def test_layer_contains_locked_packages_and_ours(layer: Path) -> None:
    locked = re.findall(r"^([\w.-]+)==([\w.]+) ", LAYER_LOCK.read_text(), re.MULTILINE)
    installed = {path.name for path in (layer / "python").glob("*.dist-info")}
    needed_on_lambda = {
        f"{name.replace('-', '_')}-{version}.dist-info"
        for name, version in locked
        if name != "tzdata"  # Windows only
    }
    assert installed == needed_on_lambda
    assert (layer / "python" / "hpcobs" / "storage" / "migrations" / "0001_jobs.sql").is_file()


def test_layer_contains_all_our_files(layer: Path) -> None:
    ours = {path.relative_to(LAYER) for path in files(LAYER / "hpcobs")}
    built = {path.relative_to(layer / "python") for path in files(layer / "python" / "hpcobs")}
    assert built == ours
    for path in ours:
        assert (layer / "python" / path).read_bytes() == (LAYER / path).read_bytes()


def test_every_binary_is_for_arm64(layer: Path) -> None:
    libraries = [path for path in layer.rglob("*.so*") if path.is_file()]
    machines = {struct.unpack_from("<H", path.read_bytes(), 18)[0] for path in libraries}
    assert len(libraries) > 10
    assert machines == {AARCH64}


def test_layer_contains_no_path_of_builder(layer: Path) -> None:
    assert not (layer / "python" / "bin").exists()
    assert not list(layer.rglob("RECORD")), "it has the hashes of programs"
    marks = (str(ROOT).encode(), str(layer.parent).encode(), sys.prefix.encode())
    for path in layer.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [mark for mark in marks if mark in content], path


def test_build_is_reproducible_with_other_umask(layer: Path, tmp_path: Path) -> None:
    again = _build(tmp_path / "again", umask=0o077)
    assert again.name == layer.name
    assert _digest(again) == _digest(layer)


def test_lambda_user_can_read_all_files(layer: Path) -> None:
    modes = {path.stat().st_mode & 0o7777 for path in layer.rglob("*") if path.is_file()}
    folders = {path.stat().st_mode & 0o7777 for path in layer.rglob("*") if path.is_dir()}
    assert (modes, folders) == ({0o644}, {0o755})


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)} {path.stat().st_mode:o}".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def test_layer_fits_into_lambda(layer: Path) -> None:
    size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
    assert size < UNZIPPED_LIMIT_MB * 1024 * 1024 / 2


def test_layer_keeps_aws_services_of_code() -> None:
    assert services_used() == BOTO_SERVICES


def test_boto3_works_with_kept_services(layer: Path) -> None:
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import boto3\n"
        "clients = [boto3.client(name, region_name='eu-central-1', aws_access_key_id='a',"
        " aws_secret_access_key='b') for name in json.loads(sys.argv[2])]\n"
        "print(boto3.__file__); print(*[client.meta.endpoint_url for client in clients])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, layer / "python", json.dumps(sorted(BOTO_SERVICES))],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    where, endpoints = done.stdout.splitlines()
    assert Path(where).is_relative_to(layer)
    assert endpoints.split() == [
        f"https://{name}.eu-central-1.amazonaws.com" for name in sorted(BOTO_SERVICES)
    ]


def test_rds_certificates_are_at_configured_path(layer: Path) -> None:
    bundle = layer / CERTIFICATES_IN_LAYER.removeprefix("/opt/")
    assert bundle.read_bytes() == CERTIFICATES.read_bytes()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(bundle)
    subjects = [str(ca["subject"]) for ca in context.get_ca_certs()]
    names = re.findall(r"^# (Amazon RDS .*), until", CERTIFICATES.read_text(), re.MULTILINE)
    assert len(subjects) == len(names) > 80
    for name in names:
        assert [subject for subject in subjects if f"'{name}'" in subject]


@pytest.mark.skipif(bytecode.compiler() is None, reason="no Python of Lambda's version is here")
def test_everything_is_compiled_for_lambda(layer: Path, tmp_path: Path) -> None:
    build_function("api", tmp_path)
    for folder in (layer / "python" / "hpcobs", layer / "python" / "pydantic", tmp_path):
        for source in folder.rglob("*.py"):
            name = f"{source.stem}.cpython-{LAMBDA.python.replace('.', '')}.pyc"
            compiled = (source.parent / "__pycache__" / name).read_bytes()
            unchecked_hash = 1
            assert int.from_bytes(compiled[4:8], "little") == unchecked_hash


def test_only_python_of_lambda_version_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYER_PYTHON", sys.executable)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PYENV_ROOT", "nowhere")
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    compiler = bytecode.compiler.__wrapped__()
    assert compiler == (sys.executable if ours == LAMBDA.python else None)


def test_function_code_is_only_its_folder(tmp_path: Path) -> None:
    build_function("events", tmp_path)
    sources = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.py")}
    expected = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "functions" / "events").rglob("*.py")
    }
    assert sources == expected | {"functions/__init__.py"}
