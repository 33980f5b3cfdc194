"""Stripe's objects as they are answered: every field of the published ones, and no other."""

from __future__ import annotations

from typing import Any, Final

from ferriage.sandbox.keys import token

Object = dict[str, Any]

API_VERSION: Final = "2026-10-28.endive"
MEANS_PLACES: Final = {"card": "country", "alipay": "", "wechat_pay": "", "sepa_debit": "country"}
"""Means of payment that are played, with the field that says where one was issued."""


def session(
    *, url: str, amount: int, currency: str, given: dict[str, Any], means: list[str], at: int
) -> Object:
    """Return a new Checkout Session; `url` is its payment page without the session's own code."""
    code = f"cs_test_{token(58)}"
    return {
        "id": code,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": given.get("adaptive_pricing", {}).get("enabled", False)},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": given.get("cancel_url"),
        "client_reference_id": given.get("client_reference_id"),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": at,
        "currency": currency,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": None,
        "customer_account": None,
        "customer_creation": "if_required",
        "customer_details": None,
        "customer_email": None,
        "discounts": [],
        "expires_at": given.get("expires_at", at + 86400),
        "integration_identifier": None,
        "invoice": None,
        "invoice_creation": {
            "enabled": False,
            "invoice_data": {
                "account_tax_ids": None,
                "custom_fields": None,
                "description": None,
                "footer": None,
                "issuer": None,
                "metadata": {},
                "rendering_options": None,
            },
        },
        "livemode": False,
        "locale": given.get("locale"),
        "managed_payments": {"enabled": False},
        "metadata": given.get("metadata", {}),
        "mode": "payment",
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": given.get("payment_method_options", {}),
        "payment_method_types": means,
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": None,
        "subscription": None,
        "success_url": given["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{url}{code}",
        "wallet_options": None,
    }


def payment_intent(*, session: Object, given: dict[str, Any], at: int) -> Object:
    """Return the intent that a session makes when somebody first tries to pay it."""
    code = f"pi_{token(24)}"
    return {
        "id": code,
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{code}_secret_{token(25)}",
        "confirmation_method": "automatic",
        "created": at,
        "currency": session["currency"],
        "customer": None,
        "customer_account": None,
        "description": given.get("description"),
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": given.get("metadata", {}),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": session["payment_method_types"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def charge(*, intent: Object, means: str, place: str, status: str, url: str, at: int) -> Object:
    """Return a charge of an intent; what the intent's metadata says now is copied into it."""
    code = f"ch_{token(24)}"
    went = status != "failed"
    return {
        "id": code,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if status == "succeeded" else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        # Filled a moment later, as `charge.updated` says.
        "balance_transaction": None,
        "billing_details": {
            "address": _no_address(place),
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": None,
        "captured": status == "succeeded",
        "created": at,
        "currency": intent["currency"],
        "customer": None,
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None if went else "card_declined",
        "failure_message": None if went else "Your card was declined.",
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": _outcome(went=went),
        "paid": status == "succeeded",
        "payment_intent": intent["id"],
        "payment_method": f"pm_{token(24)}",
        "payment_method_details": {"type": means, means: _details(means, place, intent["amount"])},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": f"{url}/receipts/{code}" if went else None,
        "refunded": False,
        "refunds": listed([], f"/v1/charges/{code}/refunds"),
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": status,
        "transfer_data": None,
        "transfer_group": None,
    }


def _no_address(place: str) -> Object:
    fields: Object = dict.fromkeys(("city", "line1", "line2", "postal_code", "state"))
    return {**fields, "country": place or None}


def _outcome(*, went: bool) -> Object:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if went else "declined_by_network",
        "reason": None if went else "generic_decline",
        "seller_message": "Payment complete." if went else "The bank declined it.",
        "type": "authorized" if went else "issuer_declined",
    }


def _details(means: str, place: str, amount: int) -> Object:
    if means == "card":
        return _card(place, amount)
    if means == "sepa_debit":
        return {
            "bank_code": None,
            "branch_code": None,
            "country": place or None,
            "expected_debit_date": None,
            "fingerprint": token(16),
            "last4": "3000",
            "mandate": None,
        }
    fields = {
        "alipay": ("buyer_id", "fingerprint", "transaction_id"),
        "wechat_pay": ("fingerprint", "location", "reader", "transaction_id"),
    }
    return dict.fromkeys(fields[means])


def _card(place: str, amount: int) -> Object:
    return {
        "amount_authorized": amount,
        "authorization_code": None,
        "brand": "visa",
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        "country": place or None,
        "exp_month": 12,
        "exp_year": 2034,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": token(16),
        "funding": "credit",
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": "4242",
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": "visa",
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "transaction_link_id": None,
        "wallet": None,
    }


def listed(data: list[Object], url: str, *, more: bool = False) -> Object:
    """Return a page of a list."""
    return {"object": "list", "data": data, "has_more": more, "url": url}


def event(kind: str, data: Object, *, changed: Object | None, key: str | None, at: int) -> Object:
    """Return an event; `changed` holds what the fields of an update were before."""
    content: Object = {"object": data}
    if changed is not None:
        content["previous_attributes"] = changed
    return {
        "id": f"evt_{token(24)}",
        "object": "event",
        "api_version": API_VERSION,
        "created": at,
        "data": content,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": key},
        "type": kind,
    }
