FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/build && python -m venv /opt/dragoman
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt \
 && /opt/dragoman/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY adapters adapters
RUN /opt/build/bin/python -m build --wheel --no-isolation --outdir dist . \
 && /opt/dragoman/bin/pip install --no-cache-dir --no-deps --no-index dist/*.whl \
 && /opt/dragoman/bin/python -m pip uninstall --yes pip setuptools \
 && /opt/dragoman/bin/python -m compileall -q /opt/dragoman/lib

FROM python:3.11-slim-bookworm
ENV PATH=/opt/dragoman/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN apt-get update -q \
 && apt-get install -y -q --no-install-recommends ffmpeg \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin dragoman \
 && install -d -o dragoman -g dragoman -m 0750 /data
COPY --from=build /opt/dragoman /opt/dragoman
USER dragoman
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["dragoman", "run", "--config", "/data/config.yaml"]
