"""Runs the repository's own GitHub Actions workflows on the events of the sandbox's forge.

The layers, outermost first:

    attendant                    Attendant: runs workflows as soon as something starts them
    runner                       Runner: events in, runs out
    job, uses                    one job and its steps; the actions that are stood in for
    contexts, surroundings       what a run knows, and what a repository's settings hold
    triggers                     which workflow an event starts, from which commit
    reader, workflow             a file's text -> values, strictly
    expressions, patterns, files, masking, shell, repository, unsupported
"""

from bot.sandbox.actions.attendant import Attendant
from bot.sandbox.actions.runner import Runner
from bot.sandbox.actions.unsupported import EndlessEvents, UnsupportedWorkflow

__all__ = ["Attendant", "EndlessEvents", "Runner", "UnsupportedWorkflow"]
