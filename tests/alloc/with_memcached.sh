#!/bin/sh
# Usage: with_memcached.sh COMMAND...
# Runs a command beside a memcached of its own, whose address is $MEMCACHED_SERVER.
loopback() {
  LUA_PATH='tests/?.lua;;' lua5.4 -e "local loopback = require 'support.loopback' $1"
}

port=$(loopback 'print(loopback.free_port())')
export MEMCACHED_SERVER="127.0.0.1:$port"

memcached -u root -l 127.0.0.1 -p "$port" -U 0 -t 1 </dev/null &
server=$!
trap 'kill $server; wait $server' EXIT

while ! loopback "os.exit(loopback.is_listening($port))"; do
  kill -0 $server 2>/dev/null || exit 1
  sleep 0.05
done
"$@"
