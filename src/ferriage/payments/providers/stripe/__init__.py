"""Stripe, by its own SDK (extra `[stripe]`): hosted Checkout Sessions, so no card data comes here.

The SDK is imported where it is used, since a shop without the extra must start all the same.

Source: docs/how-to/stripe.md
"""
