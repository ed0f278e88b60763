"""learnd: keeps a PyTorch model learning from a stream, answers from its latest snapshot, and can prove what it learned."""

__version__ = "0.1.0"
