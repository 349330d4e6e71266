#!/usr/bin/env bash
# Runs docker-compose.yml end to end in the sandbox, kills everything in it, and
# says what it has seen; `passed` is the last line. Needs root.
#
#   dev/compose/test.sh [--real-images] [--keep]
#
# By default it starts a Docker daemon of its own, beside any that runs, in which
# dev/compose/standins.sh builds stand-ins for the images of other projects: no
# registry is asked. The daemon and its containers are gone afterwards; the images
# stay in the cache, $FIREBREAK_COMPOSE_CACHE or ~/.cache/firebreak-compose.
#
#   --real-images  use the daemon that is there, and pull
#   --keep         leave everything running, and say how to reach it
set -euo pipefail
cd "$(dirname "$0")/../.."

real='' keep=''
for argument in "$@"; do
  case $argument in
    --real-images) real=1 ;;
    --keep) keep=1 ;;
    *) echo "$argument: want --real-images or --keep" >&2; exit 2 ;;
  esac
done
cache=${FIREBREAK_COMPOSE_CACHE:-$HOME/.cache/firebreak-compose}
mkdir -p "$cache"
run=$(mktemp -d)
daemon=''
compose=(docker-compose)
if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
else
  export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0
fi

# What is exported here would win over the file below.
while IFS== read -r name _; do
  [[ $name =~ ^[A-Z_]+$ ]] && unset "$name"
done <.env.example
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
{
  grep '^SYSDIG_' .env.sandbox
  echo "COMPOSE_PROJECT_NAME=firebreak-test"
  echo "COMPOSE_PROFILES=sandbox"
  echo "POSTGRES_PASSWORD=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
  echo "WEBHOOK_TOKEN=$token"
  for port in STARTER TEMPORAL WEB SANDBOX_SYSDIG PROMETHEUS GRAFANA; do echo "${port}_PORT=0"; done
} >"$run/env"

# ---- what the steps are told with

SECONDS=0
passed() { printf '%4ds  ok    %s\n' "$SECONDS" "$*"; }
fail() {
  printf '%4ds  FAIL  %s\n' "$SECONDS" "$*" >&2
  dc ps >&2 || true
  dc logs --tail=25 >&2 || true
  exit 1
}
dc() { "${compose[@]}" --env-file "$run/env" "$@"; }

# await SECONDS WHAT COMMAND… waits until a command succeeds.
await() {
  local until=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >"$run/last" 2>&1; do
    if [ "$SECONDS" -ge "$until" ]; then
      cat "$run/last" >&2
      fail "$what: not in time"
    fi
    sleep 1
  done
}

cleanup() {
  local code=$?
  trap - EXIT
  if [ -n "$keep" ]; then
    echo "kept: DOCKER_HOST=${DOCKER_HOST:-} ${compose[*]} --env-file $run/env ps"
    exit "$code"
  fi
  dc down --volumes --timeout 5 >/dev/null 2>&1 || true
  if [ -n "$daemon" ]; then
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
  fi
  rm -rf "$run" || true
  exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# ---- what is asked

# fb runs a command of Firebreak in a container that runs.
fb() { dc exec -T starter /firebreak "$@"; }
address() { dc port "$1" "$2"; }
# id_of SERVICE N is the ID of a service's Nth container.
id_of() { dc ps -q "$1" | sed -n "${2}p"; }
# containers lists those that run.
containers() { docker ps -q --filter label=com.docker.compose.project=firebreak-test; }
inspect() { docker inspect --format "$1" "$2"; }
healthy() { [ "$(inspect '{{.State.Health.Status}}' "$1")" = healthy ]; }
everything_healthy() {
  local id
  for id in $(containers); do
    [ "$(inspect '{{if .Config.Healthcheck}}{{.State.Health.Status}}{{end}}' "$id")" != starting ] || return 1
    [ "$(inspect '{{if .Config.Healthcheck}}{{.State.Health.Status}}{{end}}' "$id")" != unhealthy ] || return 1
  done
  [ "$(containers | wc -l)" -ge 7 ]
}
# page is an incident's, on one line and without blanks.
page() { fb show "$1" --output json | tr -d ' \n'; }
is() { page "$1" | grep "\"state\":\"$2\""; }
counts() { page "$1" | grep "\"events\":{\"count\":$2,"; }
asked() { page "$1" | grep "\"pending\":{[^}]*\"action\":\"$2\""; }
ledger() { curl -sf "http://$(address sysdig 9090)/sim/ledger" | tr -d ' \n' | tr '{' '\n'; }
# killed CONTAINER is how often Sysdig killed it.
killed() { ledger | grep -c "\"action\":\"KILL_CONTAINER\".*\"container_id\":\"$1\"" || true; }
killed_once() { [ "$(killed "$1")" = 1 ]; }

events=0
# event CONTAINER RULE is an event of its own.
event() {
  local host=42:01:0a:80:00:05 name=gke-cluster-gcp-demo-san-default-pool-66250c41-vd1o agent=58014837
  if [ "$1" = aaa000000006 ]; then
    host=aa:bb:cc:dd:ee:04 name=ip-10-0-0-3.ec2.internal agent=99004
  fi
  sed -e "s/6949e5f10829/$1/g" -e "s/42:01:0a:80:00:05/$host/g" -e "s/58014837/$agent/" \
    -e "s/gke-cluster-gcp-demo-san-default-pool-66250c41-vd1o/$name/g" \
    -e "s/18000000000000000000000000000001/1800000000000000000000000000$(printf %04d "$events")/" \
    -e "s/Detect crypto miners using the Stratum protocol/$2/g" dev/e2e/testdata/crypto-miner.json
}
miner='Detect crypto miners using the Stratum protocol'
# post CONTAINER RULE sends an event, and succeeds if it was taken for good.
post() {
  event "$1" "$2" | curl -sS --max-time 20 -o "$run/answer" -w '%{http_code}' -H "Authorization: Bearer $token" \
    -H 'Content-Type: application/json' --data-binary @- "http://$(address starter 8080)/v1/events/sysdig" >"$run/code" 2>"$run/error" || true
  grep -q '^202$' "$run/code" || { cat "$run/code" "$run/error" "$run/answer"; return 1; }
}
send() {
  events=$((events + 1))
  await 60 "the webhook takes an event" post "$1" "$2"
}

# ---- the daemon and the images

if [ -z "$real" ]; then
  [ "$(id -u)" = 0 ] || { echo "a Docker daemon needs root; --real-images uses the one that is there" >&2; exit 1; }
  # Without docker0, which belongs to a daemon that may be there already.
  dockerd --bridge=none --data-root "$cache/docker" --exec-root "$run/exec" --pidfile "$run/dockerd.pid" \
    --host "unix://$run/docker.sock" >"$run/dockerd.log" 2>&1 &
  daemon=$!
  export DOCKER_HOST="unix://$run/docker.sock"
  await 60 "dockerd answers" docker version
  passed "dockerd $(docker version --format '{{.Server.Version}}') on $(docker info --format '{{.Driver}}'), of our own"
  dev/compose/standins.sh "$cache"
  passed "stand-ins for the images of others"
fi
dc build --quiet 2>"$run/build" || dc build || fail "the images do not build"
size=$(docker image inspect --format '{{.Size}}' firebreak:local)
passed "the image of Firebreak is built: $((size / 1000000)) MB, and $(($(docker image inspect --format '{{.Size}}' firebreak-sandbox-sysdig:local) / 1000000)) MB of the simulated Sysdig"

# ---- what must not start

! "${compose[@]}" --env-file .env.example config >"$run/refused" 2>&1 || fail "an installation without secrets is not refused"
grep -q 'set it in .env' "$run/refused" || fail "it does not say what is missing: $(cat "$run/refused")"
passed "an installation whose .env is not filled in is refused"

# ---- the sandbox

dc up -d >"$run/up" 2>&1 || { cat "$run/up"; fail "up"; }
await 180 "every container is healthy" everything_healthy
passed "up: $(containers | wc -l) containers run, all healthy"

dc up -d >"$run/up" 2>&1 || { cat "$run/up"; fail "up, again"; }
await 120 "every container is healthy" everything_healthy
for job in schema namespace setup; do
  [ "$(inspect '{{.State.ExitCode}}' "$(dc ps -aq $job 2>/dev/null || dc ps -q $job)")" = 0 ] || fail "$job, again"
done
passed "up, again: the jobs find everything there"

[ "$(dc ps -q worker | wc -l)" = 2 ] || fail "want two workers"
for id in $(containers); do
  name=$(inspect '{{.Name}}' "$id")
  [ "$(inspect '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}' "$id")" = 'true [ALL] [no-new-privileges:true]' ] || fail "$name is not confined"
  user=$(ps -o uid= -p "$(inspect '{{.State.Pid}}' "$id")" | tr -d ' ')
  [ "$user" != 0 ] || fail "$name runs as root"
done
! docker ps --filter label=com.docker.compose.project=firebreak-test --format '{{.Ports}}' | tr ',' '\n' | grep -- '->' | grep -v '^ *127\.0\.0\.1:' || fail "a port is published beyond this host"
passed "no container runs as root, can write its root file system, or publishes a port beyond 127.0.0.1"

dc run --rm --no-deps -T starter starter --journal /journal >"$run/last" 2>&1 && fail "the root file system is writable"
grep -q 'read-only file system' "$run/last" || fail "want a read-only file system: $(cat "$run/last")"
[ "$(containers | xargs docker inspect | grep -c "$token")" = 1 ] || fail "the webhook's token is in more than the starter's environment"
! dc logs 2>&1 | grep -q "$token" || fail "the webhook's token is in a log"
! docker image inspect firebreak:local | grep -qi -e token -e password || fail "the image has a secret"
container=$(docker create firebreak:local)
[ "$(docker cp "$container:/etc/ssl/certs/ca-certificates.crt" - | wc -c)" -gt 100000 ] || fail "the image has no authorities"
docker rm "$container" >/dev/null
printf 'routes: [{name: night, when: '"'"'incident.occurred_at.getHours("Asia/Tokyo") == 3'"'"', playbook: capture}]\n' >"$run/night.yaml"
event 6949e5f10829 "$miner" | docker run --rm -i -v "$run/night.yaml:/etc/firebreak/firebreak.yaml:ro" firebreak:local explain - --output json |
  tr -d ' \n' | grep '"route":"night"' >"$run/last" || fail "the image knows no time zones"
passed "a secret is where it is needed and nowhere else; the image has authorities and time zones"

dc run --rm -T worker setup >"$run/last" 2>&1 || { cat "$run/last"; fail "setup"; }
passed "setup: $(grep -c '^ok' "$run/last") checks passed"

a=crypto-miner:gke-cluster-gcp-demo-san-default-pool-66250c41-vd1o:6949e5f10829
b=crypto-miner:ip-10-0-0-3.ec2.internal:aaa000000006
c=capture:gke-cluster-gcp-demo-san-default-pool-66250c41-vd1o:6949e5f10829

send aaa000000006 "$miner"
await 60 "$b asks" asked "$b" KILL_CONTAINER
dc exec -T worker /firebreak approve "$b" --analyst ann --reason "a miner" >"$run/last" 2>&1 || { cat "$run/last"; fail "approve"; }
await 60 "the container is killed" killed_once aaa000000006
passed "an event became an incident, was approved by firebreak approve, and Sysdig killed the container once"

send 6949e5f10829 "Launch Suspicious Network Tool in Container"
await 60 "$c asks" is "$c" awaiting-approval
dc exec -T worker /firebreak approve "$c" --analyst ann --reason "look into it" >"$run/last" 2>&1 || { cat "$run/last"; fail "approve"; }
await 90 "$c asks to save" is "$c" awaiting-save
dc run --rm --no-deps -T namespace temporal workflow signal -w "$c" --name approve --input '{"analyst":"bob","reason":"keep it"}' >"$run/last" 2>&1 ||
  { cat "$run/last"; fail "temporal workflow signal"; }
await 90 "$c is captured" is "$c" captured
fb evidence verify "$c" >"$run/last" 2>&1 || { cat "$run/last"; fail "evidence verify"; }
passed "a capture was approved, saved by the temporal command, and verified: $(fb evidence list "$c" | grep -c .) lines of evidence list"
await 90 "$b is contained" is "$b" contained
fb evidence verify "$b" >"$run/last" 2>&1 || { cat "$run/last"; fail "evidence verify"; }
passed "the killed container's incident is closed as contained, and its evidence verified"

# ---- everything is killed, while an incident waits

send 6949e5f10829 "$miner"
await 60 "$a asks" asked "$a" KILL_CONTAINER
of_a=1
passed "an incident waits"

again() { # CONTAINER'S ID
  local id=$1
  await 120 "$(inspect '{{.Name}}' "$id") runs again" running "$id"
  [ -z "$(inspect '{{if .Config.Healthcheck}}yes{{end}}' "$id")" ] || await 180 "$(inspect '{{.Name}}' "$id") is healthy again" healthy "$id"
}
running() { [ "$(inspect '{{.State.Running}}' "$1")" = true ]; }
restarted() { [ "$(inspect '{{.State.Pid}}' "$1")" != "$2" ] && running "$1"; }

for service in postgres:1 temporal:1 ui:1 worker:1 worker:2 starter:1 sysdig:1; do
  id=$(id_of "${service%:*}" "${service#*:}")
  [ -n "$id" ] || fail "$service does not run"
  # What an operator does. The daemon takes it for a stop, and starts nothing.
  docker kill "$id" >/dev/null
  if [ "$service" != starter:1 ]; then
    send 6949e5f10829 "$miner"
    of_a=$((of_a + 1))
  fi
  running "$id" && fail "$service: the daemon restarts what docker kill killed: this test expects that it does not"
  docker start "$id" >/dev/null
  again "$id"
  # A crash. The daemon restarts it by itself.
  pid=$(inspect '{{.State.Pid}}' "$id")
  kill -9 "$pid"
  await 60 "$service is restarted" restarted "$id" "$pid"
  send 6949e5f10829 "$miner"
  of_a=$((of_a + 1))
  again "$id"
  await 120 "$a has every event that was acknowledged ($of_a)" counts "$a" "$of_a"
  asked "$a" KILL_CONTAINER >"$run/last" || fail "$a does not wait any more"
  passed "$service: after docker kill and docker start, and after kill -9, the incident waits and has its $of_a events"
done
[ "$(killed 6949e5f10829)" = 0 ] || fail "nobody approved $a"

# ---- stop, down, up

for service in starter worker; do
  started=$SECONDS
  dc stop "$service" >/dev/null 2>&1
  for id in $(docker ps -aq --filter "label=com.docker.compose.project=firebreak-test" --filter "label=com.docker.compose.service=$service" --filter label=com.docker.compose.oneoff=False); do
    [ "$(inspect '{{.State.ExitCode}} {{.State.OOMKilled}}' "$id")" = '0 false' ] || fail "$service was not stopped properly: exit code $(inspect '{{.State.ExitCode}}' "$id")"
  done
  passed "docker stop of $service: exit code 0 after $((SECONDS - started)) s"
done

dc down >"$run/last" 2>&1 || { cat "$run/last"; fail "down"; }
[ -z "$(docker ps -aq --filter label=com.docker.compose.project=firebreak-test)" ] || fail "down leaves containers"
dc up -d >"$run/up" 2>&1 || { cat "$run/up"; fail "up after down"; }
await 240 "every container is healthy" everything_healthy
counts "$a" "$of_a" >"$run/last" || fail "$a has lost events"
asked "$a" KILL_CONTAINER >"$run/last" || fail "$a does not wait any more"
fb evidence verify "$c" >"$run/last" 2>&1 || { cat "$run/last"; fail "evidence verify"; }
passed "down and up: the incident waits with its $of_a events, the evidence is there"

dc exec -T worker /firebreak approve "$a" --analyst ann --reason "a miner" >"$run/last" 2>&1 || { cat "$run/last"; fail "approve"; }
await 60 "the container is killed" killed_once 6949e5f10829
await 120 "$a is contained" is "$a" contained
killed_once 6949e5f10829 || fail "killed $(killed 6949e5f10829) times"
killed_once aaa000000006 || fail "killed $(killed aaa000000006) times"
fb evidence verify "$a" >"$run/last" 2>&1 || { cat "$run/last"; fail "evidence verify"; }
passed "approved after all of that: contained, and killed exactly once"

# ---- observability

if [ -e deploy/prometheus/prometheus.yml ]; then
  dc up -d prometheus ${real:+grafana} >"$run/up" 2>&1 || { cat "$run/up"; fail "prometheus"; }
  up() {
    curl -sf "http://$(address prometheus 9090)/api/v1/targets?state=active" | grep -o '"health":"[^"]*"' >"$run/targets"
    ! grep -v '"up"' "$run/targets" && [ "$(wc -l <"$run/targets")" -ge 4 ]
  }
  await 120 "Prometheus reaches its targets" up
  passed "Prometheus reaches all of its $(wc -l <"$run/targets") targets"
else
  printf '%4ds  left  Prometheus: deploy/prometheus/prometheus.yml is not there\n' "$SECONDS"
fi

echo passed
