"""The layer: the package ``hpcobs``, the locked packages for Lambda's Python, and certificates."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from uv import find_uv_bin

from infra.build.assets import built_code, copy_folder
from infra.build.bytecode import compile_folder
from infra.build.target import LAMBDA, Target
from infra.paths import AMAZON_CERTIFICATES, CERTIFICATES, LAYER, LAYER_LOCK

if TYPE_CHECKING:
    from pathlib import Path

CERTIFICATES_IN_LAYER = "/opt/certificates/rds.pem"
AMAZON_CERTIFICATES_IN_LAYER = "/opt/certificates/amazon.pem"
BOTO_SERVICES = frozenset({"rds", "secretsmanager", "sqs"})
"""The AWS services whose descriptions are kept. Those of all others take 25 MB in botocore."""

# Scripts in bin/ start with the path of the interpreter that installed them, so their bytes differ
# from machine to machine.
NOT_NEEDED = ("bin", "share", ".lock")


class Layer(Construct):
    """The one layer of all functions."""

    def __init__(self, scope: Construct, name: str, *, target: Target = LAMBDA) -> None:
        super().__init__(scope, name)
        self.target = target
        self.version = lambda_.LayerVersion(
            self,
            "Version",
            description="hpcobs and the packages that it runs on",
            compatible_architectures=[lambda_.Architecture.ARM_64],
            compatible_runtimes=[lambda_.Runtime.PYTHON_3_13],
            code=built_code(
                source=LAYER,
                made_from=(LAYER / "hpcobs", LAYER_LOCK, CERTIFICATES, AMAZON_CERTIFICATES),
                recipe=f"layer 3 {sorted(BOTO_SERVICES)}",
                target=target,
                build=lambda folder: build_layer(folder, target),
            ),
        )


def build_layer(folder: Path, target: Target = LAMBDA) -> None:
    """Write into ``folder`` the files that Lambda unpacks at ``/opt``."""
    python = folder / "python"
    _install(python, target)
    _trim(python)
    copy_folder(LAYER / "hpcobs", python / "hpcobs")
    compile_folder(python, installed_at="/opt/python", version=target.python)
    certificates = folder / "certificates"
    certificates.mkdir()
    for bundle in (CERTIFICATES, AMAZON_CERTIFICATES):
        shutil.copyfile(bundle, certificates / bundle.name)


def _install(folder: Path, target: Target) -> None:
    subprocess.run(
        [
            find_uv_bin(), "pip", "install", "--quiet", "--link-mode", "copy",
            "--target", str(folder),
            "--python-platform", target.platform, "--python-version", target.python,
            "--only-binary", ":all:", "--no-deps", "--require-hashes",
            "--requirement", str(LAYER_LOCK),
        ],
        check=True,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
    )  # fmt: skip


def _trim(folder: Path) -> None:
    # RECORD lists the hashes of the removed scripts, which differ from machine to machine.
    for record in folder.glob("*.dist-info/RECORD"):
        record.unlink()
    for name in NOT_NEEDED:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for data in ("botocore/data", "boto3/data"):
        for service in (folder / data).iterdir():
            if service.is_dir() and service.name not in BOTO_SERVICES:
                shutil.rmtree(service)
