# Two stages: what builds stays behind. The lock has what servers use beyond a plain install: PostgreSQL, ClickHouse,
# S3, checks of machines, pings by mail. The server runs as an ordinary user and keeps everything in /data.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements/image.lock requirements/image.lock
RUN python -m venv /opt/mainstay && /opt/mainstay/bin/pip install --no-cache-dir --require-hashes -r requirements/image.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/mainstay/bin/pip install --no-cache-dir --no-build-isolation --no-deps .

FROM python:3.11-slim
RUN groupadd --gid 10001 mainstay \
    && useradd --uid 10001 --gid mainstay --no-create-home --shell /usr/sbin/nologin mainstay \
    && install -d -o mainstay -g mainstay -m 0700 /data
COPY --from=build /opt/mainstay /opt/mainstay
ENV PATH=/opt/mainstay/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MAINSTAY_DATA=/data \
    MAINSTAY_LISTEN=0.0.0.0:8800 \
    MAINSTAY_LOG_FORMAT=json
USER mainstay
VOLUME /data
EXPOSE 8800
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8800/api/health', timeout=4)"]
ENTRYPOINT ["mainstay"]
CMD ["up"]
