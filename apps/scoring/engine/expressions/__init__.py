"""Expressions: what rules of tenants are written in, CEL without what they have no use for. Pure.

    text ─► tokens ─► tree (grammar) ─► meaning (lowering: names, kinds, three-valued logic) ─► one_row | many_rows

It owns the language: how it is read, what it means, how it is evaluated for one transaction and for many. It hands on
conditions and what they ask for. It never reads a store, and runs nothing of a text but what it made of it.
"""
