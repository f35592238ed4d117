# The two images of LLMBatch: `docker build --target worker .` and `docker build --target operator .`
#
# What rarely changes comes first: the packages of requirements.lock, with their digests, are a layer of their own, and a
# change of the code makes only the last, small one anew. The final stages have no pip, uv or compiler, and they run as
# any user with a read-only root.
ARG BASE_IMAGE=docker.io/library/python:3.13-slim-bookworm

# For a mirror of the package index give both: --build-arg PIP_INDEX_URL=… --build-arg UV_DEFAULT_INDEX=…
# The certificates to trust are those of the base image.
FROM ${BASE_IMAGE} AS tools
ARG PIP_INDEX_URL
ENV PATH=/opt/tools/bin:${PATH} \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    UV_SYSTEM_CERTS=1 \
    UV_NO_CACHE=1 \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    # Compiled modules stay valid whatever becomes of the times of files on the way into the last stage.
    PYC_INVALIDATION_MODE=UNCHECKED_HASH
RUN python3 -m venv /opt/tools \
 && pip install --quiet --no-cache-dir --disable-pip-version-check uv==0.13.9 hatchling==1.33.0
WORKDIR /src

FROM tools AS packages
ARG UV_DEFAULT_INDEX
RUN python3 -m venv --without-pip /opt/llmbatch
COPY pyproject.toml requirements.lock ./
RUN uv pip install --quiet --python /opt/llmbatch/bin/python --no-build --require-hashes \
    -r pyproject.toml -c requirements.lock

FROM packages AS worker-packages
ARG UV_DEFAULT_INDEX
RUN uv pip install --quiet --python /opt/llmbatch/bin/python --no-build --require-hashes \
    -r pyproject.toml --extra parquet -c requirements.lock

FROM packages AS operator-packages
ARG UV_DEFAULT_INDEX
RUN uv pip install --quiet --python /opt/llmbatch/bin/python --no-build --require-hashes \
    -r pyproject.toml --extra operator -c requirements.lock

# LLMBatch itself, in a folder of its own that has the form of the environment it will be laid over.
FROM packages AS llmbatch
COPY LICENSE ./
COPY cli cli
COPY operator operator
COPY worker worker
RUN touch README.md \
 && hatchling build --target wheel --directory /tmp/dist \
 && uv pip install --quiet --python /opt/llmbatch/bin/python --prefix /opt/package --no-deps /tmp/dist/*.whl \
 && rm -f /opt/package/.lock

FROM ${BASE_IMAGE} AS runtime
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip /usr/local/lib/python3*/site-packages/pip-*
# USER: the number has no name in /etc/passwd, and kopf wants one.
ENV PATH=/opt/llmbatch/bin:${PATH} \
    HOME=/tmp \
    USER=llmbatch \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
USER 65532:65532
WORKDIR /tmp

FROM runtime AS worker
LABEL org.opencontainers.image.title="llmbatch-worker" \
      org.opencontainers.image.description="Asks a model about the items of a batch: the pods of LLMBatch"
COPY --from=worker-packages /opt/llmbatch /opt/llmbatch
COPY --from=llmbatch /opt/package /opt/llmbatch
ENTRYPOINT ["llmbatch-worker"]

FROM runtime AS operator
LABEL org.opencontainers.image.title="llmbatch-operator" \
      org.opencontainers.image.description="Runs LLMBatch resources on Kubernetes"
COPY --from=operator-packages /opt/llmbatch /opt/llmbatch
COPY --from=llmbatch /opt/package /opt/llmbatch
ENTRYPOINT ["llmbatch-operator"]
