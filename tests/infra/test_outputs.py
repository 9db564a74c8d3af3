"""What a deployment tells: where the site is, and commands that work as they are told."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from hpcobs_cli.main import app
from infra.outputs import TOKENS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.template import Template


def test_it_tells_where_the_site_is_and_what_signs_its_tokens(template: Template) -> None:
    outputs = {name: output["Value"] for name, output in template.outputs.items()}
    assert outputs["Url"]["Fn::GetAtt"][1] == "ApiEndpoint"
    assert template.referred(outputs["SigningKey"]) == "Signing/Key"
    assert template.referred(outputs["AlarmTopic"]) == "Alarms/Topic"
    assert outputs["DashboardUrl"].endswith("#dashboards/dashboard/hpcobs-example")


def test_each_says_what_it_is_for(template: Template) -> None:
    for output in template.outputs.values():
        assert len(output["Description"].split()) > 3


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_s_command_works_as_it_is_told(
    template: Template,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    variable, key, command = template.outputs[name]["Value"]["Fn::Join"][1]
    assert variable == "AUTH_SECRET_ARN="
    assert template.referred(key) == "Signing/Key"
    monkeypatch.setenv("AUTH_SECRET", "in place of the one that AWS keeps")
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(command)
    assert program == "hpcobs"
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith("eyJ") or len(list((tmp_path / "tokens").iterdir())) == 100
