"""Requests to an API, from a growing log file: each customer's service level."""
