FROM python:3.13-slim-bookworm AS build

WORKDIR /build
COPY requirements.lock ./
# Of pyarrow, Parquet files alone are written: what it has for servers, clouds and compilers is 65 MB.
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps \
        --only-binary :all: --require-hashes -r requirements.lock \
    && /opt/venv/bin/pip uninstall --quiet --yes pip \
    && find /opt/venv/lib -path '*/site-packages/pyarrow/*' \
        \( -name include -o -name tests -o -name '*flight*' -o -name 'libarrow_s3*' -o -name '_s3fs*' \) \
        -prune -exec rm -r {} +

FROM python:3.13-slim-bookworm

# /data is for the default SQLite database: docker run -v record:/data …
# The standard library comes without compiled files, and would be compiled at every start and health check.
RUN groupadd --gid 10001 record \
    && useradd --uid 10001 --gid record --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin record \
    && install -d -o record -g record -m 0700 /data \
    && python -m pip uninstall --quiet --yes --root-user-action=ignore pip \
    && python -m compileall -q /usr/local/lib/python3.*

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RECORD_DATABASE_URL=sqlite:////data/record.db

WORKDIR /srv
COPY --from=build /opt/venv /opt/venv
COPY alembic.ini ./
COPY migrations migrations
COPY docs docs
COPY seed seed
COPY app app
RUN python -m compileall -q app migrations

USER 10001:10001
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-I", "-S", "-c", "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]

CMD ["python", "-m", "app", "serve", "--host", "0.0.0.0", "--port", "8000", "--migrate"]
