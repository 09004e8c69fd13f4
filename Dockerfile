# The image of the sidecar and the gateway: deploy/README.md says how it is built, run and tested.
# A release passes both by their digests: docker build --build-arg BASE=python:3.11-slim-bookworm@sha256:... .
ARG BASE=python:3.11-slim-bookworm
# Where it is built: the same Python at the same place, with a C compiler.
ARG BUILDER=python:3.11-bookworm

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
# An index of one's own comes as a secret, which stays out of the image: docker build --secret id=pip.conf,src=pip.conf .
# Bytecode is made here once for all, good whatever times the files get on their way: a read-only root could not keep it.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python -m venv --without-pip /opt/earwitness \
    && EARWITNESS_COMPILE=always PIP_CONSTRAINT=constraints.txt \
        python -m pip --python /opt/earwitness/bin/python install --no-cache-dir --no-compile '.[fleet]' \
    && /opt/earwitness/bin/python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /opt/earwitness/lib

FROM ${BASE}
# The base comes with pip, and with a standard library without its bytecode.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip setuptools wheel \
    && library="$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && rm -rf "$library/ensurepip" \
    && python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash "$library"
COPY --from=build /opt/earwitness /opt/earwitness
ENV PATH=/opt/earwitness/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["earwitness", "healthcheck"]
ENTRYPOINT ["earwitness"]
CMD ["run"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Earwitness" \
      org.opencontainers.image.description="Relays speech WebSockets untouched and tells who ended them, and why" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
