#!/bin/sh
# Usage: examples/nginx/run.sh gateway|login|session
# Builds tokencache and runs the example until Ctrl-C, at http://127.0.0.1:8080/. The provider is
# the one that TOKEN_URL names, for login ISSUER, with CLIENT_ID and CLIENT_SECRET; for gateway also
# Spotify, with SPOTIPY_CLIENT_ID and SPOTIPY_CLIENT_SECRET set. Without any, an authorization
# server is started for the purpose.
#
#   PORT           in place of 8080
#   STATE          a directory for nginx.conf, tokens and sessions; build/nginx/NAME
#   SCOPE          gateway: to ask for
#   API            gateway: host:port of the API
#   APPLICATION    login, session: host:port of the application
#   FRAMEWORK      session: django, in place of flask
#   SECRET_KEY     session: the application's
#   PUBLIC_URL     login: where browsers find the gateway; register PUBLIC_URL/auth/callback
cd "$(dirname "$0")/../.." || exit 1
case ${1:-} in
  gateway | login | session) name=$1 ;;
  *) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac

if [ "$name" = session ] && { [ -z "${APPLICATION:-}" ] || [ -z "${SECRET_KEY:-}" ]; }; then
  echo "session: set APPLICATION to its host:port, and SECRET_KEY to its key" >&2
  exit 2
fi

tools/dependencies.sh nginx || exit
make -s LUA=luajit || exit

root=$PWD
work=${STATE:-build/nginx/$name}
mkdir -p "$work" && (umask 077 && mkdir -p "$work/sessions") || exit
work=$(cd "$work" && pwd)
. tools/local_provider.sh
nginx=""

finish() {
  [ -z "$nginx" ] || { kill "$nginx" && wait "$nginx"; } 2>/dev/null
  stop_provider
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ "$name" = login ]; then
  known=${ISSUER:-}
else
  known=${TOKEN_URL:-}${SPOTIPY_CLIENT_ID:-}
fi
if [ -z "$known" ]; then
  rm -f "$work/ready"
  start_provider "$0" || exit
  export TOKEN_URL="$url/token" ISSUER="$url"
  if [ "$name" = login ]; then
    export CLIENT_ID=confidential CLIENT_SECRET=confidential-secret-51c9
  else
    export CLIENT_ID=basic CLIENT_SECRET=basic-secret-8d1f SCOPE=read
  fi
fi
if [ "$name" = gateway ] && [ -z "${TOKEN_URL:-}" ]; then
  export TOKEN_URL=https://accounts.spotify.com/api/token
  export CLIENT_ID="$SPOTIPY_CLIENT_ID" CLIENT_SECRET="${SPOTIPY_CLIENT_SECRET:-}"
fi
PORT=${PORT:-8080}
export PUBLIC_URL="${PUBLIC_URL:-http://127.0.0.1:$PORT}"
export LUA_PATH="$root/lua/?.lua;$root/lua/?/init.lua;;"
export LUA_CPATH="$root/build/luajit/?.so;;"

# Debian's places for bodies that are too large for memory belong to another user.
own="client_body_temp_path body; proxy_temp_path proxy;"
sed -e "s|127.0.0.1:8080|127.0.0.1:$PORT|" -e "s|^http {|& $own|" \
  ${API:+-e "s|server unix:api.sock|server $API|"} \
  ${APPLICATION:+-e "s|server unix:application.sock|server $APPLICATION|"} \
  "examples/nginx/$name.conf" >"$work/nginx.conf" || exit

# Its own sockets and files are all in $work; workers of root's must be able to write there.
cd "$work" && rm -f ./*.sock nginx.pid
globals="daemon off;"
[ "$(id -u)" -ne 0 ] || globals="$globals user root;"
start_nginx() {
  exec nginx -p "$work" -c nginx.conf -e stderr -g "$globals"
}

# Once it listens, which it does when it has written its id.
announce() {
  until [ -s nginx.pid ]; do
    kill -0 "$1" 2>/dev/null || return
    sleep 0.05
  done
  echo "http://127.0.0.1:$PORT/ is the $name of examples/nginx/; Ctrl-C ends it"
}

if [ -z "$provider" ]; then
  announce $$ &
  start_nginx
fi
start_nginx &
nginx=$!
announce "$nginx"
wait "$nginx"
