"""Delivers callbacks to the shop, or loses, doubles, delays, reorders and forges them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from ferriage.sandbox.faults import Dice, Fate

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ferriage.sandbox.faults import Faults
    from ferriage.sandbox.frame import Callback

RETRIES_SECONDS: Final = (1.0, 4.0, 15.0)
"""Pauses before a callback that was not answered with 2xx is sent again; then it is given up."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_REMEMBERED: Final = 10_000
_HINTS: Final = {
    0: "Is it running there? Give --shop-url where it listens.",
    400: (
        "Either it does not serve this host name: add it to site.allowed_hosts in the shop's"
        " settings and start the shop again, or give --shop-url the address of site.url."
        " Or the secret that it was told is not the one above."
    ),
    404: "It knows no such provider: add it under Payments, with the keys above.",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt: which event, what was done with it, and the shop's status (0: no answer)."""

    half: str
    ident: str
    kind: str
    fate: str
    status: int


class Courier:
    """Sends callbacks in their order, one at a time, as faults allow."""

    def __init__(
        self,
        faults: Faults,
        *,
        retries_seconds: tuple[float, ...] = RETRIES_SECONDS,
        complain: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._dice = Dice(faults)
        self._retries = retries_seconds
        self._held: list[Callback] = []
        self._delayed = 0
        self._hurry = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sent: deque[Sent] = deque(maxlen=_REMEMBERED)
        self._session: aiohttp.ClientSession | None = None
        self._turn = asyncio.Lock()
        self._complain = complain
        self._answered = 200

    @property
    def faults(self) -> Faults:
        """What goes wrong now."""
        return self._dice.faults

    def set_faults(self, faults: Faults) -> None:
        """Let other things go wrong from now on; the dice begin anew."""
        self._dice = Dice(faults)

    def sent(self) -> list[dict[str, Any]]:
        """Return every attempt so far, oldest first, the last 10,000 of them."""
        return [asdict(attempt) for attempt in self._sent]

    def waiting(self) -> int:
        """Return how many callbacks are under way or held back."""
        return len(self._tasks) + len(self._held)

    def send(self, callback: Callback) -> None:
        """Take one callback and return at once."""
        fate, forges = self._dice.fate(), self._dice.forges()
        if forges:
            self._start(self._forge(callback))
        if fate is Fate.LOST:
            self._note(callback, fate, 0)
        elif fate is Fate.REORDERED:
            self._held.append(callback)
        elif fate is Fate.DELAYED:
            self._start(self._later(callback))
        else:
            self._start(self._deliver(callback, fate, twice=fate is Fate.DOUBLED))
            self._let_go()

    def flush(self) -> int:
        """Send at once what was delayed or held back; return how many callbacks."""
        delayed = self._delayed
        self._hurry.set()
        self._hurry = asyncio.Event()
        return delayed + self._let_go()

    def _let_go(self) -> int:
        """Send what was held back for a later one to overtake, the newest first."""
        held, self._held = self._held[::-1], []
        for callback in held:
            self._start(self._deliver(callback, Fate.REORDERED))
        return len(held)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _later(self, callback: Callback) -> None:
        self._delayed += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), self.faults.delay_seconds)
        self._delayed -= 1
        await self._deliver(callback, Fate.DELAYED)

    async def _forge(self, callback: Callback) -> None:
        headers = callback.sign(callback.forged, secrets.token_hex(16))
        self._note(callback, "forged", await self._post(callback.url, callback.forged, headers))

    async def _deliver(self, callback: Callback, fate: Fate, *, twice: bool = False) -> None:
        for _ in range(1 + twice):
            for pause in (0.0, *self._retries):
                await asyncio.sleep(pause)
                async with self._turn:
                    headers = callback.sign(callback.body, callback.secret)
                    status = await self._post(callback.url, callback.body, headers)
                self._note(callback, fate, status)
                self._judge(callback, status)
                if 200 <= status < 300:  # noqa: PLR2004 -- what providers take as delivered
                    break

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False)
        headers = {"Content-Type": "application/json", **headers}
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    def _judge(self, callback: Callback, status: int) -> None:
        """Say once, for each change of what the shop answers, that it does not take callbacks."""
        before, self._answered = self._answered, status
        if status != before and not 200 <= status < 300:  # noqa: PLR2004 -- as above
            hint = _HINTS.get(status, "Its log says why.")
            answer = f"answered {status}" if status else "did not answer"
            self._complain(f"The shop {answer} to a callback at {callback.url}. {hint}")

    def _note(self, callback: Callback, fate: str, status: int) -> None:
        self._sent.append(Sent(callback.half, callback.ident, callback.kind, str(fate), status))

    async def close(self) -> None:
        """End everything under way."""
        if self._session is not None:
            await self._session.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
