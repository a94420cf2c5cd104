"""Every decision, as functions from values to values: no MLflow, GitHub, network, disk, clock or log in here."""
