"""A payment provider of our own on loopback: it speaks as others do, and fails when it is told to.

No money moves through it. It plays the providers' side for tests and for the demo, so it
imports nothing of ours and none of their SDKs: a misunderstanding of the shop's must not repeat
itself here.

Source: docs/reference/sandbox.md
"""
