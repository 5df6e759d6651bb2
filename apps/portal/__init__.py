"""portal: what customers see in a browser, a face over the rooms. One file a page; its templates in templates/portal/.

Hands on: nothing. Never: decides; a page translates, calls one service, and shows what it said.
"""
