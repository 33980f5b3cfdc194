"""Bitcoin through a BTCPay Server of the operator's own, by its Greenfield API."""
