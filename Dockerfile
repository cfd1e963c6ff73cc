# syntax=docker/dockerfile:1
# runtime: Airflow with this project, exactly the packages of the lock that the tests ran with.
# sandbox: the same plus the embedded world, for docker-compose.yaml.
FROM python:3.11.14-slim-bookworm AS runtime
ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW_CONFIG=/opt/privacy/config/airflow.cfg \
    PRIVACY_ROOT=/opt/privacy \
    PYTHONUNBUFFERED=1
WORKDIR /opt/privacy
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt \
    && useradd --uid 50000 --gid 0 --create-home --home-dir /opt/airflow airflow \
    && mkdir .sandbox && chown airflow:0 .sandbox
COPY .airflowignore ./
COPY config config
COPY plugins plugins
COPY include include
COPY dags dags
USER 50000:0
ENTRYPOINT ["airflow"]
CMD ["version"]

FROM runtime AS sandbox
USER 0
COPY requirements-dev.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-dev.txt
USER 50000:0
ENTRYPOINT ["python", "-m", "include.sandbox.setup"]
