"""Several HTTP requests in order, as one visitor would make them."""
