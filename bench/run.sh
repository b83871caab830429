#!/bin/sh
# Usage: bench/run.sh [FIGURE...]
# Measures and reports; ROUNDS=301 for steadier medians, PEERS=directory for nginx_login.
# `make bench` builds what it needs.
cd "$(dirname "$0")/.." || exit 1

# Where Go and its x/oauth2 are not installed, the report says so.
GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$PWD/build/bench/go" \
  go build -o build/bench/reuse_token_source bench/memory/reuse_token_source.go 2>/dev/null ||
  rm -f build/bench/reuse_token_source

LUA_PATH='lua/?.lua;lua/?/init.lua;tests/?.lua;./?.lua;;' LUA_CPATH='build/lua5.4/?.so;;' \
  exec lua5.4 bench/run.lua "$@"
