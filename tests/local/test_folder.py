"""The service's folder: its secrets are private, and it has one master at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hpcobs_local.folder import Folder, FolderInUseError, write

if TYPE_CHECKING:
    from pathlib import Path


def test_the_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    secret = folder.made_secret()
    assert len(secret) >= 32
    assert folder.made_secret() == secret
    assert folder.secret_file.stat().st_mode & 0o777 == 0o600


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("an older one, and longer")
    path.chmod(0o644)
    write(path, "new", mode=0o600)
    assert path.read_text() == "new\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_master_is_refused_and_told_where_the_first_one_answers(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "new")
    with folder.held():
        write(folder.url_file, "http://127.0.0.1:1")
        with (
            pytest.raises(FolderInUseError, match=r"already running in .*, at http://127.0.0.1:1"),
            Folder(tmp_path / "new").held(),
        ):
            pass
    with folder.held():
        pass


def test_a_child_that_lives_on_does_not_hold_the_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.held():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with folder.held():
        child.communicate(b"\n")
    assert os.listdir(tmp_path) == ["logs"]  # noqa: PTH208


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "nowhere")
    assert (folder.token(), folder.url(), folder.secret()) == (None, None, None)
