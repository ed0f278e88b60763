"""From settings to objects: the only floor that knows every class, and the only one to change for a new variant.

sources.py     where records come from, how they are decoded, where dead letters go
models.py      tasks, encoders, models
training.py    the trainer and everything that it holds
serving.py     the server
"""
