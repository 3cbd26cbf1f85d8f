"""A tagger behind an HTTP API and a web page."""
