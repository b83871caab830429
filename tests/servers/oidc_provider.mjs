// A real authorization server for the tests and the demo: npm's oidc-provider on a loopback port,
// with its own login pages. Refresh tokens work once; a second use ends the whole login.
//
// A module for run.mjs, with the settings port, token_lifetime, refresh_token_lifetime and
// device_interval, in seconds; `ready` is its URL. /test/... is for the specs:
//   GET  /test/token_requests         how many requests its token endpoint has had
//   GET  /test/counts                 JSON: the same by grant_type, "authorize": logins begun,
//                                   "metadata", "keys" and "revocations"
//   POST /test/login?user=&deny=&browser=
//                                     body: an authorization URL; where its pages send the browser.
//                                     Or a device's verification_uri_complete; what they end with.
//                                     A browser with a name keeps its cookies for the next time
//   POST /test/log_out?user=          at the provider, in the browser of the last such login
//   POST /test/expire_device          body: a device's user_code, which is over then
//   POST /test/revoke                 body: a refresh token; ends its login
//   POST /test/token_lifetime?seconds=  of access tokens from now on
//   POST /test/new_keys               it signs with new ones from now on
//   POST /test/client?id=             body: JSON, which changes that client's metadata, or that of
//                                     the confidential one; or makes the client
//   POST /test/tls                    body: a directory with ca.pem, leaf.pem and leaf.key; answers
//                                     with the URL at which it takes certificates from now on
//   POST /test/require_par?on=1       it wants authorization requests pushed (RFC 9126); on=0: not
//   POST /test/dpop_nonce?on=1        it wants a nonce in proofs (RFC 9449 §8); on=0: not
//   POST /test/keys_away?for=         the next requests for its keys, so many, are answered 503
//   POST /test/next_token?status=&error=&retry_after=
//                                     the next token request is answered so, not processed
//   POST /test/next_token?lost=1      ... is processed, and the answer lost
//   POST /test/next_token?held=1      ... is processed once it is released, or never
//   POST /test/release                the held one, which there must be
//   POST /test/silent?on=1            no request is processed or answered any more; on=0 drops them
//   GET  /test/held_worker            the header X-Worker of the held one
//   GET  /test/ended?token=T          when a token was issued, when it ended, and whose it was;
//                                     nothing if it has not ended
//   GET  /test/renewals               lines: a user whose token was renewed, and the seconds that
//                                     the new one lives

import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { logIn, logOut } from './oidc_login.mjs';
import { close, listen } from './ports.mjs';

// its notices about settings that only matter in production
console.info = console.warn = () => {};
const { default: Provider, errors } = await import('oidc-provider');
const { createLocalJWKSet, jwtVerify } = await import('jose');

const settings = new URL(import.meta.url).searchParams;
let lifetime = Number(settings.get('token_lifetime') ?? 3600);
const deviceInterval = settings.get('device_interval'); // it says none unless told
const refreshLifetime = Number(settings.get('refresh_token_lifetime') ?? 86400);
const scopes = ['read', 'write', 'admin'];
const resource = 'https://api.example/';

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
const bearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

// "scope" is all that a client may ask for
const machine = {
  grant_types: ['client_credentials', exchangeGrant, bearerGrant],
  redirect_uris: [],
  response_types: [],
  scope: 'read write',
};

// native: any port of the loopback addresses
const person = {
  grant_types: ['authorization_code', 'refresh_token', deviceGrant],
  response_types: ['code'],
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback', 'http://localhost/callback',
    'http://127.0.0.1/auth/callback',
    'com.example.app:/callback'],
  post_logout_redirect_uris: ['http://127.0.0.1/left'],
  scope: 'openid read write',
};

function newKeys() {
  const pairs = [generateKeyPairSync('rsa', { modulusLength: 2048 }),
    generateKeyPairSync('ec', { namedCurve: 'P-256' })];
  return { keys: pairs.map(({ privateKey }) => privateKey.export({ format: 'jwk' })) };
}

// The first ones are kept in build/, as it takes longer to make them than to serve many a spec.
function keptKeys() {
  const file = fileURLToPath(new URL('../../build/oidc_keys.json', import.meta.url));
  if (!existsSync(file)) {
    const written = `${file}.${process.pid}`;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(written, JSON.stringify(newKeys()), { mode: 0o600 });
    renameSync(written, file); // of several that do so at once, one counts
  }
  return JSON.parse(readFileSync(file));
}

const configuration = {
  jwks: keptKeys(),
  clients: [
    { ...machine, client_id: 'basic', client_secret: 'basic-secret-8d1f',
      token_endpoint_auth_method: 'client_secret_basic' },
    { ...machine, client_id: 'post', client_secret: 'post-secret-27ae',
      token_endpoint_auth_method: 'client_secret_post' },
    // characters that RFC 6749 §2.3.1 wants form-encoded before Basic
    { ...machine, client_id: 'odd:client/%', client_secret: 'odd +secret&=:%20',
      token_endpoint_auth_method: 'client_secret_basic' },
    { ...person, client_id: 'public', token_endpoint_auth_method: 'none' },
    { ...person, client_id: 'confidential', client_secret: 'confidential-secret-51c9',
      token_endpoint_auth_method: 'client_secret_basic' },
    ...['ES256', 'PS256'].map((alg) => ({ ...person, client_id: alg,
      token_endpoint_auth_method: 'none', id_token_signed_response_alg: alg })),
  ],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt',
    'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth', 'none'],
  scopes,
  pkce: { required: (ctx, client) => client.clientAuthMethod === 'none' },
  rotateRefreshToken: true,
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  ttl: { ClientCredentials: () => lifetime, AccessToken: () => lifetime,
    RefreshToken: refreshLifetime },
  features: {
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: false },
    dPoP: { enabled: true, nonceSecret: randomBytes(32),
      requireNonce: () => wantsNonce },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      certificateBoundAccessTokens: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, kind, expected) => kind === 'tls_client_auth_subject_dn'
        && ctx.socket.getPeerX509Certificate().subject === expected,
    },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        scope: scopes.join(' '),
        audience: resource,
        accessTokenTTL: lifetime,
        accessTokenFormat: 'opaque',
      }),
    },
  },
  cookies: { keys: [randomBytes(16).toString('hex')] },
  // of those who hear of a logout, who would have 2.5 s
  httpOptions: () => ({ signal: AbortSignal.timeout(60000) }),
};

let wantsNonce = false; // of DPoP
let provider;
let answer;
let exchanges = 0;
let keysAway = 0; // requests for the keys that are refused
let tokenRequests = 0;
let fault; // of the next token request
let held; // [request, response]
let unanswered; // while it is silent: requests
const renewals = []; // lines
const issued = new Map(); // by access token, which introspection tells no more of once it has ended
const expiredDevices = new Set(); // user codes
const counts = { authorize: 0, metadata: 0, keys: 0, revocations: 0 };
const browsers = {}; // by name: their cookies

function count(ctx) {
  const grant = ctx.oidc.params?.grant_type ?? ctx.oidc.body?.grant_type;
  counts[grant] = (counts[grant] ?? 0) + 1;
  if (grant === 'refresh_token' && ctx.status === 200) {
    renewals.push(`${ctx.oidc.account.accountId} ${ctx.body.expires_in}\n`);
  }
  const { AccessToken: token = ctx.oidc.entities.ClientCredentials } = ctx.oidc.entities;
  if (grant && token) {
    provider[token.kind].find(token.jti).then((kept) => issued.set(token.jti, kept), () => {});
  }
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const controls = {
  token_requests: () => String(tokenRequests),
  counts: () => JSON.stringify(counts),
  login({ browser, ...options }, url) {
    if (browser) browsers[browser] ??= new Map();
    return logIn(url, { ...options, jar: browsers[browser] });
  },
  async log_out({ user }) {
    await logOut(provider.issuer, user);
    return 'done';
  },
  async revoke(options, token) {
    const { grantId } = await provider.RefreshToken.find(token);
    await (await provider.Grant.find(grantId)).destroy();
    return 'revoked';
  },
  expire_device(options, userCode) {
    expiredDevices.add(userCode.replace('-', ''));
    return 'expired';
  },
  token_lifetime({ seconds }) {
    lifetime = Number(seconds);
    return 'noted';
  },
  new_keys() {
    configuration.jwks = newKeys();
    open(provider.issuer);
    return 'made';
  },
  client({ id = 'confidential' }, changes) {
    let client = configuration.clients.find((one) => one.client_id === id);
    if (!client) configuration.clients.push(client = { ...machine, client_id: id });
    Object.assign(client, JSON.parse(changes));
    open(provider.issuer);
    return 'noted';
  },
  async tls(options, directory) {
    const read = (name) => readFileSync(`${directory}/${name}`);
    const tls = createTlsServer({ ca: read('ca.pem'), cert: read('leaf.pem'), key: read('leaf.key'),
      requestCert: true, rejectUnauthorized: false }, respond);
    servers.push(tls);
    const url = `https://127.0.0.1:${await listen(tls)}`;
    configuration.discovery = { mtls_endpoint_aliases: { token_endpoint: `${url}/token`,
      introspection_endpoint: `${url}/token/introspection`,
      revocation_endpoint: `${url}/token/revocation` } };
    open(provider.issuer);
    return url;
  },
  require_par({ on }) {
    const feature = configuration.features.pushedAuthorizationRequests;
    feature.requirePushedAuthorizationRequests = on === '1';
    open(provider.issuer);
    return 'noted';
  },
  dpop_nonce({ on }) {
    wantsNonce = on === '1';
    return 'noted';
  },
  keys_away(options) {
    keysAway = Number(options.for);
    return 'noted';
  },
  silent({ on }) {
    unanswered?.forEach((request) => request.socket.destroy());
    unanswered = on === '1' ? [] : undefined;
    return 'noted';
  },
  ended({ token }) {
    const { iat, exp, accountId = '' } = issued.get(token) ?? {};
    return exp <= Date.now() / 1000 ? `${iat} ${exp} ${accountId}` : '';
  },
  held_worker: () => held?.[0].headers['x-worker'] ?? '',
  release() {
    answer(...held);
    held = undefined;
    return 'released';
  },
  renewals: () => renewals.join(''),
  next_token(options) {
    fault = options;
    return 'noted';
  },
};

async function control(name, request, response) {
  const options = Object.fromEntries(new URL(request.url, 'http://test').searchParams);
  try {
    response.end(await controls[name](options, await read(request)));
  } catch (error) {
    response.statusCode = 500;
    response.end(String(error.stack));
  }
}

function answerToken(request, response) {
  const { status, error, retry_after: wait, lost, held: hold } = fault ?? {};
  fault = undefined;
  tokenRequests += 1;
  if (status !== undefined) {
    request.resume();
    response.writeHead(Number(status), {
      'Content-Type': 'application/json',
      ...(wait && { 'Retry-After': wait }),
    });
    response.end(JSON.stringify(error ? { error } : {}));
    return;
  }
  if (lost) response.end = () => request.socket.destroy();
  if (hold) held = [request, response];
  else answer(request, response);
}

function respond(request, response) {
  const { pathname } = new URL(request.url, 'http://test');
  if (pathname.startsWith('/test/')) {
    control(pathname.slice('/test/'.length), request, response);
  } else if (unanswered) {
    unanswered.push(request);
  } else if (request.method === 'POST' && pathname === '/token') {
    answerToken(request, response);
  } else {
    if (pathname === '/auth') counts.authorize += 1;
    if (pathname.startsWith('/.well-known/')) counts.metadata += 1;
    if (pathname === '/jwks') counts.keys += 1;
    if (pathname === '/token/revocation') counts.revocations += 1;
    if (pathname === '/jwks' && keysAway > 0) {
      keysAway -= 1;
      response.writeHead(503).end();
    } else {
      answer(request, response);
    }
  }
}

// Says whose token it was given for, in the place of a server that knows other issuers.
async function exchange(ctx, next) {
  const { subject_token: subject, actor_token: actor, audience } = ctx.oidc.params;
  if (!subject?.startsWith('subject-')) {
    throw new errors.InvalidRequest(`subject_token ${subject} is unknown`);
  }
  exchanges += 1;
  ctx.body = { access_token: `${exchanges} for ${subject.length} ${actor?.length} ${audience}`,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer',
    expires_in: lifetime, whose: subject.slice(-8), refresh_token: 'not to be used' };
  await next();
}

// The subject of an assertion that the client's own key has signed.
async function bear(ctx, next) {
  const keys = createLocalJWKSet(ctx.oidc.client.jwks);
  try {
    const { payload } = await jwtVerify(ctx.oidc.params.assertion, keys,
      { audience: `${provider.issuer}/token`, issuer: ctx.oidc.client.clientId });
    ctx.body = { access_token: `for ${payload.sub}, ${payload.team}`, token_type: 'Bearer',
      expires_in: lifetime };
  } catch (error) {
    throw new errors.InvalidGrant(error.message);
  }
  await next();
}

function open(url) {
  provider = new Provider(url, configuration);
  provider.registerGrantType(exchangeGrant, exchange, ['subject_token', 'subject_token_type',
    'actor_token', 'actor_token_type', 'audience', 'requested_token_type', 'scope']);
  provider.registerGrantType(bearerGrant, bear, ['assertion', 'scope']);
  provider.on('grant.success', count);
  provider.on('grant.error', count);
  provider.on('device_authorization.success', (ctx, body) => {
    if (deviceInterval) body.interval = Number(deviceInterval);
  });
  Object.defineProperty(provider.DeviceCode.prototype, 'isExpired', {
    get() { return expiredDevices.has(this.userCode); },
  });
  answer = provider.callback();
}

const servers = [createServer(respond)];
export const ready = `http://127.0.0.1:${await listen(servers[0], settings.get('port') ?? 0)}`;
open(ready);

export async function stop() {
  await Promise.all(servers.map(close));
}
