# Varve in a container: built in one stage, run in another that has neither compiler nor headers.
#
#   docker build -t varve .
#   docker run --rm varve --version
#
# The image runs `varve node --config /etc/varve/node.yaml` (Examples/config/container.yaml, which takes what differs from
# the environment) as user 10001. It writes only below /var/lib/varve, so its root file system may be read-only.
# docs/operations.md says how to run it.

FROM swift:6.3-bookworm AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        librdkafka-dev libsqlite3-dev libmicrohttpd-dev libcurl4-openssl-dev libyaml-dev nettle-dev zlib1g-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# Tests and benchmarks are not built, but the package names their directories.
COPY Package.swift ./
COPY Benchmarks Benchmarks
COPY Tests Tests
COPY Sources Sources
RUN swift build -c release --static-swift-stdlib --product varve \
    && install -D --strip "$(swift build -c release --static-swift-stdlib --show-bin-path)/varve" /out/varve

FROM debian:bookworm-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        librdkafka1 libsqlite3-0 libmicrohttpd12 libcurl4 libyaml-0-2 libnettle8 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /var/lib/varve --no-create-home --shell /usr/sbin/nologin varve \
    && install -d -o varve -g varve /var/lib/varve /var/lib/varve/storage /var/lib/varve/node
COPY Examples/config/container.yaml /etc/varve/node.yaml
COPY --from=build /out/varve /usr/local/bin/varve
# What `varve --version` says; TidyTests and Scripts/test-compose hold the two together.
ARG VARVE_VERSION=0.1.0
LABEL org.opencontainers.image.title="Varve" \
      org.opencontainers.image.description="An immutable, time-travelling database that is a log and a directory of files" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VARVE_VERSION}"
USER varve
WORKDIR /var/lib/varve
ENV VARVE_CONFIG=/etc/varve/node.yaml
EXPOSE 8080
# Ready is: serves reads and takes submissions. A node that waits for its log is not ready, and needs no restart.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["varve", "status", "--ready"]
# A node ends in order on SIGTERM, docker stop's signal.
STOPSIGNAL SIGTERM
ENTRYPOINT ["varve"]
CMD ["node"]
