# Kong with the plugin servers inside, for those who run Kong as one container:
#
#   docker build -f deploy/docker/kong.Dockerfile -t gatehouse-kong:0.1.0 .
#
# Kong starts and watches them itself. Where several containers can share a volume, leave Kong's
# image as it is and run the plugin servers beside it: compose.yaml, docs/install/kong.md.
# Kong's image is Ubuntu 24.04's, whose Python is 3.12. Kong's prefix is /run/kong: with that and /tmp
# in memory the rest may be read-only. Its default, /usr/local/kong, has Kong's OpenSSL in it.
ARG KONG_IMAGE=kong:3.9.1-ubuntu

FROM ${KONG_IMAGE} AS build
USER root
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Gatehouse needs Python 3.11")' \
 && python3 -m venv /opt/gatehouse
WORKDIR /src
COPY requirements.lock ./
RUN /opt/gatehouse/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN /opt/gatehouse/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${KONG_IMAGE}
USER root
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o kong -g kong -m 0700 /var/lib/gatehouse /run/kong
COPY --from=build /opt/gatehouse /opt/gatehouse
# The lines of `gatehouse kong config --prefix /run/kong`, as Kong takes them from its environment.
ENV KONG_PREFIX=/run/kong \
    KONG_PLUGINS=bundled,llm-auth,llm-token-meter,llm-provider-transform \
    KONG_PLUGINSERVER_NAMES=llm-auth,llm-token-meter,llm-provider-transform \
    KONG_PLUGINSERVER_LLM_AUTH_SOCKET=/run/kong/llm-auth.sock \
    KONG_PLUGINSERVER_LLM_AUTH_START_CMD="/opt/gatehouse/bin/python -m kong_plugins.llm_auth --kong-prefix /run/kong" \
    KONG_PLUGINSERVER_LLM_AUTH_QUERY_CMD="/opt/gatehouse/bin/python -m kong_plugins.llm_auth --dump" \
    KONG_PLUGINSERVER_LLM_TOKEN_METER_SOCKET=/run/kong/llm-token-meter.sock \
    KONG_PLUGINSERVER_LLM_TOKEN_METER_START_CMD="/opt/gatehouse/bin/python -m kong_plugins.llm_token_meter --kong-prefix /run/kong" \
    KONG_PLUGINSERVER_LLM_TOKEN_METER_QUERY_CMD="/opt/gatehouse/bin/python -m kong_plugins.llm_token_meter --dump" \
    KONG_PLUGINSERVER_LLM_PROVIDER_TRANSFORM_SOCKET=/run/kong/llm-provider-transform.sock \
    KONG_PLUGINSERVER_LLM_PROVIDER_TRANSFORM_START_CMD="/opt/gatehouse/bin/python -m kong_plugins.llm_provider_transform --kong-prefix /run/kong" \
    KONG_PLUGINSERVER_LLM_PROVIDER_TRANSFORM_QUERY_CMD="/opt/gatehouse/bin/python -m kong_plugins.llm_provider_transform --dump" \
    KONG_NGINX_HTTP_LUA_SOCKET_READ_TIMEOUT=3s \
    KONG_NGINX_HTTP_CLIENT_BODY_BUFFER_SIZE=16m \
    KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE=32m
USER kong
