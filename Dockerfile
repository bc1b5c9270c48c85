# The worker's image: no tests, no dev stack, not root, and nothing is written to its file system.
# `make image` looks up the digest of this tag, builds from it, and notes it in a label.
ARG BASE=python:3.12-slim
FROM ${BASE}

RUN useradd --system --create-home --uid 10001 edgeloop
WORKDIR /opt/edgeloop

COPY requirements/worker.lock requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/worker.lock

COPY pyproject.toml README.md LICENSE ./
COPY edgeloop edgeloop
COPY schemas schemas
COPY app app
COPY agents agents
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

USER edgeloop
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
CMD ["faust", "-A", "app", "worker"]
