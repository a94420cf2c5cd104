"""Serves MLflow's own application in this one process: `python mlflow_process.py STORE ARTIFACTS HOST PORT`.

`mlflow server` loads MLflow to read its options, and then once more in the process that it starts to serve: 4 s of
processor time and 250 MB that nobody needs for a server of one worker. This does what that command does with
`--serve-artifacts`, by the names that MLflow itself has for it; it is run by path, under an interpreter with MLflow.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import uvicorn
from mlflow.server import handlers
from mlflow.server.constants import (
    ARTIFACT_ROOT_ENV_VAR,
    ARTIFACTS_DESTINATION_ENV_VAR,
    BACKEND_STORE_URI_ENV_VAR,
    SERVE_ARTIFACTS_ENV_VAR,
)

PROXIED = "mlflow-artifacts:/"


def serve(store: str, artifacts: str, host: str, port: int) -> None:
    """Prepare the database, and answer until a signal ends the process. Raises what MLflow says of a database."""
    os.environ |= {
        BACKEND_STORE_URI_ENV_VAR: store,
        ARTIFACT_ROOT_ENV_VAR: PROXIED,
        ARTIFACTS_DESTINATION_ENV_VAR: artifacts,
        SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    handlers.initialize_backend_stores(store, None, PROXIED)
    log = Path(handlers.__file__).with_name("uvicorn_log_config.yaml")
    uvicorn.run("mlflow.server.fastapi_app:app", host=host, port=port, log_config=str(log))


if __name__ == "__main__":
    store, artifacts, host, port = sys.argv[1:]
    serve(store, artifacts, host, int(port))
