#!/bin/sh
# Prints TAP: what `make demo` shows, apart from the building.
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tools/tap.sh
evidence=$work/output

# token LINE: the beginning that the line shows
token() { sed -n "$1s/.*[[:space:]]\([A-Za-z0-9_-]\{8\}\)….*/\1/p" "$work/output"; }
login_token() { sed -n 's/^Token \([A-Za-z0-9_-]\{8\}\)….*/\1/p' "$work/output" | sed -n "$1p"; }
same() { [ -n "$1" ] && [ "$1" = "$2" ]; }
differ() { [ -n "$1" ] && [ -n "$2" ] && [ "$1" != "$2" ]; }
# but for the address of the login, which holds its state
no_longer_token() { ! sed '/^  http/d' "$work/output" | grep -qE '[A-Za-z0-9_-]{30}'; }
stopped() {
  port=$(sed -n 's/^oidc-provider at .*://p' "$work/output")
  lua5.4 -e 'os.exit(not require("socket").connect("127.0.0.1", '"${port:?}"'))'
}

mkdir "$work/tmp"
SPOTIPY_CLIENT_ID='' TMPDIR=$work/tmp tools/demo.sh >"$work/output" 2>&1
check "it succeeds" [ $? -eq 0 ]
check "the second token comes from the file" same "$(token 2)" "$(token 3)"
check "another process reads the same" same "$(token 2)" "$(token 4)"
check "an expired token is renewed" differ "$(token 2)" "$(token 5)"
check "the file's mode is 600" grep -q 'mode is 600$' "$work/output"
check "a person logs in" grep -q 'whose browser is headless Chromium' "$work/output"
check "one login is enough" same "$(login_token 1)" "$(login_token 2)"
check "no whole token is shown" no_longer_token
check "no temporary file is left" [ -z "$(ls "$work/tmp")" ]
check "the server is stopped" stopped

finish
