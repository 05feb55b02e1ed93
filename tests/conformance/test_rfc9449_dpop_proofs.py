"""RFC 9449 section 4.3: each check of a proof, by a proof that fails only that one (OIDF-29)."""

import base64
import json

import pytest
from joserfc.jwk import ECKey, OctKey

from api.oauth.ext.compact_jws import ALGORITHMS, import_public_key, jwk_thumbprint
from api.oauth.ext.dpop_rfc9449 import (
    InvalidDPoPProofError,
    ProofVerifier,
    ath,
    challenge,
    normal_url,
    target_url,
)
from tests.support.oauth_client import OMIT, b64u, dpop_proof, jkt, new_key

URL = "https://rs.example/v1/notes"
NOW = 1_800_000_000
TOKEN = "at.abc"
KEYS = {algorithm: new_key(algorithm) for algorithm in ALGORITHMS}
KEY = KEYS["ES256"]


def proof(*, key=KEY, method="GET", url=URL, token=TOKEN, header=(), claims=()):
    return dpop_proof(key, method, url, now=NOW, access_token=token, header=header, claims=claims)


def check(*headers, url=URL, method="GET", token=TOKEN, now=NOW):
    return ProofVerifier().verify(
        list(headers), method=method, url=url, now=now, access_token=token
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_proof_of_each_accepted_algorithm_holds_dpop_d5_fapi_c2(algorithm):
    key = KEYS[algorithm]

    held = check(proof(key=key, header={"alg": algorithm}))

    assert held.jkt == jkt(key)
    assert held.htu == URL
    assert held.iat == NOW


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_header_is_needed_dpop_d1(count):
    with pytest.raises(InvalidDPoPProofError):
        check(*[proof()] * count)


def test_two_proofs_joined_by_a_comma_are_not_one_dpop_d1():
    with pytest.raises(InvalidDPoPProofError):
        check(f"{proof()},{proof()}")


@pytest.mark.parametrize(
    "text",
    ["", "x", "a.b", "a.b.c.d", "a.b.c", "a.b.c a.b.c", "e30.e30.e30", "é.b.c", "A" * 9000],
)
def test_what_is_no_jws_is_refused_dpop_d2(text):
    with pytest.raises(InvalidDPoPProofError):
        check(text)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bytes_have_one_spelling_in_base64url_dpop_d2(algorithm):
    """Bits that mean nothing are zero (RFC 4648 section 3.5): no proof is another one as well."""
    genuine = proof(key=KEYS[algorithm], header={"alg": algorithm})
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert check(genuine)

    with pytest.raises(InvalidDPoPProofError):
        check(genuine[:-1] + alphabet[alphabet.index(genuine[-1]) ^ 1])


@pytest.mark.parametrize("name", ["jti", "htm", "htu", "iat", "ath"])
def test_each_claim_is_required_dpop_d3(name):
    with pytest.raises(InvalidDPoPProofError):
        check(proof(claims={name: OMIT}))


@pytest.mark.parametrize("name", ["typ", "alg", "jwk"])
def test_each_header_member_is_required_dpop_d4_d5_d6(name):
    with pytest.raises(InvalidDPoPProofError):
        check(proof(header={name: OMIT}))


@pytest.mark.parametrize("typ", ["JWT", "dpop", "application/dpop+jwt", "DPOP+JWT", 1, None])
def test_another_typ_is_refused_dpop_d4(typ):
    with pytest.raises(InvalidDPoPProofError):
        check(proof(header={"typ": typ}))


@pytest.mark.parametrize("algorithm", ["none", "RS256", "ES384", "es256", "", 5, None, ["ES256"]])
def test_another_algorithm_is_refused_dpop_d5_fapi_c3(algorithm):
    genuine = proof()
    _, payload, signature = genuine.split(".")
    header = {"typ": "dpop+jwt", "alg": algorithm, "jwk": KEY.as_dict(private=False)}

    with pytest.raises(InvalidDPoPProofError):
        check(f"{b64u(json.dumps(header).encode())}.{payload}.{signature}")


def test_a_symmetric_key_is_refused_dpop_d5():
    secret = OctKey.generate_key(256)

    with pytest.raises(InvalidDPoPProofError, match="alg"):
        check(proof(key=secret, header={"alg": "HS256", "jwk": secret.as_dict(private=True)}))


def test_a_signature_by_another_key_is_refused_dpop_d6():
    with pytest.raises(InvalidDPoPProofError):
        check(proof(header={"jwk": new_key().as_dict(private=False)}))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_changed_signature_is_refused_dpop_d6(algorithm):
    head, payload, signature = proof(key=KEYS[algorithm], header={"alg": algorithm}).split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[10] ^= 1

    with pytest.raises(InvalidDPoPProofError, match="signature"):
        check(f"{head}.{payload}.{b64u(bytes(raw))}")


def test_a_changed_payload_is_refused_after_the_key_is_cached_dpop_d6():
    good = proof()
    check(good)
    head, _, signature = good.split(".")
    _, payload, _ = proof(claims={"jti": "another"}).split(".")

    with pytest.raises(InvalidDPoPProofError, match="signature"):
        check(f"{head}.{payload}.{signature}")


def test_a_der_signature_in_place_of_r_and_s_is_refused_dpop_d6():
    head, payload, _ = proof().split(".")

    with pytest.raises(InvalidDPoPProofError, match="signature"):
        check(f"{head}.{payload}.{b64u(b'0' * 70)}")


def test_a_signature_of_another_length_is_refused_rfc7518_section_3_4():
    """With a zero put before S the numbers stay the same: one proof, two texts."""
    head, payload, signature = proof().split(".")
    raw = base64.urlsafe_b64decode(signature + "==")

    with pytest.raises(InvalidDPoPProofError, match="signature"):
        check(f"{head}.{payload}.{b64u(raw[:32] + bytes(1) + raw[32:])}")


def test_a_key_on_another_curve_is_refused_fapi_c2():
    other = ECKey.generate_key("P-384").as_dict(private=False)

    with pytest.raises(InvalidDPoPProofError, match="suit"):
        check(proof(header={"jwk": other}))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_private_key_in_the_header_is_refused_dpop_d7(algorithm):
    key = KEYS[algorithm]

    with pytest.raises(InvalidDPoPProofError, match="not a public key"):
        check(proof(key=key, header={"alg": algorithm, "jwk": key.as_dict(private=True)}))


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_each_private_member_alone_is_refused_dpop_d7(member):
    jwk = {**KEY.as_dict(private=False), member: "AA"}

    with pytest.raises(InvalidDPoPProofError, match="not a public key"):
        check(proof(header={"jwk": jwk}))


@pytest.mark.parametrize("method", ["POST", "get", ""])
def test_another_method_is_refused_dpop_d8(method):
    with pytest.raises(InvalidDPoPProofError):
        check(proof(claims={"htm": method}))


@pytest.mark.parametrize(
    "htu",
    [
        "HTTPS://RS.EXAMPLE/v1/notes",
        "https://rs.example:443/v1/notes",
        "https://rs.example/v1/%6eotes",
        "https://rs.example/v1/x/../notes",
        "https://rs.example/./v1/notes",
        "https://rs.example/v1/notes?page=2",
        "https://rs.example/v1/notes#top",
    ],
)
def test_an_equivalent_url_holds_dpop_d9(htu):
    assert check(proof(claims={"htu": htu})).htu == URL


@pytest.mark.parametrize(
    "htu",
    [
        "http://rs.example/v1/notes",
        "https://rs.example:8443/v1/notes",
        "https://evil.example/v1/notes",
        "https://rs.example/v1/notes/",
        "https://rs.example/v1/Notes",
        "https://rs.example/v1%2Fnotes",
        "https://rs.example.evil.example/v1/notes",
        "https://user@rs.example/v1/notes",
        "https://rs.example:x/v1/notes",
        "https://rs.éxample/v1/notes",
        "https://[::1/v1/notes",
        "/v1/notes",
        "ftp://rs.example/v1/notes",
        "https://rs.example/v1/notes" + "?" * 2100,
        7,
        "",
    ],
)
def test_another_url_is_refused_dpop_d9(htu):
    with pytest.raises(InvalidDPoPProofError):
        check(proof(claims={"htu": htu}))


def test_the_requests_own_query_is_not_compared_dpop_d9():
    assert check(proof(), url=f"{URL}?cursor=abc").htu == URL


@pytest.mark.parametrize("offset", [-60, -10, 0, 8, 10])
def test_an_iat_inside_the_window_holds_dpop_d11_oidf_11(offset):
    assert check(proof(claims={"iat": NOW + offset})).iat == NOW + offset


@pytest.mark.parametrize("iat", [NOW - 61, NOW + 11, NOW - 3600, NOW + 3600, 0, -1, 1e999])
def test_an_iat_outside_the_window_is_refused_dpop_d11(iat):
    with pytest.raises(InvalidDPoPProofError):
        check(proof(claims={"iat": iat}))


@pytest.mark.parametrize("iat", ["1800000000", True, None, [NOW]])
def test_an_iat_that_is_no_number_is_refused_dpop_d11(iat):
    with pytest.raises(InvalidDPoPProofError):
        check(proof(claims={"iat": iat}))


@pytest.mark.parametrize("iat", [NOW - 60, NOW, NOW + 10])
def test_a_proof_is_remembered_longer_than_it_is_accepted_dpop_d11(iat):
    held = check(proof(claims={"iat": iat}))

    assert held.expires_at >= held.iat + 60 + 10
    assert held.expires_at >= NOW + 180


def test_the_replay_key_tells_jti_and_url_apart_dpop_d11_d23():
    first = check(proof(claims={"jti": "a"}))
    second = check(proof(claims={"jti": "b"}))
    other_url = check(proof(claims={"jti": "a", "htu": URL + "/1"}), url=URL + "/1")

    assert len({first.replay_key(), second.replay_key(), other_url.replay_key()}) == 3
    assert first.replay_key() == check(proof(claims={"jti": "a"})).replay_key()


@pytest.mark.parametrize("jti", ["", 5, None, "x" * 257, "\ud800", "ə"])
def test_a_jti_that_cannot_be_remembered_is_refused_dpop_d3_thr_18(jti):
    with pytest.raises(InvalidDPoPProofError):
        check(proof(claims={"jti": jti}))


@pytest.mark.parametrize("value", [ath("at.other"), "", 5, "\ud800", ath(TOKEN) + "="])
def test_the_hash_of_another_token_is_refused_dpop_d12(value):
    with pytest.raises(InvalidDPoPProofError):
        check(proof(claims={"ath": value}))


def test_ath_is_not_asked_for_without_a_token_dpop_d12():
    assert check(proof(token=None), token=None)


@pytest.mark.parametrize(
    "claims",
    [{"nbf": NOW + 3600}, {"exp": NOW - 3600}, {"nonce": "n"}, {"other": {"deep": [1]}}],
    ids=["nbf", "exp", "nonce", "unknown"],
)
def test_other_claims_are_ignored_dpop_d20_oidf_10(claims):
    assert check(proof(claims=claims))


def test_an_unknown_critical_header_is_refused_rfc7515_section_4_1_11():
    with pytest.raises(InvalidDPoPProofError, match="crit"):
        check(proof(header={"crit": ["b64"], "b64": True}))


def test_an_rsa_key_of_1024_bits_is_refused_fapi_c4():
    with pytest.raises(InvalidDPoPProofError):
        check(proof(key=new_key("PS256", bits=1024)))


def test_an_rsa_key_that_only_looks_long_is_refused_fapi_c4():
    public = new_key("PS256", bits=1024).as_dict(private=False)
    padded = {**public, "n": "A" * 200 + public["n"]}

    with pytest.raises(InvalidDPoPProofError):
        check(proof(key=KEYS["PS256"], header={"jwk": padded}))


def test_an_rsa_key_too_long_to_check_cheaply_is_refused_thr_18():
    numbers = {"kty": "RSA", "e": "AQAB", "n": b64u((2**8191 + 1).to_bytes(1024, "big"))}

    with pytest.raises(InvalidDPoPProofError, match="modulus"):
        check(proof(key=KEYS["PS256"], header={"jwk": numbers}))


def test_an_rsa_exponent_too_long_to_check_cheaply_is_refused_thr_18():
    public = KEYS["PS256"].as_dict(private=False)

    with pytest.raises(InvalidDPoPProofError, match="suit"):
        check(
            proof(
                key=KEYS["PS256"],
                header={"jwk": {**public, "e": b64u((2**40 + 1).to_bytes(6, "big"))}},
            )
        )


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        "text",
        {"kty": "EC"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": ["P-256"], "x": 1, "y": {}},
        {"kty": ["EC"]},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": "", "e": ""},
        {"kty": "oct"},
        {**KEY.as_dict(private=False), "crv": "P-384"},
        {**KEY.as_dict(private=False), "use": "enc", "key_ops": 5},
    ],
)
def test_a_malformed_key_is_refused_dpop_d2_d6(jwk):
    with pytest.raises(InvalidDPoPProofError):
        check(proof(header={"jwk": jwk}))


def test_a_key_of_another_type_than_its_algorithm_is_refused_rfc8725_section_3_1():
    with pytest.raises(InvalidDPoPProofError, match="suit"):
        check(proof(key=KEYS["PS256"], header={"jwk": KEY.as_dict(private=False)}))


def test_one_key_written_in_two_ways_has_one_thumbprint_rfc7638_section_7():
    longer = KEY.as_dict(private=False)
    longer["x"] = "AAAA" + longer["x"]  # three bytes of zero in front
    expected = check(proof())

    assert check(proof(header={"jwk": longer})).jkt == expected.jkt


def test_the_thumbprint_is_that_of_rfc7638_section_3_1():
    public = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS"
        "oc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR"
        "0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhA"
        "I4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
    }

    thumbprint = jwk_thumbprint(import_public_key(public, "PS256"))

    assert thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_ath_is_that_of_rfc9449_section_7_1():
    token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"

    assert ath(token) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


def test_a_repeated_member_is_refused_rfc8725_section_2_4():
    head, _, signature = proof().split(".")
    doubled = b64u(b'{"jti":"a","htm":"GET","htm":"POST"}')

    with pytest.raises(InvalidDPoPProofError, match="not a JSON object"):
        check(f"{head}.{doubled}.{signature}")


@pytest.mark.parametrize(
    "payload",
    [b"[]", b"1", b"", b"{", b'{"iat":NaN}', b"[" * 5000, '{"jti":"a"}'.encode("utf-16")],
    ids=["array", "number", "empty", "open", "nan", "deep", "utf-16"],
)
def test_a_payload_that_is_no_object_is_refused_dpop_d2(payload):
    head, _, signature = proof().split(".")

    with pytest.raises(InvalidDPoPProofError):
        check(f"{head}.{b64u(payload)}.{signature}")


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://a.example", "https://a.example/"),
        ("https://A.example:443/%7Ex/%2f", "https://a.example/~x/%2F"),
        ("https://a.example/a/b/..", "https://a.example/a/"),
        ("https://a.example/../../a", "https://a.example/a"),
        ("https://a.example/a/.", "https://a.example/a/"),
        ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ("http://127.0.0.1:80/x", "http://127.0.0.1/x"),
    ],
)
def test_urls_are_normalised_as_rfc3986_section_6_2_says_dpop_d9(url, normal):
    assert normal_url(url) == normal


def test_the_target_is_built_from_configuration_al_16():
    assert target_url("https://rs.example/", "/v1/a b/ə") == "https://rs.example/v1/a%20b/%C9%99"


def test_a_challenge_without_credentials_has_no_error_dpop_d18():
    assert challenge() == 'DPoP algs="ES256 PS256 EdDSA Ed25519"'


def test_a_challenge_names_error_and_metadata_dpop_d18_al_12_rfc9728_section_5_1():
    value = challenge("invalid_token", resource_metadata="https://rs.example/meta", scope="a b")

    assert value == (
        'DPoP algs="ES256 PS256 EdDSA Ed25519", error="invalid_token", scope="a b", '
        'resource_metadata="https://rs.example/meta"'
    )


def test_a_challenge_cannot_be_broken_out_of_al_12():
    value = challenge("invalid_token", description='x", Bearer realm="y\r\n\\')

    assert value.count('"') == 6
    assert "\r" not in value
    assert "\\" not in value
