// The control: npm oidc-provider under the FAPI 2.0 profile, for the same journeys.
//
// The first line of standard input is its issuer, its clients and the initial access token that lets
// more of them register, as JSON; a line of output says that it serves. Its one person decides as the query of the interaction's URL says.

import { generateKeyPair } from "node:crypto";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

import { Provider } from "oidc-provider";

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { issuer, clients, initialAccessToken } = JSON.parse((await input.next()).value);
const { privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({
    ...client,
    grant_types: ["authorization_code", "refresh_token"],
    token_endpoint_auth_method: "private_key_jwt",
    id_token_signed_response_alg: "ES256",
    authorization_details_types: ["data-sharing-agreement"],
    dpop_bound_access_tokens: true,
  })),
  cookies: { keys: ["of a control that holds nothing"] },
  features: {
    devInteractions: { enabled: false },
    dPoP: { enabled: true },
    fapi: { enabled: true, profile: "2.0" },
    introspection: { enabled: true },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
    // Details need a resource to be asked for; tokens are for userinfo, which checks proofs.
    resourceIndicators: {
      enabled: true,
      defaultResource: () => `${issuer}/v1`,
      getResourceServerInfo: () => ({ scope: "read", accessTokenFormat: "opaque" }),
      useGrantedResource: () => false,
    },
    registration: { enabled: true, initialAccessToken },
    revocation: { enabled: true },
    richAuthorizationRequests: {
      enabled: true,
      types: { "data-sharing-agreement": { validate() {} } },
      authorizationDetailsForGrantSource: (context) => context.oidc.grant.rar,
      authorizationDetailsForAccessToken: (context, token, source) => source.rar,
      authorizationDetailsForIntrospection: (context, token) => token.rar,
    },
  },
  // Keys of clients are published on this machine, which the dispatcher would refuse to ask.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  interactions: { url: (context, { uid }) => `/interaction/${uid}` },
  issueRefreshToken: () => true,
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "control", use: "sig" }] },
  pkce: { required: () => true },
});

provider.use(async (context, next) => {
  if (!context.path.startsWith("/interaction/")) return next();
  const { req, res } = context;
  const { params } = await provider.interactionDetails(req, res);
  const accountId = "aysel";
  let result = { error: "access_denied" };
  if (context.query.decision === "allow") {
    const grant = new provider.Grant({ accountId, clientId: params.client_id });
    if (params.scope) grant.addOIDCScope(params.scope);
    JSON.parse(params.authorization_details).forEach((each) => grant.addRar(each));
    result = { login: { accountId }, consent: { grantId: await grant.save() } };
  }
  return provider.interactionFinished(req, res, result);
});

const { hostname, port } = new URL(issuer);
const server = provider.listen(Number(port), hostname, () => console.log("serving"));
input.next().then(() => server.close(() => process.exit()));
