"""The site's own domain name for its API, optionally with client certificates (mutual TLS)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CfnOutput
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_route53 as route53
from aws_cdk.aws_s3_assets import Asset
from constructs import Construct

if TYPE_CHECKING:
    from infra.site.config import Site


class Domain(Construct):
    """The domain name, its certificate, and its DNS record or an output for it."""

    def __init__(
        self, scope: Construct, name: str, *, site: Site, api_id: str, stage: apigateway.CfnStage
    ) -> None:
        super().__init__(scope, name)
        self._site = site
        self._domain = self._new_domain_name()
        apigateway.CfnApiMapping(
            self, "Mapping", api_id=api_id, domain_name=self._domain.ref, stage=stage.ref
        )
        if site.domain.hosted_zone_id:
            self._add_record(site.domain.hosted_zone_id)
        else:
            self._add_output()

    def _new_domain_name(self) -> apigateway.CfnDomainName:
        certificate = apigateway.CfnDomainName.DomainNameConfigurationProperty(
            certificate_arn=self._site.domain.certificate_arn,
            endpoint_type="REGIONAL",
            security_policy="TLS_1_2",
        )
        return apigateway.CfnDomainName(
            self,
            "Name",
            domain_name=self._site.domain.name,
            domain_name_configurations=[certificate],
            mutual_tls_authentication=self._authorities(),
        )

    def _authorities(self) -> apigateway.CfnDomainName.MutualTlsAuthenticationProperty | None:
        """Return the authorities that must have issued the clients' certificates, if any."""
        if self._site.client_ca is None:
            return None
        # An asset's address contains a hash of the file, so API Gateway reads a changed file again.
        uploaded = Asset(self, "ClientAuthorities", path=str(self._site.client_ca))
        return apigateway.CfnDomainName.MutualTlsAuthenticationProperty(
            truststore_uri=uploaded.s3_object_url
        )

    def _add_record(self, hosted_zone_id: str) -> None:
        route53.CfnRecordSet(
            self,
            "Record",
            hosted_zone_id=hosted_zone_id,
            name=self._site.domain.name,
            type="A",
            alias_target=route53.CfnRecordSet.AliasTargetProperty(
                dns_name=self._domain.attr_regional_domain_name,
                hosted_zone_id=self._domain.attr_regional_hosted_zone_id,
            ),
        )

    def _add_output(self) -> None:
        output = CfnOutput(
            self,
            "Target",
            value=self._domain.attr_regional_domain_name,
            description=f"Create a CNAME record of {self._site.domain.name} with this value",
        )
        output.override_logical_id("DomainTarget")
