"""The port to an MLflow server: models, versions, aliases and runs in bulk, and the writes that move slots.

Invariants:
1. Nothing here changes the registry but `MlflowRegistryWriter`; `MlflowRegistry` has no write method.
2. "Not there" is said only after MLflow said so of this very model or run: a server with basic-auth leaves out of its
   lists what the identity may not read, and that must not look like an empty slot.
3. A list that contradicts itself (an alias to a version that is not listed) is read again, then refused, unless MLflow
   says that this version is not there: a server of MLflow 2 leaves the aliases of deleted versions.
4. Credentials reach no message: not those in the address, not those in the environment.
"""

from bot.adapters.mlflow_registry.reading import MlflowRegistry
from bot.adapters.mlflow_registry.writing import MlflowRegistryWriter

__all__ = ["MlflowRegistry", "MlflowRegistryWriter"]
