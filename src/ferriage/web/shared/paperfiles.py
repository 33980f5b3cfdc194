"""Papers as answers to a browser, in the language that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404, HttpResponse

from ferriage.web.shared import einvoice, papers

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from ferriage.orders.models import Document
    from ferriage.web.shared.papers import Paper


def answer(
    request: HttpRequest,
    form: str,
    usual: str,
    paper_in: Callable[[str], Paper],
    as_data: Callable[[], bytes] | None = None,
) -> HttpResponse:
    """Return a paper as a file to keep: `pdf`, `txt`, which needs no other program, or `xml`.

    Args:
        usual: The language where `?language=` names none of the four.
        paper_in: Returns the paper in a language.
        as_data: Returns it as an electronic invoice; None where it is none.
    """
    asked = request.GET.get("language", "")
    language = asked if asked in papers.LANGUAGES else papers.spoken(usual)
    paper = paper_in(language)
    if form == "pdf":
        response = HttpResponse(papers.as_pdf(paper, language), content_type="application/pdf")
    elif form == "txt":
        response = HttpResponse(papers.as_text(paper), content_type="text/plain; charset=utf-8")
    elif form == "xml" and as_data is not None:
        response = HttpResponse(as_data(), content_type="application/xml")
    else:
        raise Http404
    response["Content-Disposition"] = f'attachment; filename="{paper.number}.{form}"'
    return response


def of_document(request: HttpRequest, form: str, usual: str, document: Document) -> HttpResponse:
    """Return an invoice or credit note as a file; as data where it names its buyer."""
    return answer(
        request,
        form,
        usual,
        lambda language: papers.of_document(document, language),
        (lambda: einvoice.cii(document)) if document.content["buyer"] else None,
    )
