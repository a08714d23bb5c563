"""Values that cross a process border, and nothing else.

Functions and replicas as JSON, headers, the syntax of requests, call ids, durations, quantities, settings from the
environment, and the errors clients see. Standard library only and no I/O: every program imports this room, function
containers included. What only one program can observe lives in that program.
"""
