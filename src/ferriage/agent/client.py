"""Calls to site and hub: every request signed, every answer verified before it is looked at.

Site time is learned from the site's verified answers alone: the hub's key, stolen, moves no end.
An answer that does not verify is as good as none: the caller keeps what runs.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

import aiohttp
import msgspec
import structlog
from yarl import URL

from ferriage import wire
from ferriage.agent.errors import AgentError, Declined, Unreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ferriage.agent.clock import SiteClock

T = TypeVar("T")

log = structlog.get_logger()

WATCH_SECONDS: Final = 55
OLDER_SECONDS: Final = 600.0
"""How long the other side is spoken to in the format before ours, before ours is tried again."""

_NOT_SPOKEN: Final = {
    wire.FORMAT_REFUSED,
    # What a site of format 4 says of a request in format 5.
    *("malformed", "report-wrong", "enrolment-wrong"),
}
_SHORT = aiohttp.ClientTimeout(total=20, connect=5)
_LONG = aiohttp.ClientTimeout(total=WATCH_SECONDS + 15, connect=5)
_OK: Final = 200
_TAKEN: Final = frozenset({_OK, 204})
_BY_SNAPSHOT: Final = frozenset({"compacted", "epoch", "ahead"})
"""Refusals of a watch that a snapshot answers."""


class Answer:
    """What came back, not verified yet."""

    def __init__(self, status: int, body: bytes, now: str, signature: str) -> None:
        self.status = status
        self.body = body
        self._now = now
        self._signature = signature

    def verified(self, key: str, gateway: str, nonce: str) -> int:
        """Return the signed site time.

        Raises:
            Unreachable: Not signed by this key for this gateway's request.
        """
        try:
            now = int(self._now)
            message = wire.answer_message(
                status=self.status, body=self.body, gateway=gateway, nonce=nonce, now=now
            )
            wire.verify(key, "answer", message, self._signature)
        except (ValueError, wire.WireError) as error:
            raise Unreachable(
                f"An answer (status {self.status}) is not signed by the site; it was not used."
            ) from error
        return now

    def unverified_now(self) -> int | None:
        """Return the time the answer claims."""
        return int(self._now) if self._now.isascii() and self._now.isdigit() else None

    def problem(self) -> wire.Problem:
        """Return the refusal, or one that says there was none to read."""
        try:
            return wire.decode(self.body, wire.Problem)
        except wire.WireError:
            return wire.Problem(slug="unreadable", message=f"Status {self.status}, no reason.")


def _taken(answer: Answer) -> Answer:
    """Return an answer that is no refusal.

    Raises:
        Declined: It is one.
    """
    if answer.status not in _TAKEN:
        problem = answer.problem()
        raise Declined(answer.status, problem.slug, problem.message)
    return answer


async def _send(
    session: aiohttp.ClientSession, method: str, url: URL, body: bytes, headers: dict[str, str]
) -> Answer:
    timeout = _LONG if "wait" in url.query else _SHORT
    try:
        async with session.request(
            method, url, data=body or None, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            return Answer(
                response.status,
                await response.read(),
                response.headers.get(wire.HEADER_NOW, ""),
                response.headers.get(wire.HEADER_SIGNATURE, ""),
            )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise Unreachable(f"{url.origin()} does not answer: {reason}.") from error


def _signed_headers(
    signing_key: str, gateway: str, *, method: str, url: URL, body: bytes, at: int
) -> tuple[dict[str, str], str]:
    nonce = wire.new_nonce()
    message = wire.request_message(
        method=method, target=url.raw_path_qs, body=body, nonce=nonce, at=at
    )
    headers = {
        wire.HEADER_GATEWAY: gateway,
        wire.HEADER_TIME: str(at),
        wire.HEADER_NONCE: nonce,
        wire.HEADER_SIGNATURE: wire.sign(signing_key, "request", message),
        "Accept-Encoding": "identity",
    }
    if body:
        headers["Content-Type"] = "application/json"
    return headers, nonce


class Tongue:
    """Which format somebody is spoken to in: ours, until he does not know it."""

    def __init__(self, mark: Callable[[], float]) -> None:
        self._mark = mark
        self._older_until = -1.0

    async def ask(self, question: Callable[[int], Awaitable[T]]) -> T:
        """Ask in our format, and if that is not known in the one before.

        Raises:
            Declined, Unreachable: As the question does, asked in whichever format.
        """
        if self._mark() < self._older_until:
            return await question(wire.FEED_FORMAT - 1)
        try:
            return await question(wire.FEED_FORMAT)
        except Declined as error:
            if error.slug not in _NOT_SPOKEN:
                raise
        answer = await question(wire.FEED_FORMAT - 1)
        self._older_until = self._mark() + OLDER_SECONDS
        log.info("format.older", spoken=wire.FEED_FORMAT - 1)
        return answer


class Client:
    """One gateway's calls. Site and hub sign with different keys."""

    def __init__(
        self, session: aiohttp.ClientSession, *, gateway: str, signing_key: str, clock: SiteClock
    ) -> None:
        self._session = session
        self._gateway = gateway
        self._signing_key = signing_key
        self._clock = clock
        self._to_site, self._to_hub = Tongue(clock.mark), Tongue(clock.mark)

    async def _of_site(self, url: URL, *, key: str, body: bytes) -> Answer:
        """Return the site's answer, and learn its time; refused for our clock we ask once more."""
        answer = await self._once("POST", url, key=key, body=body, teaches=True)
        if answer.status not in _TAKEN and answer.problem().slug == wire.CLOCK_REFUSED:
            answer = await self._once("POST", url, key=key, body=body, teaches=True)
        return _taken(answer)

    async def _once(
        self, method: str, url: URL, *, key: str, body: bytes = b"", teaches: bool = False
    ) -> Answer:
        """Return a verified answer.

        Args:
            key: Who must have signed the answer: the permit key (site) or feed key (hub).
            teaches: Whether site time is learned from it, as from the site's answers only.

        Raises:
            Unreachable: No answer, or none that verifies.
        """
        headers, nonce = _signed_headers(
            self._signing_key,
            self._gateway,
            method=method,
            url=url,
            body=body,
            at=int(self._clock.now()),
        )
        sent = self._clock.mark()
        answer = await _send(self._session, method, url, body, headers)
        received = self._clock.mark()
        now = answer.verified(key, self._gateway, nonce)
        if teaches:
            self._clock.learn(now=now, sent=sent, received=received)
        return answer

    async def watch(
        self, hub_url: str, *, key: str, pool: str, epoch: str, after: int
    ) -> bytes | None:
        """Wait for the next delta and return its bytes, or None when there was none.

        Raises:
            Declined: Slug compacted, epoch or ahead: ask for a snapshot. Slug clock: report, for
                only the site's answer sets ours right.
            Unreachable: No answer, or none that verifies.
        """
        query = {"pool": pool, "epoch": epoch, "after": str(after), "wait": str(WATCH_SECONDS)}
        answer = await self._of_hub(f"{hub_url}/gateway/v1/watch", query, key)
        return answer.body if answer.status == _OK else None

    async def snapshot(self, hub_url: str, *, key: str, pool: str) -> bytes:
        """Return a pool's snapshot.

        Raises:
            Declined, Unreachable: As `watch`.
        """
        return (await self._of_hub(f"{hub_url}/gateway/v1/snapshot", {"pool": pool}, key)).body

    async def _of_hub(self, place: str, query: dict[str, str], key: str) -> Answer:
        async def ask(spoken: int) -> Answer:
            url = URL(place).with_query({**query, "format": str(spoken)})
            return _taken(await self._once("GET", url, key=key))

        return await self._to_hub.ask(ask)

    async def follow(
        self,
        hub_url: str,
        *,
        key: str,
        pool: str,
        epoch: str,
        after: int,
        on_ahead: Callable[[], object] = lambda: None,
    ) -> bytes | None:
        """Return what brings a pool on: a delta, or a snapshot where only that can; None: nothing.

        Args:
            epoch: Of what is held; empty when nothing is.
            on_ahead: Called where more is held than the site knows of.

        Raises:
            Declined, Unreachable: As `watch`.
        """
        if not epoch:
            return await self.snapshot(hub_url, key=key, pool=pool)
        try:
            return await self.watch(hub_url, key=key, pool=pool, epoch=epoch, after=after)
        except Declined as error:
            if error.slug not in _BY_SNAPSHOT:
                raise
            if error.slug == "ahead":
                on_ahead()
        return await self.snapshot(hub_url, key=key, pool=pool)

    async def report(self, site_url: str, *, key: str, report: wire.Report) -> wire.ReportAnswer:
        """Send a report and return what the site says to it.

        Raises:
            Declined: Slug lease: another instance holds this gateway's lease.
            Unreachable: No answer, none that verifies, or one that is none.
        """
        url = URL(f"{site_url}/gateway/v1/report")

        async def ask(spoken: int) -> Answer:
            said = msgspec.structs.replace(report, format=spoken)
            return await self._of_site(url, key=key, body=wire.encode_for(said, spoken))

        return _decoded((await self._to_site.ask(ask)).body, wire.ReportAnswer)

    async def standing(self, site_url: str, *, key: str) -> wire.Standing:
        """Return what the site's staff have decided about this gateway.

        Raises:
            Declined, Unreachable: As `report`; a site of the release before knows no such question.
        """
        url = URL(f"{site_url}/gateway/v1/standing")

        async def ask(spoken: int) -> Answer:
            body = wire.encode(wire.StandingRequest(format=spoken))
            return await self._of_site(url, key=key, body=body)

        return _decoded((await self._to_site.ask(ask)).body, wire.Standing)


async def enrol(
    site_url: str, request: wire.EnrolRequest, signing_key: str, *, fingerprint: str
) -> tuple[wire.EnrolAnswer, float]:
    """Enrol, and return the answer with site time.

    Nothing is pinned yet: the answer must be signed by a permit key whose fingerprint the token
    carried, so whoever handed out the token vouches for the site.

    Raises:
        Declined: A refusal, not verified: until now nothing is pinned to verify it with.
        AgentError: No answer, or another site than the token's.
    """
    async with aiohttp.ClientSession() as session:

        async def ask(spoken: int) -> tuple[Answer, str]:
            said = msgspec.structs.replace(request, format=spoken)
            body = wire.encode_for(said, spoken)
            return await _ask_to_enrol(session, site_url, body, signing_key)

        answer, nonce = await Tongue(time.monotonic).ask(ask)
    enrolled = _decoded(answer.body, wire.EnrolAnswer)
    if wire.fingerprint(enrolled.permit_key) != fingerprint:
        raise AgentError("The site that answered is not the one that made this token.")
    return enrolled, answer.verified(enrolled.permit_key, "", nonce) + 0.5


async def _ask_to_enrol(
    session: aiohttp.ClientSession, site_url: str, body: bytes, signing_key: str
) -> tuple[Answer, str]:
    """Return the answer, not verified yet, and the nonce that it must be signed with."""
    url = URL(f"{site_url}/gateway/v1/enrol")
    at = int(time.time())
    for _ in range(2):
        headers, nonce = _signed_headers(signing_key, "", method="POST", url=url, body=body, at=at)
        answer = await _send(session, "POST", url, body, headers)
        claimed = answer.unverified_now()
        if answer.status == _OK or answer.problem().slug != wire.CLOCK_REFUSED or claimed is None:
            break
        at = claimed  # only this request's time stamp follows it; nothing is judged by it
    if answer.status != _OK:
        problem = answer.problem()
        raise Declined(answer.status, problem.slug, f"The site refused: {problem.message}")
    return answer, nonce


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return wire.decode(body, kind)
    except wire.WireError as error:
        raise Unreachable(f"An answer could not be read: {error}.") from error
