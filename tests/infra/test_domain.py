"""The site's own domain name, and client certificates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from infra.paths import AMAZON_CERTIFICATES

if TYPE_CHECKING:
    from tests.infra.template import Template


def test_site_without_name_uses_api_gateway_name(template: Template) -> None:
    assert template.all("ApiGatewayV2::DomainName") == []
    assert "DisableExecuteApiEndpoint" not in template.one("ApiGatewayV2::Api")
    assert template.outputs["Url"]["Value"]["Fn::GetAtt"][1] == "ApiEndpoint"


def test_name_maps_to_api_over_tls(other_template: Template) -> None:
    domain = other_template.one("ApiGatewayV2::DomainName")
    assert domain["DomainName"] == "hpcobs.example.org"
    (configuration,) = domain["DomainNameConfigurations"]
    assert configuration["SecurityPolicy"] == "TLS_1_2"
    assert configuration["CertificateArn"].startswith("arn:aws:acm:us-west-2:")
    mapping = other_template.one("ApiGatewayV2::ApiMapping")
    assert other_template.referred(mapping["DomainName"]) == "Gateway/Domain/Name"
    assert other_template.referred(mapping["ApiId"]) == "Gateway/Api"
    assert other_template.referred(mapping["Stage"]) == "Gateway/Stage"
    assert "ApiMappingKey" not in mapping
    assert other_template.outputs["Url"]["Value"] == "https://hpcobs.example.org"


def test_client_certificates_cannot_be_bypassed(other_template: Template) -> None:
    asked = other_template.one("ApiGatewayV2::DomainName")["MutualTlsAuthentication"]
    bucket, _, key = asked["TruststoreUri"].removeprefix("s3://").partition("/")
    assert bucket == "cdk-hnb659fds-assets-444455556666-us-west-2"
    assets = json.loads(other_template.path.with_name("hpcobs-other.assets.json").read_text())[
        "files"
    ]
    (path,) = [
        one["source"]["path"]
        for one in assets.values()
        if key in {destination["objectKey"] for destination in one["destinations"].values()}
    ]
    uploaded = other_template.path.parent / path
    assert uploaded.read_bytes() == AMAZON_CERTIFICATES.read_bytes()
    assert other_template.one("ApiGatewayV2::Api")["DisableExecuteApiEndpoint"] is True


def test_known_zone_gets_dns_record(restored_template: Template, other_template: Template) -> None:
    record = restored_template.one("Route53::RecordSet")
    assert (record["Name"], record["Type"]) == ("hpcobs.example.org", "A")
    assert record["HostedZoneId"] == "Z0123456789"
    assert restored_template.referred(
        {"Fn::GetAtt": record["AliasTarget"]["DNSName"]["Fn::GetAtt"]}
    ) == ("Gateway/Domain/Name")
    assert "DomainTarget" not in restored_template.outputs
    assert other_template.all("Route53::RecordSet") == []
    target = other_template.outputs["DomainTarget"]["Value"]
    assert target["Fn::GetAtt"][1] == "RegionalDomainName"


def test_old_url_works_without_client_certificates(restored_template: Template) -> None:
    assert "DisableExecuteApiEndpoint" not in restored_template.one("ApiGatewayV2::Api")
    assert "MutualTlsAuthentication" not in restored_template.one("ApiGatewayV2::DomainName")
