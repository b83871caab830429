# Debian's nginx with tokencache: docs/container.md. In the folder of this repository:
#   docker build -f examples/container/debian.Dockerfile --build-arg CONF=nginx.conf .
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
    gcc libc6-dev make pkg-config luajit2 libluajit2-5.1-dev libcurl4-openssl-dev libssl-dev \
    libhiredis-dev libmemcached-dev libmicrohttpd-dev zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
COPY . /tokencache
RUN make -C /tokencache install LUA=luajit PREFIX=/usr/local DESTDIR=/out

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
    nginx-light libnginx-mod-http-lua lua-resty-core lua-resty-lrucache ca-certificates \
    libcurl4 libssl3 libhiredis0.14 libmemcached11 libmicrohttpd12 zlib1g \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /
ARG CONF=nginx.conf
COPY ${CONF} /etc/nginx/nginx.conf
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
