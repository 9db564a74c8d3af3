"""The stack's outputs: the URL, the key, and commands that work as printed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from hpcobs_cli.main import app
from infra.outputs import TOKENS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.template import Template


def test_outputs_contain_url_and_signing_key(template: Template) -> None:
    outputs = {name: output["Value"] for name, output in template.outputs.items()}
    assert outputs["Url"]["Fn::GetAtt"][1] == "ApiEndpoint"
    assert template.referred(outputs["SigningKey"]) == "Signing/Key"
    assert template.referred(outputs["AlarmTopic"]) == "Alarms/Topic"
    assert outputs["DashboardUrl"].endswith("#dashboards/dashboard/hpcobs-example")


def test_each_output_has_description(template: Template) -> None:
    for output in template.outputs.values():
        assert len(output["Description"].split()) > 3


@pytest.mark.parametrize("name", TOKENS)
def test_printed_token_commands_work(
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
