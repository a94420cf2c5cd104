"""The pages of workflow runs."""

from werkzeug.wrappers import Response

from bot.sandbox.forge.failures import not_found
from bot.sandbox.forge.pages.page import Addresses, Page

addresses = Addresses()


@addresses.on("/actions")
def actions(page: Page) -> Response:
    """All runs, newest first."""
    runs = sorted(page.store.runs.values(), key=lambda run: -run.id)
    return page.render("actions.html", title="Workflow runs", runs=runs, **page.reloading())


@addresses.on("/actions/runs/<int:run_id>")
def run(page: Page, run_id: int) -> Response:
    """A run: what its jobs put in their summaries, and the log of each step."""
    if run_id not in page.store.runs:
        raise not_found()
    shown = page.store.runs[run_id]
    return page.render("run.html", title=f"{shown.name} #{shown.id}", run=shown, **page.reloading())


@addresses.on("/actions/runs/<int:run_id>/job/<int:job_id>")
def job(page: Page, run_id: int, job_id: int) -> Response:  # noqa: ARG001 - the run's page has all its jobs
    """The page of the job's run, which shows all of its jobs."""
    return run(page, run_id)
