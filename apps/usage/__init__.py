"""usage: what was served. Owns admission (the gate with its limits), the journal, events, roll-ups, reconciliation.

Hands on: `admission.Admissions`, `journal.Journal`, `events.record`, `reports`. Never: knows what a decision says.
"""
