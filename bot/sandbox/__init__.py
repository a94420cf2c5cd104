"""Everything that lets the whole loop run on one machine: the forge, a local MLflow server, sample training."""
