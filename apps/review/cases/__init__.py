"""Review cases: decisions that ask for a person, who works on which of them, and what came of it.

    recorder ─► opening ─► a queue ─► claimed, noted on, given away ─► verdicts ─► resolved ─► a label

`opening` makes cases in the recorder's transaction; `queues` says where each waits; `work` is everything a reviewer
does; `verdicts`, `criteria` and `priority` are pure.
"""
