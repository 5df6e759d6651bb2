"""support: questions of customers to us. Owns the requests, and how soon each plan is answered.

Hands on: `services`. Never: decides anything about an account.
"""
