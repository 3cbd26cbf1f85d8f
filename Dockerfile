# syntax=docker/dockerfile:1
# The server of a tagger: docs/deployment.md. For CPUs of x86-64.
#
#   docker build --tag nerlab .
#   docker run --rm --publish 127.0.0.1:8080:8080 --env NERLAB_TOKEN=... \
#       --volume "$PWD/tagger:/opt/ml/model:ro" nerlab

# The Python whose CPU build of torch has its digest in torch.lock. A file whose digest is not in a
# lock is refused.
FROM python:3.11-slim-bookworm AS libraries
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/nerlab
ENV PATH=/opt/nerlab/bin:$PATH
WORKDIR /build
COPY build.lock torch.lock ./
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-deps --require-hashes --requirement build.lock \
    && pip install --no-deps --require-hashes --only-binary :all: --index-url "$TORCH_INDEX" \
        --requirement torch.lock
COPY serve.lock ./
RUN pip install --no-deps --require-hashes --no-build-isolation --requirement serve.lock

FROM libraries AS package
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY conf conf
COPY data data
COPY nerlab nerlab
RUN pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheel .

# The libraries are a layer of their own: after a change of nerlab a small one is pushed.
FROM python:3.11-slim-bookworm
ENV PATH=/opt/nerlab/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin nerlab
COPY --from=libraries /opt/nerlab /opt/nerlab
COPY --from=package /wheel /wheel
RUN pip install --no-deps --no-index /wheel/*.whl \
    && pip check
ENV NERLAB_CHECKPOINT=/opt/ml/model \
    NERLAB_HOST=0.0.0.0 \
    NERLAB_PORT=8080
# A number, by which a cluster sees that it is not root.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
# Without urllib, which would ask a proxy that the environment names.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; server = http.client.HTTPConnection('127.0.0.1', int(os.environ['NERLAB_PORT']), timeout=4); server.request('GET', '/health'); sys.exit(server.getresponse().status != 200)"]
ENTRYPOINT ["nerlab"]
CMD ["serve"]
