# The edge with the page: docker build --file deploy/compose/edge.Dockerfile .
FROM node:20-slim AS page
WORKDIR /source
COPY package.json package-lock.json .npmrc ./
COPY gen/ts gen/ts
COPY clients/ts clients/ts
COPY web web
RUN npm ci --no-fund --no-audit --loglevel=error && npm run build

FROM python:3.11-slim AS build
WORKDIR /source
COPY requirements/uv.txt requirements/uv.txt
RUN python -m venv /opt/parley && /opt/parley/bin/pip install --quiet --require-hashes --requirement requirements/uv.txt
COPY deploy/envoy/requirements.txt deploy/envoy/requirements.txt
RUN /opt/parley/bin/pip install --quiet --require-hashes --requirement deploy/envoy/requirements.txt
COPY gen/python gen/python
COPY services/shared services/shared
COPY deploy/envoy deploy/envoy
RUN /opt/parley/bin/pip install --quiet --no-deps --no-build-isolation ./gen/python ./services/shared ./deploy/envoy \
    && /opt/parley/bin/pip uninstall --quiet --yes uv uv_build

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home parley
COPY --from=build /opt/parley /opt/parley
COPY --from=page /source/web/dist /srv/page
USER parley
ENV PATH=/opt/parley/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PARLEY_HOST=0.0.0.0 \
    PARLEY_EDGE_PAGE=/srv/page
EXPOSE 8080
STOPSIGNAL SIGTERM
CMD ["parley-edge", "run"]
