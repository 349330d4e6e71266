#!/bin/sh
# Creates Temporal's namespace with a retention, or changes the retention of the
# one that is there.
set -eu

attempts=0
until temporal operator cluster health; do
  attempts=$((attempts + 1))
  if [ "$attempts" -ge 60 ]; then
    echo "Temporal at $TEMPORAL_ADDRESS is not healthy after $attempts attempts: its log says why" >&2
    exit 1
  fi
  sleep 1
done

if temporal operator namespace describe --namespace default >/dev/null 2>&1; then
  temporal operator namespace update --namespace default --retention "$RETENTION"
else
  temporal operator namespace create --namespace default --retention "$RETENTION"
fi
