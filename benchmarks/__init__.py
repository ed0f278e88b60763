"""Where the figures in README.md and docs/ come from; nothing here is part of learnd."""
