"""What each command does; imported only when it is called, so that `--help` needs neither torch nor pydantic."""
