# OpenResty's image with tokencache: docs/container.md. In the folder of this repository:
#   docker build -f examples/container/openresty.Dockerfile --build-arg CONF=nginx.conf .
FROM openresty/openresty:bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
    gcc libc6-dev make pkg-config libcurl4-openssl-dev libssl-dev \
    libhiredis-dev libmemcached-dev libmicrohttpd-dev zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
COPY . /tokencache
RUN make -C /tokencache install LUA=luajit DESTDIR=/out \
    LUA_INCDIR=/usr/local/openresty/luajit/include/luajit-2.1 \
    LUADIR=/usr/local/openresty/site/lualib LIBDIR=/usr/local/openresty/site/lualib

FROM openresty/openresty:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends \
    ca-certificates libcurl4 libssl3 libhiredis0.14 libmemcached11 libmicrohttpd12 zlib1g \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /
ARG CONF=nginx.conf
COPY ${CONF} /usr/local/openresty/nginx/conf/nginx.conf
STOPSIGNAL SIGQUIT
