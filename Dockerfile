# Two stages: the first builds a virtual environment, the second is that environment and nothing else.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/calgate
COPY requirements.lock .
RUN /opt/calgate/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY . .
RUN /opt/calgate/bin/pip install --no-cache-dir --no-deps . && /opt/calgate/bin/pip uninstall --yes pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home calgate
COPY --from=build /opt/calgate /opt/calgate
ENV PATH="/opt/calgate/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    CALGATE_HOST=0.0.0.0 \
    CALGATE_PORT=8420 \
    CALGATE_DATABASE_URL=sqlite:////data/calgate.db
USER calgate
WORKDIR /data
VOLUME /data
EXPOSE 8420
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"CALGATE_PORT\"]}/health/ready', timeout=4)"]
ENTRYPOINT ["calgate"]
CMD ["serve"]
