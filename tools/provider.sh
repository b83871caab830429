#!/bin/sh
# Runs the authorization server of the tests until Ctrl-C, for who has none to try tokencache with:
# at http://127.0.0.1:9000, or the port that PORT names.
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d)
. tools/local_provider.sh

finish() {
  stop_provider
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

start_provider "make provider" "${PORT:-9000}" || exit
node tests/servers/jose_keys.mjs make "$work"
node tests/servers/jose_keys.mjs register "$url/test/client?id=signer" "$work/ec.public.jwk"
key=$work/ec.pem
cat <<END
An authorization server to try tokencache with; Ctrl-C ends it.

issuer                 $url
for a program          client_id "basic", client_secret "basic-secret-8d1f", scope "read"
for people, no secret  client_id "public", scope "openid"; any name and password will do
for people, on a       client_id "confidential", client_secret "confidential-secret-51c9",
  server               scope "openid"
for a program that     client_id "signer", client_key = { file = "$key" },
  has a key            scope "read"; or by the command:
    tokencache add try --issuer $url --client-id signer --client-key $key --grant client_credentials
    tokencache token try
for token_exchange     the same client; subject_token "subject-ann", or what else begins so
for jwt_bearer         the same client, and its key as assertion_key; any subject
redirect URIs          http://127.0.0.1 with any port, and /callback or /auth/callback
END
wait "$provider"
