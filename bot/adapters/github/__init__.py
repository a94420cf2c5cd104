"""GitHub through PyGithub: the one room that knows it.

calls       every call that is made, with the permission it needs in GitHub's words
answers     what GitHub answers, as far as it is read, checked for its types
client      one connection: retries, timeouts, pages, and the table of errors
pulls       bot.ports.PullRequests
issues      bot.ports.Issues
audit_log   bot.ports.LogAppender
"""

from bot.adapters.github.audit_log import GitHubAuditLog
from bot.adapters.github.client import Pace
from bot.adapters.github.issues import GitHubIssues
from bot.adapters.github.pulls import GitHubPullRequests

__all__ = ["GitHubAuditLog", "GitHubIssues", "GitHubPullRequests", "Pace"]
