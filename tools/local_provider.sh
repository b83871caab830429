# Sourced: the authorization server of the tests, for a demonstration. It writes into $work.
provider=""

# start_provider NAME [PORT]: sets $provider, its process, and $url; NAME is for messages
start_provider() {
  READY_FILE="$work/ready" node tests/servers/run.mjs "oidc_provider?port=${2:-0}" \
    >"$work/log" 2>&1 </dev/null &
  provider=$!
  tries=0
  until [ -s "$work/ready" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 400 ] || ! kill -0 "$provider" 2>/dev/null; then
      cat "$work/log" >&2
      echo "$1: the authorization server did not start; its own words are above." >&2
      return 1
    fi
    sleep 0.05
  done
  read -r url <"$work/ready"
}

stop_provider() {
  [ -z "$provider" ] || { kill "$provider" && wait "$provider"; } 2>/dev/null
}
