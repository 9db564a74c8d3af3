"""The forwarder takes no cluster's name that the site rejects, and says which variable is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.domain.values import CLUSTER, MAX_CLUSTER, is_cluster
from hpcobs_forwarder import main
from hpcobs_forwarder.cluster_names import LONGEST, RULE, is_cluster_name
from hpcobs_forwarder.daemon.config import ConfigError, load
from tests.forwarder.properties import patient

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (
    st.text(max_size=70)
    | st.text("aZ09_-", max_size=70)
    | st.builds(str.__add__, st.text("ab-1", max_size=3), st.text(max_size=2))
)


def test_rule_is_that_of_site() -> None:
    assert (RULE, LONGEST) == (CLUSTER, MAX_CLUSTER)


@given(NAMES)
@patient
def test_site_and_forwarder_accept_same_names(name: str) -> None:
    assert is_cluster_name(name) is is_cluster(name)


@given(NAMES.filter(bool))
@patient
def test_configuration_accepts_what_site_accepts(name: str) -> None:
    given_ = {"HPCOBS_CLUSTER_NAME": name}
    if is_cluster(name):
        assert load("node", "/none", given_).cluster_name == name
    else:
        with pytest.raises(ConfigError, match=r"^HPCOBS_CLUSTER_NAME: ") as caught:
            load("node", "/none", given_)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("command", ["run", "doctor"])
@pytest.mark.parametrize("name", ["c" * 65, "my.cluster"])
def test_command_fails_at_start_in_one_line(
    command: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("HPCOBS_CLUSTER_NAME", name)
    monkeypatch.setenv("HPCOBS_URL", "http://127.0.0.1:1")
    assert main.main([command, "--config", str(tmp_path / "none")]) != 0
    (line,) = caplog.messages
    assert line.startswith("HPCOBS_CLUSTER_NAME: ")
    assert len(line.splitlines()) == 1
