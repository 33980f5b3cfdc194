"""Devices: add, show, take the file, remove. A private key lives in one answer only.

It is made for the answer to one POST, and travels back in the form that asks for the file; it
is never stored, and no cache or log sees it.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import FerriageError
from ferriage.core.hashing import hash_secret
from ferriage.devices import actions, files, keys, queries, usage
from ferriage.devices.liveness import liveness
from ferriage.plans import lapses, several
from ferriage.web.portal import notices, served
from ferriage.web.portal.customer import for_customers
from ferriage.web.portal.views.account import account_page
from ferriage.web.shared.languages import speaks

if TYPE_CHECKING:
    from ferriage.devices.liveness import Live
    from ferriage.devices.models import Device
    from ferriage.devices.queries import Placement
    from ferriage.web.portal.customer import CustomerRequest

OWN_KEY_PLACEHOLDER = "PUT-YOUR-PRIVATE-KEY-HERE"


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file for one line on one gateway, and the same as a QR code where there is a key."""

    placement: Placement
    name: str
    conf: str
    qr: str


@require_http_methods(["GET", "HEAD", "POST"])
@for_customers
@sensitive_variables("pair", "private_key")
def add(request: CustomerRequest, code: str) -> HttpResponse:
    """Add a device and show its files, in this answer and never again.

    A form that is sent twice, as by a reload, adds one device.
    """
    if request.method != "POST":
        return redirect("account")
    subscription = several.subscription_of(account=request.customer, code=code)
    if subscription is None:
        raise Http404
    typed = request.POST.get("public_key", "").strip()
    pair = None if typed else keys.new_keypair()
    try:
        served.check_addable(subscription)
        device = actions.add_device(
            subscription=subscription,
            public_key=pair.public if pair else typed,
            name=request.POST.get("name", ""),
            asked=_asked(request),
            now=request.now,
            actor=CUSTOMER,
        )
    except actions.AddedAlready as repeated:
        return redirect("device", repeated.device.code)
    except FerriageError as refusal:
        return account_page(request, error=refusal, typed=request.POST)
    return _page_with_files(request, device, pair.private if pair else OWN_KEY_PLACEHOLDER)


@require_http_methods(["GET", "HEAD", "POST"])
@for_customers
@sensitive_variables("pair")
def replace_key(request: CustomerRequest, code: str) -> HttpResponse:
    """Give a device whose file was lost a new key, and show its files once."""
    mine = _own(request, code)
    if request.method != "POST":
        return redirect("device", code)
    pair = keys.new_keypair()
    try:
        served.check_new_file(mine)
        changed = actions.replace_key(
            device=mine, public_key=pair.public, now=request.now, actor=CUSTOMER
        )
    except FerriageError as refusal:
        return account_page(request, error=refusal)
    return _page_with_files(request, changed, pair.private)


@sensitive_variables("private_key")
def _page_with_files(request: CustomerRequest, device: Device, private_key: str) -> HttpResponse:
    own_key = private_key == OWN_KEY_PLACEHOLDER
    context = {
        "device": device,
        "live": _live(device, request),
        "files": _files(device, private_key, with_qr=not own_key),
        "private_key": private_key,
        "own_key": own_key,
        "again": reverse("device", args=[device.code]),
        "again_with": {"private_key": private_key},
    }
    return render(request, "portal/device.html", context)


@speaks
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("private_key")
@for_customers
@sensitive_variables("private_key")
def device(request: CustomerRequest, code: str) -> HttpResponse:
    """Show a device, without its private key: nobody has it but the device.

    Sent the key, for another language, it shows the files once more.
    """
    mine = _own(request, code)
    if request.method == "POST":
        return _page_with_files(request, mine, _sent_key(request))
    told = notices.of_subscription(mine.subscription, place=request.customer.place, now=request.now)
    stopped = lapses.stopped(request.customer, now=request.now)
    context = {
        "device": mine,
        "live": _live(mine, request),
        "has_gateway": bool(queries.placements(mine)),
        "notices": told,
        "stands_still": mine.subscription_id in stopped,
        "quota": usage.standing(mine.subscription, request.now),
    }
    return render(request, "portal/device.html", context)


@require_safe
@for_customers
def live(request: CustomerRequest, code: str) -> JsonResponse:
    """Tell how many of its gateways know a device; the device page asks while it waits."""
    known = _live(_own(request, code), request)
    text = render_to_string("portal/live.html", {"live": known}).strip()
    good = known.state == "live"
    return JsonResponse({"on": known.on, "of": known.of, "good": good, "text": text})


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("private_key")
@for_customers
@sensitive_variables("private_key")
def file(request: CustomerRequest, code: str) -> HttpResponse:
    """Answer with the file of one line on one gateway, made anew from the key that was sent."""
    mine = _own(request, code)
    if request.method != "POST":
        return redirect("device", code)
    wanted = request.POST.get("line"), request.POST.get("gateway")
    private_key = _sent_key(request)
    for placement in queries.placements(mine):
        if (placement.line.code, placement.gateway.code) == wanted:
            conf = files.conf(device=mine, private_key=private_key, placement=placement)
            return _attachment(conf, _name(mine, placement))
    raise Http404


@require_POST
@for_customers
def remove(request: CustomerRequest, code: str) -> HttpResponse:
    """Remove a device; its place is free at once."""
    actions.remove_device(device=_own(request, code), now=request.now, actor=CUSTOMER)
    return redirect("account")


def _sent_key(request: CustomerRequest) -> str:
    private_key = request.POST.get("private_key", "")
    if private_key != OWN_KEY_PLACEHOLDER and not keys.is_public_key(private_key):
        raise Http404  # public and private keys have the same form; no page of ours sends another
    return private_key


def _asked(request: CustomerRequest) -> str:
    token = request.POST.get("once", "")
    return hash_secret("add-device", token) if token else ""


def _own(request: CustomerRequest, code: str) -> Device:
    """Return the customer's own device; somebody else's is no different from none."""
    mine = queries.device_of(account=request.customer, code=code)
    if mine is None:
        raise Http404
    return mine


def _live(device: Device, request: CustomerRequest) -> Live:
    return liveness([device], now=request.now)[device.code]


def _files(device: Device, private_key: str, *, with_qr: bool) -> list[ClientFile]:
    found = []
    for placement in queries.placements(device):
        conf = files.conf(device=device, private_key=private_key, placement=placement)
        name = _name(device, placement)
        qr = b64encode(files.qr_png(conf)).decode() if with_qr else ""
        found.append(ClientFile(placement, name, conf, qr))
    return found


def _name(device: Device, placement: Placement) -> str:
    return f"{files.file_name(device=device, line=placement.line)}.conf"


def _attachment(text: str, name: str) -> HttpResponse:
    response = HttpResponse(text, content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
