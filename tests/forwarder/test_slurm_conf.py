"""The parser of Slurm's files. tests/slurm compares it with a real Slurm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpcobs_forwarder.slurm_conf import SlurmConf, read_conf, read_slurm_conf


def parsed(folder: Path, text: str) -> SlurmConf:
    (folder / "slurm.conf").write_bytes(text.encode("latin-1"))
    conf = read_conf(str(folder / "slurm.conf"))
    assert conf is not None
    return conf


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("TaskPlugin=a", "a"),
        ("  taskplugin \t= a  # b", "a"),
        ("TASKPLUGIN=a\r\n", "a"),
        ('TaskPlugin="a b"', "a b"),
        ('TaskPlugin="a b"c', '"a'),
        ("TaskPlugin=a\\#b#c", "a#b"),
        ("TaskPlugin=a\nTaskPlugin=b\n", "b"),
        ("TaskPlugin=a\n#TaskPlugin=b\n", "a"),
        ("Task\\\nPlugin=a\n", "a"),
        ("TaskPlugin=a,\\ \nb\n", "a,b"),
        ("TaskPlugin=a # x \\\n,b\n", "a"),
        ("TaskPlugin=", None),
        ("TaskPlugin", None),
        ("=a", None),
        ("SelectType=x TaskPlugin=a", None),
        ("NodeName=n1 TaskPlugin=a", None),
        ("TaskPluginParam=a", None),
        ("TaskPlugin=a\0b", "a"),
        ("\0TaskPlugin=a", None),
        ("# \xe9\nTaskPlugin=a", "a"),
        ("", None),
    ],
)
def test_setting_has_value_that_slurm_reads(tmp_path: Path, text: str, value: str | None) -> None:
    assert parsed(tmp_path, text).last("TaskPlugin") == value


def test_lines_of_nodes_keep_their_settings(tmp_path: Path) -> None:
    conf = parsed(tmp_path, 'nodename=a CPUs=2 Reason="x y"\nNodeName=b\nPartitionName=c\n')

    assert conf.describing("NodeName") == [
        {"nodename": "a", "cpus": "2", "reason": "x y"},
        {"nodename": "b"},
    ]
    assert conf.last("CPUs") is None


def test_included_files_are_read_in_place(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("A=2\n")
    (tmp_path / "lab.conf").write_text("B=2\nInclude more\n")
    conf = parsed(tmp_path, "ClusterName=Lab\nA=1\nINCLUDE %c.conf\nB=3\n Include absent\n")

    assert (conf.all("A"), conf.all("B")) == (["1", "2"], ["2", "3"])
    assert [Path(path).name for path in conf.includes] == ["more", "lab.conf"]
    assert conf.unread == []


@pytest.mark.parametrize("target", ["absent", ".", "*.conf", "fifo", "slurm.conf", "\xff"])
def test_include_that_fails_is_named(tmp_path: Path, target: str) -> None:
    os.mkfifo(tmp_path / "fifo")

    conf = parsed(tmp_path, f"A=1\nInclude {target}\n")

    assert conf.last("A") == "1"
    assert conf.unread


def test_first_readable_place_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_CONF", raising=False)
    assert read_slurm_conf(str(tmp_path)) is None
    (tmp_path / "etc/slurm/slurm.conf").mkdir(parents=True)
    configless = tmp_path / "run/slurm/conf/slurm.conf"
    configless.parent.mkdir(parents=True)
    configless.write_text("A=1\n")
    found = read_slurm_conf(str(tmp_path))
    assert found is not None
    assert found.path == str(configless)

    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "other"))
    (tmp_path / "other").write_text("A=2\n")
    found = read_slurm_conf(str(tmp_path))
    assert found is not None
    assert found.last("A") == "2"
