"""RFC 9728: what the resource server says about itself."""

from api.oauth.ext.compact_jws import ALGORITHMS
from api.oauth.ext.protected_resource_rfc9728 import metadata, metadata_url


def test_the_document_says_dpop_and_header_only_section_2_fapi_r1_r2():
    document = metadata(
        resource="https://a.example/v1",
        authorization_servers=["https://a.example"],
        scopes=["organisation"],
        details_types=["notes"],
        documentation="https://a.example/docs",
    )

    assert document == {
        "resource": "https://a.example/v1",
        "authorization_servers": ["https://a.example"],
        "bearer_methods_supported": ["header"],
        "dpop_bound_access_tokens_required": True,
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": ["organisation"],
        "authorization_details_types_supported": ["notes"],
        "resource_documentation": "https://a.example/docs",
    }


def test_what_is_not_given_is_absent_section_2():
    document = metadata(resource="https://a.example", authorization_servers=["https://a.example"])

    assert "scopes_supported" not in document
    assert "resource_documentation" not in document


def test_the_well_known_part_goes_between_host_and_path_section_3_1():
    well_known = "https://a.example/.well-known/oauth-protected-resource"

    assert metadata_url("https://a.example/v1") == f"{well_known}/v1"
    assert metadata_url("https://a.example/") == well_known
