#!/usr/bin/env bash
# Builds stand-ins for the images that docker-compose.yml and the Dockerfiles name,
# under the same names and tags, where no registry can be reached. It fills the
# Docker daemon that DOCKER_HOST names, which must therefore be none that anybody
# else uses: dev/compose/test.sh starts one of its own.
#
#   standins.sh CACHE
#
# All are Debian bookworm where the real ones are Alpine, or Debian with more in it.
# What runs in them is the real program, at the version of the tag unless it says
# otherwise here, with the real entrypoint, user and paths:
#
#   golang                  this machine's Go, with the modules that the builds need and
#                           their compiled packages, for a build stage without a network
#   postgres                Debian's PostgreSQL 15 and an entrypoint of twenty lines that
#                           knows the variables that docker-compose.yml sets
#   temporalio/server       built from the module that dev/go.mod pins; its entrypoint is
#                           upstream's, read by bash, since Debian's sh knows no pipefail
#   temporalio/admin-tools  temporal-sql-tool likewise; the temporal command is 1.5.1, the
#                           last that `go install` can build
#   temporalio/ui           built likewise, with upstream's own start script and template
#   prom/prometheus         Debian's Prometheus 2.42
#
# There is none for grafana/grafana: nothing here can be built into one.
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
cache=$(realpath -m "$1")
mkdir -p "$cache/tools"
export DOCKER_BUILDKIT=0

say() { printf 'stand-ins: %s\n' "$*"; }

# tag IMAGE is the tag that docker-compose.yml wants of an image.
tag() { sed -n "s|^ *image: $1:\(.*\)|\1|p" "$repository/docker-compose.yml" | head -1; }

# build IMAGE builds from a Dockerfile on standard input and the directory given.
build() {
  say "$1"
  docker build --tag "$1" --file - "$2" >"$cache/build.log" 2>&1 || { cat "$cache/build.log" >&2; return 1; }
}

base() {
  if ! [ -e "$cache/base.tar" ]; then
    say "a root file system: debootstrap, PostgreSQL, Prometheus"
    local root="$cache/rootfs"
    rm -rf "$root"
    debootstrap --variant=minbase --include=ca-certificates,make,netcat-openbsd,tzdata,wget \
      bookworm "$root" http://deb.debian.org/debian >"$cache/debootstrap.log"
    # Nothing may be started, and no database made, while packages are installed.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    mkdir -p "$root/etc/postgresql-common"
    echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    DEBIAN_FRONTEND=noninteractive chroot "$root" \
      apt-get install -y -qq --no-install-recommends postgresql-15 prometheus >>"$cache/debootstrap.log" 2>&1
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,locale,man}
    tar -C "$root" -cf "$cache/base.tar.new" .
    mv "$cache/base.tar.new" "$cache/base.tar"
    rm -rf "$root"
  fi
  docker image inspect stand-in:base >/dev/null 2>&1 || docker import --change 'CMD ["sh"]' "$cache/base.tar" stand-in:base >/dev/null
}

golang() {
  local image key modules
  image=$(sed -n 's/^FROM \(golang:[^ ]*\) .*/\1/p' "$repository/Dockerfile")
  key=$(cd "$repository" && cat go.mod go.sum dev/go.mod dev/go.sum <(go version) | sha256sum | cut -d' ' -f1)
  if [ "$(docker image inspect --format '{{.Config.Labels.key}}' "$image" 2>/dev/null)" = "$key" ]; then
    return
  fi
  say "the modules of $image, and their packages compiled"
  modules=$(go -C "$repository" env GOMODCACHE)
  mkdir -p "$cache/golang"
  (
    cd "$repository"
    # From this machine's modules first: the download is for those that it lacks.
    export GOPROXY="file://$modules/cache/download,$(go env GOPROXY)" GOMODCACHE="$cache/golang/mod" GOCACHE="$cache/golang/build"
    go mod download
    export CGO_ENABLED=0
    go build -trimpath -tags disable_grpc_modules -o /dev/null .
    go -C dev build -trimpath -o /dev/null ./sysdig
  )
  rm -rf "$cache/golang/go"
  cp -a "$(go env GOROOT)" "$cache/golang/go"
  build "$image" "$cache/golang" <<DOCKERFILE
FROM stand-in:base
LABEL key=$key
ENV GOPATH=/go GOCACHE=/go/build GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-buildvcs=false PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY go /usr/local/go
COPY mod /go/pkg/mod
COPY build /go/build
WORKDIR /go
DOCKERFILE
}

postgres() {
  mkdir -p "$cache/postgres"
  cat >"$cache/postgres/entrypoint.sh" <<'ENTRYPOINT'
#!/bin/bash
# As the real one: the database is made on the first start, answers on its socket
# alone until its user is there, and asks for passwords from anywhere else.
set -euo pipefail
PATH=/usr/lib/postgresql/15/bin:$PATH
if ! [ -s "$PGDATA/PG_VERSION" ]; then
  # shellcheck disable=SC2086 # options, separated by blanks
  initdb --username="$POSTGRES_USER" --pwfile=<(echo "$POSTGRES_PASSWORD") \
    --auth-local=trust --auth-host=scram-sha-256 $POSTGRES_INITDB_ARGS
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  pg_ctl start --wait --options="-c listen_addresses=''"
  createdb --username="$POSTGRES_USER" "${POSTGRES_DB:-$POSTGRES_USER}" || true
  pg_ctl stop --wait --mode=fast
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/run/postgresql
ENTRYPOINT
  chmod +x "$cache/postgres/entrypoint.sh"
  build "postgres:$(tag postgres)" "$cache/postgres" <<'DOCKERFILE'
FROM stand-in:base
ENV PGDATA=/var/lib/postgresql/data PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN usermod -u 999 postgres && rm -rf /var/lib/postgresql && install -d -o 999 -m 1777 /var/lib/postgresql/data && install -d -o 999 -m 3777 /run/postgresql
COPY entrypoint.sh /usr/local/bin/
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["entrypoint.sh"]
CMD ["postgres"]
DOCKERFILE
}

# programs builds what runs in Temporal's images, as it is pinned.
programs() {
  say "Temporal's programs (the first time: some minutes)"
  go -C "$repository/dev" build -o "$cache/tools/temporal-server" go.temporal.io/server/cmd/server
  go -C "$repository/dev" build -o "$cache/tools/temporal-sql-tool" go.temporal.io/server/cmd/tools/sql
  go -C "$repository/dev" build -o "$cache/tools/ui-server" github.com/temporalio/ui-server/v2/cmd/server
  [ -x "$cache/tools/temporal" ] || GOBIN="$cache/tools" go install github.com/temporalio/cli/cmd/temporal@v1.5.1
}

# context DIR FILE… is an empty directory with these files.
context() {
  rm -rf "$1"
  mkdir -p "$1"
  cp "${@:2}" "$1"
  chmod -R u+w "$1"
}

temporal() {
  local server ui
  server=$(go -C "$repository/dev" list -m -f '{{.Dir}}' go.temporal.io/server)
  ui=$(go -C "$repository/dev" list -m -f '{{.Dir}}' github.com/temporalio/ui-server/v2)

  context "$cache/server" "$cache/tools/temporal-server" "$server/docker/scripts/sh/entrypoint.sh"
  build "temporalio/server:$(tag temporalio/server)" "$cache/server" <<'DOCKERFILE'
FROM stand-in:base
RUN ln -sf bash /bin/sh && useradd --uid 1000 temporal
COPY temporal-server /usr/local/bin/
COPY entrypoint.sh /etc/temporal/
RUN chmod 755 /etc/temporal/entrypoint.sh
WORKDIR /etc/temporal
USER temporal
CMD ["/etc/temporal/entrypoint.sh"]
DOCKERFILE

  context "$cache/admin-tools" "$cache/tools/temporal" "$cache/tools/temporal-sql-tool"
  build "temporalio/admin-tools:$(tag temporalio/admin-tools)" "$cache/admin-tools" <<'DOCKERFILE'
FROM stand-in:base
RUN useradd --uid 1000 temporal
COPY temporal temporal-sql-tool /usr/local/bin/
USER temporal
CMD ["sh", "-c", "trap exit INT HUP TERM; sleep infinity & wait"]
DOCKERFILE

  context "$cache/ui" "$cache/tools/ui-server" "$ui/docker/start-ui-server.sh" "$ui/config/docker.yaml"
  build "temporalio/ui:$(tag temporalio/ui)" "$cache/ui" <<'DOCKERFILE'
FROM stand-in:base
RUN useradd --uid 1000 temporal
WORKDIR /home/ui-server
COPY ui-server start-ui-server.sh ./
COPY docker.yaml config/
RUN chmod 755 start-ui-server.sh && chown -R temporal .
USER temporal
EXPOSE 8080
ENTRYPOINT ["./start-ui-server.sh"]
DOCKERFILE
}

prometheus() {
  mkdir -p "$cache/empty"
  build "prom/prometheus:$(tag prom/prometheus)" "$cache/empty" <<'DOCKERFILE'
FROM stand-in:base
RUN ln -s /usr/bin/prometheus /bin/prometheus 2>/dev/null; install -d -o nobody -g nogroup /prometheus
WORKDIR /prometheus
USER nobody
ENTRYPOINT ["/bin/prometheus"]
DOCKERFILE
}

base
golang
programs
postgres
temporal
prometheus
