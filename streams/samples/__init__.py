"""Small real streams that come with learnd."""

from pathlib import Path

SPAM = Path(__file__).parent / "spam.jsonl.gz"
"""6,046 mails in the order in which they were received, 2001 to 2002: fields t, label, text, group, id."""
