FROM python:3.13-slim-bookworm AS build

WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps \
        --only-binary :all: --require-hashes -r requirements.lock

FROM python:3.13-slim-bookworm

# /data is for the default SQLite database: docker run -v record:/data …
RUN groupadd --gid 10001 record \
    && useradd --uid 10001 --gid record --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin record \
    && install -d -o record -g record -m 0700 /data

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RECORD_DATABASE_URL=sqlite:////data/record.db

WORKDIR /srv
COPY --from=build /opt/venv /opt/venv
COPY alembic.ini ./
COPY migrations migrations
COPY seed seed
COPY app app
RUN python -m compileall -q app

USER 10001:10001
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import httpx, sys; sys.exit(httpx.get('http://127.0.0.1:8000/readyz', timeout=4, trust_env=False).status_code != 200)"]

CMD ["python", "-m", "app", "serve", "--host", "0.0.0.0", "--port", "8000", "--migrate"]
