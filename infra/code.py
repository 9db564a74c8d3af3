"""The code of one function: its own folder within ``functions``, so that names stay the same."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from infra.bundling import built_code, copy_folder
from infra.bytecode import compile_folder
from infra.paths import FUNCTIONS
from infra.target import LAMBDA, Target

if TYPE_CHECKING:
    from pathlib import Path

    from aws_cdk.aws_lambda import Code


def handler_of(name: str) -> str:
    """What Lambda calls for the function ``name``; tests import the handler by this very string."""
    return f"functions.{name}.handler.lambda_handler"


def function_code(name: str, target: Target) -> Code:
    """The asset of the function ``name``."""
    return built_code(
        source=FUNCTIONS,
        made_from=(FUNCTIONS / "__init__.py", FUNCTIONS / name),
        recipe="function 2",
        target=target,
        build=lambda folder: build_function(name, folder, target),
    )


def build_function(name: str, folder: Path, target: Target = LAMBDA) -> None:
    """Write what Lambda unpacks at ``/var/task``."""
    package = folder / "functions"
    copy_folder(FUNCTIONS / name, package / name)
    shutil.copyfile(FUNCTIONS / "__init__.py", package / "__init__.py")
    compile_folder(folder, installed_at="/var/task", version=target.python)
