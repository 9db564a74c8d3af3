"""The doctor checks who else can read or change the forwarder's files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpcobs_forwarder.daemon.config import Config
from tests.forwarder.doctors import config, controller, node, problems

__all__ = ["config", "controller", "node"]

NOBODY = 65534

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.mark.parametrize(
    ("mode", "owner", "group", "text"),
    [
        (0o600, 0, 0, None),
        (0o400, 0, 0, None),
        (0o640, 0, 0, None),
        (0o640, 0, NOBODY, "group"),
        (0o660, 0, 0, "group"),
        (0o644, 0, 0, "all users can read it"),
        (0o604, 0, 0, "all users can read it"),
        (0o602, 0, 0, "all users can read it"),
        (0o600, NOBODY, 0, "belongs to nobody"),
    ],
)
@pytest.mark.parametrize("name", ["token", "client.pem"])
@root_only
def test_secret_is_for_its_service_only(
    node: Config, name: str, *, mode: int, owner: int, group: int, text: str | None
) -> None:
    file = Path(node.root, name)
    if name == "client.pem":
        file.write_text("x")
        node = node._replace(client_cert_file=str(file))
    os.chown(file, owner, group)
    file.chmod(mode)

    found = problems(node)

    assert len(found) == (text is not None)
    if text is not None:
        assert found[0].level == "FAIL"
        assert text in found[0].text
        assert f"chmod 600 {file}" in found[0].fix


@pytest.mark.parametrize(
    ("mode", "owner", "fine"),
    [
        (0o644, 0, True),
        (0o600, 0, True),
        (0o664, 0, False),
        (0o646, 0, False),
        (0o644, NOBODY, False),
    ],
)
@root_only
def test_configuration_cannot_be_changed_by_others(
    node: Config, tmp_path: Path, mode: int, owner: int, fine: bool
) -> None:
    path = tmp_path / "node.conf"
    path.write_text("")
    path.chmod(mode)
    os.chown(path, owner, 0)

    found = problems(node, str(path))

    assert (found == []) == fine
    if not fine:
        assert "others can send the token elsewhere" in found[0].text
        assert found[0].fix == f"chown root {path}; chmod 644 {path}"


@pytest.mark.parametrize(
    ("mode", "level"), [(0o700, None), (0o755, "warn"), (0o750, "warn"), (0o777, "FAIL")]
)
def test_spool_is_private(node: Config, mode: int, level: str | None) -> None:
    Path(node.spool_dir).chmod(mode)

    found = problems(node)

    assert [one.level for one in found] == ([level] if level else [])
    if level:
        assert found[0].fix.endswith(f"chmod 700 {node.spool_dir}")


def test_folder_of_token_is_closed_to_others(node: Config, tmp_path: Path) -> None:
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    Path(node.token_file).rename(open_folder / "token")
    moved = node._replace(token_file=str(open_folder / "token"))
    assert problems(moved) == []

    open_folder.chmod(0o777)

    (finding,) = problems(moved)
    assert "others can replace token" in finding.text
    open_folder.chmod(0o1777)
    assert problems(moved) == []


@root_only
def test_token_of_controller_belongs_to_slurms_user(controller: Config) -> None:
    os.chown(controller.token_file, NOBODY, NOBODY)
    conf = Path(controller.root, "etc/slurm/slurm.conf")

    assert any("belongs to nobody" in one.text for one in problems(controller))
    conf.write_text(conf.read_text().replace("SlurmUser=root", "SlurmUser=nobody"))
    assert not any("belongs to nobody" in one.text for one in problems(controller))


def test_missing_token_is_installed_with_its_mode(node: Config) -> None:
    Path(node.token_file).unlink()

    (finding,) = problems(node)

    assert finding.fix.startswith("(umask 077; hpcobs token ")
    assert finding.fix.endswith(f"install -Dm600 new.token {node.token_file}")
