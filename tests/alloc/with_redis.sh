#!/bin/sh
# Usage: with_redis.sh COMMAND...
# Runs a command beside a Redis server of its own, which $REDIS_SOCKET and $REDIS_PORT name.
directory=$(mktemp -d)
REDIS_SOCKET=$directory/socket
REDIS_PORT=$(LUA_PATH='tests/?.lua;;' lua5.4 -e 'print(require("support.loopback").free_port())')
export REDIS_SOCKET REDIS_PORT

redis-server --bind 127.0.0.1 --port "$REDIS_PORT" --unixsocket "$REDIS_SOCKET" \
  --dir "$directory" --save "" --requirepass word-7f3a \
  >"$directory/log" 2>&1 </dev/null &
server=$!
trap 'kill $server; wait $server; rm -rf "$directory"' EXIT

# which words it logs depends on its version
tries=0
until redis-cli -s "$REDIS_SOCKET" ping >"$directory/ping" 2>&1; do
  tries=$((tries + 1))
  if [ $tries -gt 600 ] || ! kill -0 $server 2>/dev/null; then
    cat "$directory/log" "$directory/ping"
    exit 1
  fi
  sleep 0.05
done
"$@"
