"""A question becomes a prompt, and a completion becomes a choice."""
