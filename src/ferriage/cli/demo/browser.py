"""A browser without scripts: follows links, fills in forms, keeps cookies."""

from __future__ import annotations

import contextlib
import threading
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Final

from ferriage.cli.demo.telling import StepFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

PATIENCE: Final = 120.0
"""Seconds for an answer: on a busy machine a site's first page takes long, for it loads itself."""
_TOLD_EVERY: Final = 10.0


@dataclass
class Form:
    """One form of a page: where it goes and what it would send untouched.

    `choices` are the values that a field offers, such as radio buttons and options.
    """

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """An answer as a person would see it."""

    status: int
    url: str
    body: bytes
    forms: tuple[Form, ...]
    texts: dict[str, str]

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")


class _Reader(HTMLParser):
    """Collects forms, and the text inside elements that have an id."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.texts: dict[str, str] = {}
        self._select = ""
        self._open: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            self._open.append((tag, found["id"]))
            self.texts[found["id"]] = ""
        if tag == "form":
            self.forms.append(Form(found.get("action", "")))
        elif self.forms:
            self._control(tag, found)

    def _control(self, tag: str, found: dict[str, str]) -> None:
        form, name = self.forms[-1], found.get("name", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            form.choices.setdefault(self._select, []).append(found.get("value", ""))
        elif tag in {"input", "button", "textarea"} and name:
            form.choices.setdefault(name, []).append(found.get("value", ""))
            if found.get("type") == "hidden" or (tag == "input" and "checked" in found):
                form.fields[name] = found.get("value", "")

    def handle_data(self, data: str) -> None:
        for _, name in self._open:
            self.texts[name] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        if self._open and self._open[-1][0] == tag:
            self._open.pop()


class Browser:
    """One person's browser on one machine."""

    def __init__(
        self,
        base: str,
        machine: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
        *,
        tell: Callable[[str], None] | None = None,
        patience: float = PATIENCE,
        told_every: float = _TOLD_EVERY,
    ) -> None:
        """Prepare one.

        Args:
            base: The address that paths are of.
            machine: Enters the machine that the browser is on.
            tell: Is told every `told_every` seconds that an answer is still waited for.
            patience: For how many seconds it is.
        """
        self._base = base
        self._machine = machine
        self._tell, self._patience, self._told_every = tell, patience, told_every
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
        )
        self.pages = 0
        """HTML answers of status 200 so far; redirects and files do not count."""

    def get(self, path: str) -> Page:
        """Open a page."""
        return self._open(urllib.request.Request(urllib.parse.urljoin(self._base, path)))  # noqa: S310 -- http only

    def submit(self, page: Page, action: str, **values: str) -> Page:
        """Fill in and send the page's form that goes to `action` and offers these values.

        Raises:
            StepFailed: The page has no such form.
        """
        form = _find(page, action, values)
        url = urllib.parse.urljoin(page.url, form.action)
        body = urllib.parse.urlencode({**form.fields, **values}).encode()
        headers = {"Referer": page.url}
        return self._open(urllib.request.Request(url, data=body, headers=headers))  # noqa: S310 -- http only

    def _open(self, request: urllib.request.Request) -> Page:
        with self._machine(), self._waiting(f"{request.get_method()} {request.full_url}"):
            try:
                answer = self._opener.open(request, timeout=self._patience)
            except urllib.error.HTTPError as refusal:
                answer = refusal
            with answer:
                status, url, body = answer.status, answer.url, answer.read()
        reader = _Reader()
        if "html" in answer.headers.get_content_type():
            self.pages += status == HTTPStatus.OK
            reader.feed(body.decode(errors="replace"))
        return Page(status, url, body, tuple(reader.forms), reader.texts)

    @contextlib.contextmanager
    def _waiting(self, what: str) -> Iterator[None]:
        """Say now and then what is waited for.

        Raises:
            StepFailed: The answer did not come in time.
        """
        over = threading.Event()
        teller = threading.Thread(target=self._tell_until, args=(over, what), daemon=True)
        teller.start()
        try:
            yield
        except OSError as error:
            late = isinstance(getattr(error, "reason", error), TimeoutError)
            if not late:
                raise
            raise StepFailed(
                f"{what}: no answer within {self._patience:g} s. Is this machine very busy? "
                "Try again when it is not."
            ) from None
        finally:
            over.set()
            teller.join()

    def _tell_until(self, over: threading.Event, what: str) -> None:
        waited = 0.0
        while self._tell is not None and not over.wait(self._told_every):
            waited += self._told_every
            self._tell(f"… {what}: no answer for {waited:g} s yet, still waiting")


def _find(page: Page, action: str, values: dict[str, str]) -> Form:
    for form in page.forms:
        fits = all(
            value in form.choices.get(name, [value]) or set(form.choices[name]) == {""}
            for name, value in values.items()
        )
        if action in urllib.parse.urljoin(page.url, form.action) and fits:
            return form
    raise StepFailed(f"{page.url} ({page.status}) has no form to {action} with {sorted(values)}")
