// One journey of a client that we did not write: npm openid-client, certified for FAPI 2.0.
//
// The first line of standard input is what to do, as JSON. Each step answers with a line of JSON.
// After `pushed` the browser is someone else's: the next line of input is where it came back to.

import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";

import * as oauth from "openid-client";

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const nextLine = async () => (await input.next()).value;
const tell = (step, facts) => console.log(JSON.stringify({ step, ...facts }));

const order = JSON.parse(await nextLine());
const key = await webcrypto.subtle.importKey(
  "jwk", order.key, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"],
);
const authentication = oauth.PrivateKeyJwt({ key, kid: order.key.kid });
const options = { algorithm: "oauth2", execute: [oauth.allowInsecureRequests] }; // plain HTTP, on loopback
let config;
if (order.registration) {
  const { initial_access_token: initialAccessToken, metadata } = order.registration;
  config = await oauth.dynamicClientRegistration(
    new URL(order.issuer), metadata, authentication, { ...options, initialAccessToken },
  );
  const { client_id, token_endpoint_auth_method } = config.clientMetadata();
  tell("registration", { client_id: typeof client_id, token_endpoint_auth_method });
} else {
  const metadata = { id_token_signed_response_alg: "ES256" };
  config = await oauth.discovery(
    new URL(order.issuer), order.client_id, metadata, authentication, options,
  );
}
tell("discovery", { issuer: config.serverMetadata().issuer });

const DPoP = oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair("ES256"));
const pkceCodeVerifier = oauth.randomPKCECodeVerifier();
const expectedState = oauth.randomState();
const url = await oauth.buildAuthorizationUrlWithPAR(
  config,
  {
    ...order.parameters,
    redirect_uri: order.redirect_uri,
    authorization_details: JSON.stringify(order.authorization_details),
    state: expectedState,
    code_challenge: await oauth.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
  },
  { DPoP },
);
tell("pushed", { url: url.href });

const checks = { pkceCodeVerifier, expectedState };
const callback = new URL(await nextLine());
let tokens;
try {
  tokens = await oauth.authorizationCodeGrant(config, callback, checks, undefined, { DPoP });
} catch (error) {
  if (!(error instanceof oauth.AuthorizationResponseError)) throw error;
  tell("refused", { error: error.error });
  process.exit();
}
tell("token", {
  token_type: tokens.token_type,
  refresh_token: typeof tokens.refresh_token,
  details: tokens.authorization_details.map((each) => each.type),
});

const read = async (token) => {
  const resource = new URL(order.resource);
  try {
    const answer = await oauth.fetchProtectedResource(
      config, token, resource, "GET", undefined, undefined, { DPoP },
    );
    return { status: answer.status };
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
    const { scheme, parameters } = error.cause[0];
    return { status: error.status, scheme, error: parameters.error };
  }
};
tell("resource", await read(tokens.access_token));

const refreshed = await oauth.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
tell("refresh", {
  token_type: refreshed.token_type,
  fresh: refreshed.access_token !== tokens.access_token,
  rotated: (refreshed.refresh_token ?? tokens.refresh_token) !== tokens.refresh_token,
});
tell("resource again", await read(refreshed.access_token));

const live = await oauth.tokenIntrospection(config, refreshed.access_token);
tell("introspection", {
  active: live.active,
  client: live.client_id === config.clientMetadata().client_id,
  bound: live.cnf?.jkt === (await DPoP.calculateThumbprint()),
  details: live.authorization_details.map((each) => each.type),
});

await oauth.tokenRevocation(config, refreshed.access_token);
const ended = await oauth.tokenIntrospection(config, refreshed.access_token);
tell("revocation", { active: ended.active });
tell("resource after revocation", await read(refreshed.access_token));

await oauth.tokenRevocation(config, tokens.refresh_token);
try {
  await oauth.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
} catch (error) {
  if (!(error instanceof oauth.ResponseBodyError)) throw error;
  tell("refresh after revocation", { status: error.status, error: error.error });
}
process.exit();
