"""Logging in to upstreams with OAuth 2.1: finding the authorization server, getting tokens, keeping them fresh."""
