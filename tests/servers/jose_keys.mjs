// Keys and signatures, judged by npm's jose.
//   node jose_keys.mjs make DIRECTORY   writes rsa and ec keys there, as .pem, .jwk and .public.jwk
//   node jose_keys.mjs register URL FILE  has oidc_provider.mjs know the client whose public key
//                                       that is
//   node jose_keys.mjs verify JWS JWK   prints the header and the claims, or fails

import { readFileSync, writeFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, importJWK, jwtVerify } from 'jose';

const [, , command, first, second] = process.argv;

async function make(directory) {
  const pairs = { rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }) };
  for (const [name, { privateKey, publicKey }] of Object.entries(pairs)) {
    const kid = await calculateJwkThumbprint(await exportJWK(publicKey));
    const path = `${directory}/${name}`;
    writeFileSync(`${path}.pem`, privateKey.export({ type: 'pkcs8', format: 'pem' }),
      { mode: 0o600 });
    writeFileSync(`${path}.jwk`, JSON.stringify({ ...await exportJWK(privateKey), kid }),
      { mode: 0o600 });
    writeFileSync(`${path}.public.jwk`, JSON.stringify({ ...await exportJWK(publicKey), kid }));
  }
}

if (command === 'make') {
  await make(first);
} else if (command === 'register') {
  const jwks = { keys: [JSON.parse(readFileSync(second))] };
  await fetch(first, { method: 'POST', body: JSON.stringify({
    token_endpoint_auth_method: 'private_key_jwt', jwks }) });
} else {
  const key = await importJWK(JSON.parse(second), JSON.parse(second).alg ?? 'RS256');
  const { payload, protectedHeader } = await jwtVerify(first, key);
  process.stdout.write(JSON.stringify({ header: protectedHeader, claims: payload }));
}
