"""What Earwitness knows, without I/O: bytes and clock readings in, facts and verdicts out.

Nothing in here opens a socket, reads a clock, logs, parses YAML or touches a metric object. Every `now` is an
argument: seconds on a monotonic clock. That is what lets nearly everything be tested without a socket or a sleep.
"""
