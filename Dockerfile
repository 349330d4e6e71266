# One image for every command: `docker run firebreak worker`, `docker run firebreak
# starter`, `docker run firebreak approve …`. It needs no writable root file
# system; it writes below /var/lib/firebreak alone, and reads firebreak.yaml in
# /etc/firebreak if there is one.

# The tag is the Go version in dev/go.mod: a test compares them.
FROM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build
# A named volume that is mounted there becomes the user's who owns it here.
RUN mkdir -p /var/lib/firebreak/evidence /var/lib/firebreak/journal

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# Conditions of routes may name time zones.
COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /usr/share/zoneinfo.zip
ENV ZONEINFO=/usr/share/zoneinfo.zip
COPY --from=build --chown=65532:65532 /var/lib/firebreak /var/lib/firebreak
COPY --from=build /src/bin/firebreak /firebreak
WORKDIR /etc/firebreak
# A number, for Kubernetes to see that it is not root's.
USER 65532:65532
ENTRYPOINT ["/firebreak"]
# Whether it lives, for there are those who restart what is unhealthy: a process
# that waits for Temporal, or whose journal takes events meanwhile, must go on.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/firebreak", "healthcheck", "--live"]
