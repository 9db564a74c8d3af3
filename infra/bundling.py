"""Assets that are built here, without Docker, and named by what they are made from."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

from infra import bytecode
from infra.target import LAMBDA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from infra.target import Target

LEFT_BY_TOOLS = ("__pycache__", ".")
FOLDER_MODE, FILE_MODE = 0o755, 0o644
"""Lambda runs as a user of its own, who has to be able to read what somebody's umask left."""


def built_code(
    *,
    source: Path,
    made_from: Iterable[Path],
    recipe: str,
    target: Target,
    build: Callable[[Path], None],
) -> lambda_.Code:
    """Code that ``build`` writes into a folder; its name changes with its sources and recipe.

    Building is left out where CDK's own context ``aws:cdk:bundling-stacks`` says so: templates are
    the same, but the assets are then ``source`` as it is, and not to be deployed.
    """
    return lambda_.Code.from_asset(
        str(source),
        asset_hash=fingerprint(made_from, recipe=recipe, target=target),
        asset_hash_type=AssetHashType.CUSTOM,
        bundling=BundlingOptions(
            image=DockerImage.from_registry("never-asked-for"), local=_LocalBuild(build)
        ),
    )


def fingerprint(sources: Iterable[Path], *, recipe: str, target: Target = LAMBDA) -> str:
    """A hash over the files' names and contents, and over how they are made into an asset."""
    compiled = bytecode.compiler(target.python) is not None
    digest = hashlib.sha256(f"{recipe} {target} compiled={compiled}".encode())
    for source in sources:
        for path in files(source):
            name = path.relative_to(source.parent).as_posix()
            content = path.read_bytes()
            digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def files(source: Path) -> Iterator[Path]:
    """The files of a folder in order, less what tools leave there; or the one file."""
    if source.is_file():
        yield source
        return
    for path in sorted(source.rglob("*")):
        within = path.relative_to(source).parts
        if path.is_file() and not any(part.startswith(LEFT_BY_TOOLS) for part in within):
            yield path


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder's files, again less what tools leave there; it must be there."""
    if not source.is_dir():
        raise FileNotFoundError(source)
    for path in files(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


@jsii.implements(ILocalBundling)
class _LocalBuild:
    """What the CDK asks to build an asset before it would ask Docker."""

    def __init__(self, build: Callable[[Path], None]) -> None:
        self._build = build

    def try_bundle(self, output_dir: str, *_docker: object, **_options: object) -> bool:
        """Build into ``output_dir``; an error ends the synthesis, so Docker is never asked."""
        self._build(Path(output_dir))
        make_readable(Path(output_dir))
        return True


def make_readable(folder: Path) -> None:
    """Give the folder and all within it the same modes, whoever built it."""
    folder.chmod(FOLDER_MODE)
    for path in folder.rglob("*"):
        path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
