"""Invoices and what corrects them: drafted, issued with a number, drawn, explained."""
