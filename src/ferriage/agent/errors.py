"""Errors of the agent, written for the person who started it."""

from __future__ import annotations


class AgentError(Exception):
    """The agent cannot do what it was asked; the message says why and what to do."""

    exit_code = 1


class AlreadyRunning(AgentError):
    """Another agent holds the state directory."""

    exit_code = 75


class NotEnrolled(AgentError):
    """The state directory holds no identity."""

    exit_code = 78


class GatewayClosed(AgentError):
    """Staff closed this gateway for good; it is down, and starting again would not help."""

    exit_code = 77


class Unreachable(AgentError):
    """Site or hub did not answer, or answered something that does not verify. Try again later."""

    exit_code = 69


class Declined(AgentError):
    """Site or hub refused, signed. `slug` says why."""

    def __init__(self, status: int, slug: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.slug = slug


class BatchRefused(AgentError):
    """A batch that must not be applied; what runs is kept and a snapshot is asked for."""


class DataPlaneError(AgentError):
    """The kernel or WireGuard did not take a change."""


class ChangeRefused(DataPlaneError):
    """WireGuard answers, but takes something of this change not: a part of it may be taken."""


class NoKernel(AgentError):
    """The settings ask for the kernel's WireGuard, and we cannot use it here. `remedy` helps."""

    exit_code = 78
    remedy = (
        "Load its module as root (modprobe wireguard; for a container, on its host), or leave"
        " agent.backend empty."
    )

    def __init__(self, obstacle: str) -> None:
        self.what = f'agent.backend is "kernel", but {obstacle}.'
        super().__init__(f"{self.what} {self.remedy}")
