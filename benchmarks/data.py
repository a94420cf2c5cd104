"""The data of the benchmark, inserted in bulk: what an MLflow store holds after N models were trained V times.

1. The tables are made by `mlflow db upgrade`; the rows go in by one transaction.
2. Each version has a run of its own with 10 metrics and 10 params. In registries of more than 1,000 models only the
   two newest versions' runs have them: the others are read by nobody here.
3. The newest version is in Staging, the one before in Production and `champion`, and the others are Archived. One
   model in 250 has a candidate that is better: there a proposal is due. The files of both lie where MLflow keeps them,
   for the first 1,000 models.
4. A folder is made once, and used again by later runs until VERSION changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

VERSION: Final = 2
"""Counts the changes of what is made here."""
BEGAN_MS: Final = 1_790_000_000_000
"""Milliseconds since 1970: when the first version was made. All times are fixed, so that all runs see the same."""
DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
METRICS: Final = ("val_rmse", "latency_p95_ms", *(f"metric_{number}" for number in range(8)))
PARAMS: Final = tuple(f"param_{number}" for number in range(10))
EXPERIMENTS: Final = 20
_ALL_RUNS_UP_TO: Final = 1_000
BETTER_IN: Final = 250
_WITH_FILES: Final = 1_000

Inserted: TypeAlias = tuple[str, str, Iterable[Sequence[object]]]
"""A table, its columns, and rows."""


@dataclass(frozen=True, slots=True)
class Size:
    """So many models with so many versions each, at least 3."""

    models: int
    versions: int

    @property
    def key(self) -> str:
        """What its folders are called."""
        return f"{self.models}x{self.versions}-v{VERSION}"

    def __str__(self) -> str:
        return f"{self.models:,} × {self.versions}"

    @property
    def names(self) -> Iterator[str]:
        """The models' names."""
        return (name_of(number) for number in range(self.models))

    @property
    def production(self) -> int:
        """The version in Production."""
        return self.versions - 1


def name_of(model: int) -> str:
    """A model's name."""
    return f"demand_forecast_{model:05d}"


def run_of(model: int, version: int) -> str:
    """The id of a version's run."""
    return hashlib.md5(f"{model}/{version}".encode(), usedforsecurity=False).hexdigest()


def made_at(size: Size, model: int, version: int) -> int:
    """When a version was made, in milliseconds: one version of every model a day."""
    return BEGAN_MS + (version - size.versions) * DAY_MS + model * 1_000


def stage_of(size: Size, version: int) -> str:
    """A version's stage (rule 3)."""
    return {size.versions: "Staging", size.production: "Production"}.get(version, "Archived")


def inserted(size: Size) -> Iterator[Inserted]:
    """Every row of every table, parents first."""
    models, versions = range(size.models), range(1, size.versions + 1)
    pairs = [(model, version) for model in models for version in versions]
    valued = [(m, v) for m, v in pairs if size.models <= _ALL_RUNS_UP_TO or v >= size.production]
    yield (
        "experiments",
        "experiment_id,name,artifact_location,lifecycle_stage,creation_time,last_update_time",
        ((e, f"experiment {e}", f"mlflow-artifacts:/{e}", "active", BEGAN_MS, BEGAN_MS) for e in range(EXPERIMENTS)),
    )
    yield (
        "runs",
        "run_uuid,name,source_type,user_id,status,start_time,end_time,lifecycle_stage,artifact_uri,experiment_id",
        (_run(size, model, version) for model, version in pairs),
    )
    for table in ("latest_metrics", "metrics"):
        columns = "is_nan,run_uuid,key,value,timestamp,step"
        yield table, columns, (row for model, version in valued for row in _metrics(size, model, version))
    yield (
        "params",
        "run_uuid,key,value",
        ((run_of(m, v), key, str(v)) for m, v in valued for key in PARAMS),
    )
    yield (
        "tags",
        "run_uuid,key,value",
        ((run_of(m, v), "mlflow.source.git.commit", run_of(m, 0)) for m, v in valued),
    )
    yield (
        "registered_models",
        "name,creation_time,last_updated_time,description",
        ((name_of(m), made_at(size, m, 1), made_at(size, m, size.versions), "Forecasts demand.") for m in models),
    )
    yield (
        "model_versions",
        "name,version,creation_time,last_updated_time,description,current_stage,source,run_id,status",
        (_version(size, model, version) for model, version in pairs),
    )
    yield "registered_model_aliases", "name,alias,version", ((name_of(m), "champion", size.production) for m in models)


def _run(size: Size, model: int, version: int) -> tuple[object, ...]:
    run, experiment, at = run_of(model, version), model % EXPERIMENTS, made_at(size, model, version)
    place = f"mlflow-artifacts:/{experiment}/{run}/artifacts"
    return run, f"night {version}", "LOCAL", "ann", "FINISHED", at, at + MINUTE_MS, "active", place, experiment


def _metrics(size: Size, model: int, version: int) -> Iterator[tuple[object, ...]]:
    is_better = version == size.versions and model % BETTER_IN == 0
    at = made_at(size, model, version)
    for key in METRICS:
        yield False, run_of(model, version), key, 0.5 if is_better and key == "val_rmse" else 1.0, at, 0


def _version(size: Size, model: int, version: int) -> tuple[object, ...]:
    run, at = run_of(model, version), made_at(size, model, version)
    source = f"mlflow-artifacts:/{model % EXPERIMENTS}/{run}/artifacts/model"
    return name_of(model), version, at, at, "Trained at night.", stage_of(size, version), source, run, "READY"


def sqlite_store(folder: Path, size: Size) -> Path:
    """A folder that an MLflow server can be started in, with the data of this size; made where it is missing."""
    store = folder / f"sqlite-{size.key}"
    if not store.exists():
        making = store.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        upgrade(f"sqlite:///{making / 'mlflow.db'}")
        with closing(sqlite3.connect(making / "mlflow.db")) as database, database:
            for table, columns, rows in inserted(size):
                marks = ",".join("?" for _ in columns.split(","))
                database.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
        _write_files(making / "artifacts", size)
        making.rename(store)
    return store


def _write_files(folder: Path, size: Size) -> None:
    for model in range(min(size.models, _WITH_FILES)):
        for version in (size.production, size.versions):
            files = folder / str(model % EXPERIMENTS) / run_of(model, version) / "artifacts" / "model"
            files.mkdir(parents=True)
            (files / "MLmodel").write_text("flavors: {sklearn: {}}\n", encoding="utf-8")
            (files / "requirements.txt").write_text("scikit-learn==1.6.1\n", encoding="utf-8")


def upgrade(store: str) -> None:
    """Make MLflow's tables. Raises CalledProcessError."""
    quiet = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = (sys.executable, "-m", "mlflow", "db", "upgrade", store)
    subprocess.run(command, check=True, capture_output=True, env=quiet)
