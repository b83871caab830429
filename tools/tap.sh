# To be sourced: writes TAP.
number=0
failures=0
evidence=/dev/null # a file that is shown where a check fails

# check NAME COMMAND...: passes if the command does
check() {
  name=$1
  shift
  number=$((number + 1))
  if output=$("$@" 2>&1); then
    echo "ok $number - $name"
  else
    failures=$((failures + 1))
    cat "$evidence"
    printf '%s\nnot ok %s - %s\n' "$output" "$number" "$name"
  fi
}

# ends the script
finish() {
  echo "1..$number"
  exit $((failures > 0))
}
