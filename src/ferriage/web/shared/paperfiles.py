"""Papers as answers to a browser, in the language that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404, HttpResponse

from ferriage.web.shared import papers

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from ferriage.web.shared.papers import Paper


def answer(
    request: HttpRequest, form: str, usual: str, paper_in: Callable[[str], Paper]
) -> HttpResponse:
    """Return a paper as a file to keep: `pdf`, or `txt`, which needs no other program.

    Args:
        usual: The language where `?language=` names none of the four.
        paper_in: Returns the paper in a language.
    """
    asked = request.GET.get("language", "")
    language = asked if asked in papers.LANGUAGES else papers.spoken(usual)
    paper = paper_in(language)
    if form == "pdf":
        response = HttpResponse(papers.as_pdf(paper, language), content_type="application/pdf")
    elif form == "txt":
        response = HttpResponse(papers.as_text(paper), content_type="text/plain; charset=utf-8")
    else:
        raise Http404
    response["Content-Disposition"] = f'attachment; filename="{paper.number}.{form}"'
    return response
