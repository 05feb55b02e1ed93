"""FAPI 2.0 extensions for Authlib: PAR, DPoP, RAR, strict client authentication.

Nothing here knows the application. It imports Authlib, joserfc and cryptography, and Flask in
`flask_request` and `server` alone. All instants are Unix seconds that the caller supplies.

An application wires it so:

    server = FAPIAuthorizationServer(
        ServerConfig(issuer="https://vault.example", scopes=("organisation",)),
        query_client=find_client,     # any ASCII text -> ConfidentialClient | None
        issue_tokens=issue,           # TokenRequest -> dict; in one transaction uses up the
                                      # request's one-time values, mints and stores
        pushed_requests=store,        # PushedRequestStore: save and load; spending is yours
        replays=replay_store,         # ReplayStore.use_up(...), the first insert wins
        now=unix_seconds,
    )
    details = RichAuthorizationRequests({"data-sharing-agreement": validate})
    server.register_code_grant(CodeGrant, details)        # supplies issue_code, redeem_code
    server.register_refresh_grant(RefreshGrant, details)  # supplies find_refresh_token
    server.register_client_credentials_grant()
    server.register_endpoint(Revocation)                  # supplies find_token, revoke_token
    server.register_endpoint(Introspection)               # supplies find_token

    POST /par          server.create_endpoint_response("pushed_authorization_request")
    POST /token        server.create_token_response()
    POST /revoke       server.create_endpoint_response("revocation")
    POST /introspect   server.create_endpoint_response("introspection")
    GET  /authorize    grant = server.get_consent_grant(end_user=owner), then show the page
    the page's POST    reference = server.pushed_reference(client_id, request_uri)
                       grant = server.get_consent_grant(reference, end_user=owner)
                       server.create_authorization_response(
                           grant.request, grant_user=owner, grant=grant)   # None refuses

What is asked stands in `grant.request`: `client`, `payload.data`, `authorization_details`,
`dpop_jkt`, `request_uri`. `get_consent_grant` raises `OAuth2Error`: with a `redirect_uri` in it,
answer `server.handle_error_response(None, error)`, which sends the browser to the client (303,
with `iss`); without one show an error page, because nobody's redirect URI is known. A refusal
must spend the pushed request, too.

A resource server uses `dpop_resource.presented_token` and `dpop_rfc9449.ProofVerifier`, compares
`proof.jkt` with the token's, and inserts `proof.replay_key()` in the transaction that answers.
"""
