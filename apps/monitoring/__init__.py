"""What operators watch the service by.

Owns: /metrics as it is answered (the processes' own counters added up, the machine, the journal and the queues, and the
figures a task takes for all), which of it is bounded by what, and the traces' setting. Hands on: one function that
answers. Never: a label whose values customers choose.
"""
