# learnd in one image: `docker run learnd` starts the trainer and the server beside it.
# Python 3.12 on Debian bookworm, pinned by digest.
FROM python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254 AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/learnd
ENV PATH=/opt/learnd/bin:$PATH

WORKDIR /src
# The locks change seldom, the source often: one layer each.
COPY requirements/learnd.txt requirements/encoder.txt requirements/
RUN pip install --requirement requirements/learnd.txt \
    && pip install --no-deps --requirement requirements/encoder.txt
COPY pyproject.toml README.md LICENSE ./
COPY daemon daemon
COPY streams streams
# Learning the bundled mail once fills the cache of compiled kernels (the running container cannot write there), and an
# image that cannot learn is never built.
ENV NUMBA_CACHE_DIR=/opt/learnd/kernels
RUN pip install --no-deps . \
    && learnd backtest streams/samples/spam.jsonl.gz --set model.encoder=none

FROM python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

# numba's compiled code depends on the CPU; where the image runs on another, it compiles into memory and says so once.
RUN groupadd --gid 10001 learnd && useradd --uid 10001 --gid learnd --no-create-home --home-dir /nonexistent learnd \
    && mkdir /data && chown learnd:learnd /data
COPY --from=build /opt/learnd /opt/learnd
ENV PATH=/opt/learnd/bin:$PATH NUMBA_CACHE_DIR=/opt/learnd/kernels PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    LEARND_STORAGE__FOLDER=/data

USER 10001:10001
VOLUME /data
EXPOSE 8080 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9464/livez', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["learnd"]
CMD ["run", "--config", "/etc/learnd/learnd.toml"]
