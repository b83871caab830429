#!/bin/sh
# Installs the authorization server of the tests and the demo beside its start script, once.
cd "$(dirname "$0")/../tests/servers" || exit 1
wanted=$(sed -n 's/.*"oidc-provider": "\([^"]*\)".*/\1/p' package.json)
# npm writes this file last, so half an installation does not count
[ node_modules/.package-lock.json -nt package-lock.json ] &&
  grep -q "\"version\": \"$wanted\"" node_modules/oidc-provider/package.json && exit 0

echo "Installing oidc-provider $wanted"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
npm ci --no-audit --no-fund >"$log" 2>&1 </dev/null || {
  tail -n 20 "$log" >&2
  echo "Could not install oidc-provider with npm; the reason is above." >&2
  exit 1
}
