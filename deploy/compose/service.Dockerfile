# One of the three services: docker build --file deploy/compose/service.Dockerfile --build-arg SERVICE=chat .
FROM python:3.11-slim AS build
ARG SERVICE
WORKDIR /source
COPY requirements/uv.txt requirements/uv.txt
RUN python -m venv /opt/parley && /opt/parley/bin/pip install --quiet --require-hashes --requirement requirements/uv.txt
COPY services/${SERVICE}/requirements.txt services/${SERVICE}/requirements.txt
RUN /opt/parley/bin/pip install --quiet --no-deps --require-hashes --requirement services/${SERVICE}/requirements.txt
COPY gen/python gen/python
COPY services/shared services/shared
COPY services/${SERVICE} services/${SERVICE}
RUN /opt/parley/bin/pip install --quiet --no-deps --no-build-isolation ./gen/python ./services/shared ./services/${SERVICE} \
    && /opt/parley/bin/pip uninstall --quiet --yes uv uv_build

FROM python:3.11-slim
ARG SERVICE
RUN useradd --uid 10001 --no-create-home parley \
    && install --directory --owner parley --mode 0700 /var/lib/parley /var/lib/parley-keys /var/lib/parley-retrieval-key
COPY --from=build /opt/parley /opt/parley
# The sample corpus of retrieval.
COPY README.md CONTRIBUTING.md /srv/corpus/
COPY docs /srv/corpus/docs
USER parley
ENV PATH=/opt/parley/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PARLEY_HOME=/var/lib/parley \
    PARLEY_HOST=0.0.0.0 \
    PARLEY_LOG_FORMAT=json \
    PARLEY_PROCESS=parley_${SERVICE}
VOLUME /var/lib/parley
STOPSIGNAL SIGTERM
CMD ["sh", "-c", "exec python -m $PARLEY_PROCESS"]
