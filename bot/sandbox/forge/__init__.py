"""A GitHub-compatible forge: the REST subset that this project uses, over a real bare git repository.

Users, pull requests, reviews, statuses, comments, labels and runs live in memory behind one lock; commits, trees,
blobs, refs, diffs and merges are git's own. The layers, outermost first:

    server                       Forge: start, stop, and what only an owner may do
    web, smart_http              HTTP: authentication, dispatch, error bodies, pagination, `git http-backend`
    pages                        HTML for people, at the addresses that `html_url` names
    operations                   one operation of the REST API, for a client or for a page
    routes_*                     one module per area of the REST API
    represent_*                  records -> GitHub's JSON
    pulls, merging, branches     what happens to a pull request, and what a moved branch causes
    events                       webhook payloads, and the queue that the workflow runner takes from
    protection, update_hook      what a protected branch demands
    store, records, git, diffs   the state
"""

from bot.sandbox.forge.records import Event, JobRun, StepRun, WorkflowRun
from bot.sandbox.forge.server import Forge

__all__ = ["Event", "Forge", "JobRun", "StepRun", "WorkflowRun"]
