"""The configuration file and the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.daemon.config import ConfigError, load, require_url

if TYPE_CHECKING:
    from pathlib import Path

URL = {"HPCOBS_URL": "https://hpcobs.example.org/"}


def test_the_environment_overrides_the_file_and_the_file_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "node.conf"
    file.write_text(
        '# comment\nHPCOBS_URL="https://a.example.org"\n\nHPCOBS_NODE=n7\n HPCOBS_GPUS=none \n'
    )

    config = load("node", str(file), {"HPCOBS_NODE": "n8"})

    assert (config.url, config.node, config.gpus) == ("https://a.example.org", "n8", "none")
    assert config.interval_seconds == 10
    assert config.push_seconds == 30


def test_each_role_has_its_own_files_by_default(tmp_path: Path) -> None:
    config = load("controller", str(tmp_path / "none"), URL)

    assert config.token_file == "/etc/hpcobs/controller.token"
    assert config.spool_dir == "/var/lib/hpcobs/controller"
    assert config.interval_seconds == 30


def test_a_url_loses_its_last_slash(tmp_path: Path) -> None:
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
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        load("node", str(tmp_path / "none"), {**URL, name: value})

    assert "\n" not in str(caught.value)


def test_a_misspelt_setting_is_not_silently_dropped(tmp_path: Path) -> None:
    file = tmp_path / "node.conf"
    file.write_text("HPCOBS_URL=https://a.example.org\nHPCOBS_INTERVAL=5\nHPCOBS_HOOK_POST=no\n")

    with pytest.raises(ConfigError, match=r"HPCOBS_INTERVAL: there is no such setting"):
        load("node", str(file), {})


def test_the_hooks_own_setting_is_checked_for_them(tmp_path: Path) -> None:
    file = tmp_path / "node.conf"
    file.write_text("HPCOBS_HOOK_POST=never\n")

    with pytest.raises(ConfigError, match=r"HPCOBS_HOOK_POST: 'never' is not yes or no"):
        load("node", str(file), {})


def test_a_missing_url_says_where_to_set_it_once_something_is_to_be_sent(tmp_path: Path) -> None:
    path = str(tmp_path / "node.conf")
    config = load("node", path, {})

    with pytest.raises(ConfigError, match=r"HPCOBS_URL is not set.*node\.conf"):
        require_url(config, path)


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    file = tmp_path / "node.conf"
    file.write_text("HPCOBS_NODE=n7\n")

    assert load("node", str(file), {**URL, "HPCOBS_NODE": ""}).node == "n7"


def test_a_line_that_is_no_setting_is_said_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "node.conf"
    file.write_text("# comment\nHPCOBS_URL https://a.example.org\n")

    with pytest.raises(ConfigError, match=r"node\.conf, line 2: .* neither KEY=VALUE"):
        load("node", str(file), {})


@pytest.mark.parametrize("proxy", ["http://ada:secret@proxy", "https://ada:secret@proxy:3128"])
def test_a_password_is_not_told_with_what_is_wrong(tmp_path: Path, proxy: str) -> None:
    with pytest.raises(ConfigError, match="HPCOBS_PROXY") as caught:
        load("node", str(tmp_path / "none"), {**URL, "HPCOBS_PROXY": proxy})

    assert "secret" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_no_silent_default(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load("node", str(tmp_path), URL)
