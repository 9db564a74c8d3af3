"""The service's folder: its secrets are private, and one service uses it at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hpcobs_local.folder import Folder, FolderInUseError, write

if TYPE_CHECKING:
    from pathlib import Path


def test_secret_is_created_once_and_private(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    secret = folder.ensure_secret()
    assert len(secret) >= 32
    assert folder.ensure_secret() == secret
    assert folder.secret_file.stat().st_mode & 0o777 == 0o600


def test_write_replaces_file_atomically(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("an older one, and longer")
    path.chmod(0o644)
    write(path, "new", mode=0o600)
    assert path.read_text() == "new\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_second_lock_fails_with_url_of_first(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "new")
    with folder.locked():
        write(folder.url_file, "http://127.0.0.1:1")
        with (
            pytest.raises(FolderInUseError, match=r"already running in .*, at http://127.0.0.1:1"),
            Folder(tmp_path / "new").locked(),
        ):
            pass
    with folder.locked():
        pass


def test_surviving_child_does_not_keep_lock(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.locked():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with folder.locked():
        child.communicate(b"\n")
    assert os.listdir(tmp_path) == ["logs"]  # noqa: PTH208


def test_missing_files_are_none(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "nowhere")
    assert (folder.token(), folder.url(), folder.secret()) == (None, None, None)
