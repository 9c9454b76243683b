"""One figure held against one limit."""

from __future__ import annotations

from pytest_batchguard.core.model import Check, Verdict


def at_most(quantity: str, measured: float, limit: float, breach: Verdict) -> Check:
    """Return the check of a figure that may reach its limit from below, and what it comes to if it does not keep it."""
    return Check(quantity, measured, limit, Verdict.PASSED if measured <= limit else breach)


def at_least(quantity: str, measured: float, limit: float, breach: Verdict) -> Check:
    """Return the check of a figure that may reach its limit from above."""
    return Check(quantity, measured, limit, Verdict.PASSED if measured >= limit else breach)


def against(quantity: str, measured: float, accepted: float, allowance: float) -> Check:
    """Return the check of a figure, lower being better, that may exceed the accepted one by a share."""
    limit = accepted * (1 + allowance)
    verdict = Verdict.PASSED if measured <= limit else Verdict.REGRESSED
    return Check(quantity, measured, limit, verdict, accepted, allowance)
