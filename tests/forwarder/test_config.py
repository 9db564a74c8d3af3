"""The configuration: file, environment, defaults, and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.daemon.config import ConfigError, load, require_url

if TYPE_CHECKING:
    from pathlib import Path

URL = {"HPCOBS_URL": "https://hpcobs.example.org/"}


def test_environment_overrides_file_overrides_defaults(tmp_path: Path) -> None:
    file = tmp_path / "node.conf"
    file.write_text(
        '# comment\nHPCOBS_URL="https://a.example.org"\n\nHPCOBS_NODE=n7\n HPCOBS_GPUS=none \n'
    )

    config = load("node", str(file), {"HPCOBS_NODE": "n8"})

    assert (config.url, config.node, config.gpus) == ("https://a.example.org", "n8", "none")
    assert config.interval_seconds == 10
    assert config.push_seconds == 30


def test_roles_have_different_default_files(tmp_path: Path) -> None:
    config = load("controller", str(tmp_path / "none"), URL)

    assert config.token_file == "/etc/hpcobs/controller.token"
    assert config.spool_dir == "/var/lib/hpcobs/controller"
    assert config.interval_seconds == 30


def test_url_loses_trailing_slash(tmp_path: Path) -> None:
    assert load("node", str(tmp_path / "none"), URL).url == "https://hpcobs.example.org"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HPCOBS_URL", "hpcobs.example.org"),
        ("HPCOBS_URL", "https://"),
        ("HPCOBS_URL", "https://host:port"),
        ("HPCOBS_URL", "https://a..example.org"),
        ("HPCOBS_URL", f"https://{'a' * 64}.example.org"),
        ("HPCOBS_URL", "https://a.example.org # ours"),
        ("HPCOBS_URL", "https://ada:secret@a.example.org"),
        ("HPCOBS_URL", "https://a.example.org/?stage=1"),
        ("SLURM_AUTH_TOKEN_COMMAND", "scontrol 'token"),
        ("SLURM_AUTH_TOKEN_COMMAND", " "),
        ("HPCOBS_PROXY", "proxy.example.org:3128"),
        ("HPCOBS_PROXY", "http://proxy.example.org"),
        ("HPCOBS_PROXY", "https://proxy.example.org:3128"),
        ("HPCOBS_INTERVAL_SECONDS", "0"),
        ("HPCOBS_INTERVAL_SECONDS", "ten"),
        ("HPCOBS_INTERVAL_SECONDS", "nan"),
        ("HPCOBS_SPOOL_MAX_MB", "-1"),
        ("HPCOBS_SPOOL_DIR", "spool"),
        ("HPCOBS_SPOOL_FSYNC", "maybe"),
        ("HPCOBS_GPUS", "intel"),
        ("HPCOBS_NODE", "n1,n2"),
        ("HPCOBS_NODE", "n" * 256),
        ("HPCOBS_CLUSTER_NAME", "c" * 65),
        ("HPCOBS_CLUSTER_NAME", "my.cluster"),
        ("HPCOBS_CLUSTER_NAME", "a b"),
    ],
)
def test_bad_value_error_names_variable_in_one_line(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        load("node", str(tmp_path / "none"), {**URL, name: value})

    assert "\n" not in str(caught.value)


def test_unknown_setting_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "node.conf"
    file.write_text("HPCOBS_URL=https://a.example.org\nHPCOBS_INTERVAL=5\nHPCOBS_HOOK_POST=no\n")

    with pytest.raises(ConfigError, match=r"HPCOBS_INTERVAL: there is no such setting"):
        load("node", str(file), {})


def test_setting_of_hooks_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "node.conf"
    file.write_text("HPCOBS_HOOK_POST=never\n")

    with pytest.raises(ConfigError, match=r"HPCOBS_HOOK_POST: 'never' is not yes or no"):
        load("node", str(file), {})


def test_missing_url_error_names_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / "node.conf")
    config = load("node", path, {})

    with pytest.raises(ConfigError, match=r"HPCOBS_URL is not set.*node\.conf"):
        require_url(config, path)


def test_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    file = tmp_path / "node.conf"
    file.write_text("HPCOBS_NODE=n7\n")

    assert load("node", str(file), {**URL, "HPCOBS_NODE": ""}).node == "n7"


def test_malformed_line_error_has_line_number(tmp_path: Path) -> None:
    file = tmp_path / "node.conf"
    file.write_text("# comment\nHPCOBS_URL https://a.example.org\n")

    with pytest.raises(ConfigError, match=r"node\.conf, line 2: .* neither KEY=VALUE"):
        load("node", str(file), {})


@pytest.mark.parametrize("proxy", ["http://ada:secret@proxy", "https://ada:secret@proxy:3128"])
def test_error_text_hides_password(tmp_path: Path, proxy: str) -> None:
    with pytest.raises(ConfigError, match="HPCOBS_PROXY") as caught:
        load("node", str(tmp_path / "none"), {**URL, "HPCOBS_PROXY": proxy})

    assert "secret" not in str(caught.value)


def test_unreadable_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load("node", str(tmp_path), URL)
