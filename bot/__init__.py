"""Stagewright: a GitOps promotion bot for the MLflow Model Registry."""

__version__ = "0.1.0"
