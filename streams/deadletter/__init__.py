"""Where records go that cannot become examples."""

from streams.deadletter.base import DeadLetters
from streams.deadletter.file import DeadLetterFile
from streams.deadletter.none import NoDeadLetters
from streams.deadletter.topic import DeadLetterTopic

__all__ = ["DeadLetterFile", "DeadLetterTopic", "DeadLetters", "NoDeadLetters"]
