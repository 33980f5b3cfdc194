"""BTCPay Server's half of the sandbox: the part of its Greenfield API that a shop uses.

Written after the OpenAPI description that BTCPay publishes, and held against it by tests.
"""
