"""Values that cross a process border, and what every program begins with.

Functions and replicas as JSON, headers, the syntax of requests, call ids, durations, quantities, settings from the
environment, and the errors clients see; and what every program does first: its log, its secret files, its limit of
descriptors. Standard library only, and no network: every program imports this room, function containers included. What
only one program can observe lives in that program.
"""
