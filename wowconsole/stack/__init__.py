"""The local stack: every process of the console on one machine, without root or docker."""


class StackError(Exception):
    """The stack can't start or go on; the message says what a person should do."""
