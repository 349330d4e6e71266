#!/bin/sh
# Creates Temporal's namespace with a retention, or changes the retention of the
# one that is there, and waits until it can be used.
set -eu

# try runs a command until it succeeds: a minute long, and more where it is slow.
try() {
  attempts=0
  until "$@"; do
    attempts=$((attempts + 1))
    if [ "$attempts" -ge 60 ]; then
      echo "Temporal at $TEMPORAL_ADDRESS fails after $attempts attempts ($*): its log says why" >&2
      exit 1
    fi
    sleep 1
  done
}

try temporal operator cluster health

if temporal operator namespace describe --namespace default >/dev/null 2>&1; then
  temporal operator namespace update --namespace default --retention "$RETENTION"
else
  temporal operator namespace create --namespace default --retention "$RETENTION"
fi

# The server reads its namespaces from time to time, and until then says that
# there is no new one.
try temporal workflow count --namespace default
