"""Assets that are built here, without Docker, and named by the hash of their sources."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

from infra.build.bytecode import compile_folder, compiler
from infra.build.target import LAMBDA
from infra.paths import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from infra.build.target import Target

LEFT_BY_TOOLS = ("__pycache__", ".")
"""How the names of files and folders begin that tools leave in a source folder."""
# Lambda runs the code as another user, who must be able to read it under any umask of the build.
FOLDER_MODE, FILE_MODE = 0o755, 0o644


def handler_of(name: str) -> str:
    """Return the handler of function ``name`` as Lambda and the tests import it."""
    return f"functions.{name}.handler.lambda_handler"


def function_code(name: str, target: Target) -> lambda_.Code:
    """Return the asset of function ``name``."""
    return built_code(
        source=FUNCTIONS,
        made_from=(FUNCTIONS / "__init__.py", FUNCTIONS / name),
        recipe="function 2",
        target=target,
        build=lambda folder: build_function(name, folder, target),
    )


def build_function(name: str, folder: Path, target: Target = LAMBDA) -> None:
    """Write into ``folder`` the files that Lambda unpacks at ``/var/task``."""
    package = folder / "functions"
    copy_folder(FUNCTIONS / name, package / name)
    shutil.copyfile(FUNCTIONS / "__init__.py", package / "__init__.py")
    compile_folder(folder, installed_at="/var/task", version=target.python)


def built_code(
    *,
    source: Path,
    made_from: Iterable[Path],
    recipe: str,
    target: Target,
    build: Callable[[Path], None],
) -> lambda_.Code:
    """Return code that ``build`` writes into a folder, named by its sources and its recipe.

    Change ``recipe`` whenever ``build`` writes something else from the same sources: the asset's
    name would not change otherwise, and the new content would not be deployed.

    CDK's own context ``aws:cdk:bundling-stacks`` can skip the build. The template is the same
    then, but the asset is ``source`` as it is, and cannot be deployed.
    """
    return lambda_.Code.from_asset(
        str(source),
        asset_hash=fingerprint(made_from, recipe=recipe, target=target),
        # The CDK would hash its output, and would have to build it to name it.
        asset_hash_type=AssetHashType.CUSTOM,
        bundling=BundlingOptions(
            # The CDK requires an image, though it would pull it only if the local build returned
            # false. Its name is part of the asset's hash: with another name all sites would deploy
            # their code again.
            image=DockerImage.from_registry("never-asked-for"),
            local=_LocalBuild(build),
        ),
    )


def fingerprint(sources: Iterable[Path], *, recipe: str, target: Target = LAMBDA) -> str:
    """Return a hash over the files' names and contents, and over how the asset is made of them."""
    # Without a compiler the asset lacks its .pyc files, so it must not have the same name.
    compiled = compiler(target.python) is not None
    digest = hashlib.sha256(f"{recipe} {target} compiled={compiled}".encode())
    for source in sources:
        for path in files(source):
            name = path.relative_to(source.parent).as_posix()
            content = path.read_bytes()
            # With the length, the same bytes divided otherwise among files give another hash.
            digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def files(source: Path) -> Iterator[Path]:
    """Yield the file, or a folder's files, sorted and without what tools leave there."""
    if source.is_file():
        yield source
        return
    for path in sorted(source.rglob("*")):
        within = path.relative_to(source).parts
        if path.is_file() and not any(part.startswith(LEFT_BY_TOOLS) for part in within):
            yield path


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder's files, without what tools leave there. Raise FileNotFoundError if missing."""
    if not source.is_dir():
        raise FileNotFoundError(source)
    for path in files(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


@jsii.implements(ILocalBundling)
class _LocalBuild:
    """The build that the CDK tries before it would run Docker."""

    def __init__(self, build: Callable[[Path], None]) -> None:
        self._build = build

    def try_bundle(self, output_dir: str, *_docker: object, **_options: object) -> bool:
        """Build into ``output_dir``. An error ends the synthesis, so Docker never runs."""
        self._build(Path(output_dir))
        make_readable(Path(output_dir))
        return True


def make_readable(folder: Path) -> None:
    """Give the folder and everything in it the same modes on every machine."""
    folder.chmod(FOLDER_MODE)
    for path in folder.rglob("*"):
        path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
