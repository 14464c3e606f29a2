"""Domain names: how long they are registered for, by RDAP or WHOIS."""
