#!/bin/sh
# Runs examples/demo.lua against Spotify, where SPOTIPY_CLIENT_ID and SPOTIPY_CLIENT_SECRET are
# set, else against an authorization server of its own, which it stops at the end. There a person
# logs in as well, by examples/login.lua: headless Chromium where there is one, else whoever sits
# at the terminal.
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

# The browser closes while the program goes on; its files go with it.
write_browser() {
  cat >"$work/browser" <<END
TMPDIR='$work' node tests/servers/browser.mjs "\$1"
status=\$?
echo closed >'$work/closed'
exit \$status
END
}
await_browser() {
  tries=0
  until [ -s "$work/closed" ] || [ $tries -gt 400 ]; do
    tries=$((tries + 1))
    sleep 0.05
  done
}

log_in() {
  export ISSUER="$url" CLIENT_ID=public SCOPE=openid CACHE_PATH="$work/login"
  echo
  if CHROMIUM=$(command -v chromium || command -v google-chrome); then
    echo "A person logs in, whose browser is headless Chromium:"
    export CHROMIUM
    write_browser
    BROWSER="sh $work/browser" REDIRECT_URI=http://127.0.0.1:0/callback \
      lua5.4 examples/login.lua || return
    await_browser
  elif [ -t 0 ]; then
    echo "You log in; any name and password will do. That no page is there at the end is right:"
    lua5.4 examples/login.lua paste || return
  else
    echo "Without Chromium or a terminal nobody can log in; this act is left out."
    return
  fi
  echo "The same program again, and no browser:"
  lua5.4 examples/login.lua
}

if [ -n "$SPOTIPY_CLIENT_ID" ] && [ -n "$SPOTIPY_CLIENT_SECRET" ]; then
  unset TOKEN_URL CLIENT_ID CLIENT_SECRET
  echo "Spotify's authorization server"
else
  start_provider "make demo" || exit
  export TOKEN_URL="$url/token" CLIENT_ID=basic CLIENT_SECRET=basic-secret-8d1f
  echo "oidc-provider at $url"
fi

export CACHE_PATH="$work/cache"
export LUA_PATH='lua/?.lua;lua/?/init.lua' LUA_CPATH='build/lua5.4/?.so'
unset LUA_PATH_5_4 LUA_CPATH_5_4
lua5.4 examples/demo.lua || exit
[ -z "$provider" ] || log_in
